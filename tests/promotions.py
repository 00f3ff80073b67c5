"""Models that differ in where their boxes begin, and clients that notice when an answer is of two of them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from demo.sessions import SAMPLE_RATE, plan, render
from detectors import load_detector
from detectors.model_folder import Model, seal
from detectors.registry import Registry
from detectors.rules import version
from labelstudio.labels import LABEL_CONFIG_PATH
from podcast import audio
from tests.detectors.test_rules import RULES

CONFIG = LABEL_CONFIG_PATH.read_text()
LOCAL = "/data/local-files/?d=audio/"
Times = list[tuple[float, float]]
Known = dict[tuple[str, str], Times]
"""The boxes of each model version in each recording, by the version and the recording's name."""


def add_model(registry: Registry, folder: Path, before_s: float) -> Model:
    """A model of `energy` in the registry, whose boxes begin so many seconds before the call."""
    folder.mkdir(parents=True)
    rules = replace(RULES, cut=replace(RULES.cut, before_s=before_s), about={})
    (folder / "rules.json").write_text(json.dumps(rules.as_dict()))
    seal(
        folder,
        ["rules.json"],
        detector="energy",
        version=version(RULES.strengths, rules),
        strengths=RULES.strengths,
        recipe="rules",
        parent="energy",
        rounds=[],
        counts={},
    )
    return registry.add(folder)


def write_calls(folder: Path, count: int) -> list[Path]:
    """So many recordings of 5 s, each with a call of the demo's first minute after 2 to 3 s."""
    minute, paths = render(plan()[0], 0).astype(np.float32), []
    for number in range(count):
        begin = round((plan()[0].truth[number % len(plan()[0].truth)].start_s - 2 - number / 100) * SAMPLE_RATE)
        paths.append(folder / f"{number}.wav")
        audio.write_wav(str(paths[-1]), np.roll(minute, -begin)[: 5 * SAMPLE_RATE, None], SAMPLE_RATE)
    return paths


def known_boxes(specs: Iterable[str], recordings: Iterable[Path]) -> Known:
    """What each detector alone finds in each recording."""
    known: Known = {}
    for detector in map(load_detector, specs):
        for path in recordings:
            [found] = detector.detect([audio.read(str(path))])
            known[str(detector.model_run), path.stem] = [(item.event.start_s, item.event.end_s) for item in found]
    return known


def judge(results: list[dict[str, Any]], names: list[str], known: Known) -> str:
    """Whether an answer's boxes are those of the version that it names, the same version for all sessions."""
    versions = {result.get("model_version") for result in results}
    if len(results) != len(names) or len(versions) != 1:
        return "mixed"
    for name, result in zip(names, results, strict=True):
        times = [(region["value"]["start"], region["value"]["end"]) for region in result["result"]]
        if times != known.get((result["model_version"], name)):
            return "mixed"
    return "right"


@contextmanager
def clients(url: str, count: int, names: list[str], known: Known) -> Iterator[Counter[str]]:
    """So many clients ask for predictions of these recordings, one request after the other, for the time of the block.

    The counter says how many answers were right, mixed or failed; it is complete after the block.
    """
    total, ended = Counter[str](), threading.Event()
    versions = {version for version, _ in known}
    tasks = [{"id": number, "data": {"audio": f"{LOCAL}{name}.wav"}} for number, name in enumerate(names)]
    body = {"tasks": tasks, "label_config": CONFIG, "project": "1.1", "params": {}}

    def ask(turn: int) -> Counter[str]:
        counts = Counter[str]()
        with httpx.Client(base_url=url, timeout=240) as client:
            while not ended.is_set():
                turn += 1
                try:
                    if turn % 4:
                        said = judge(client.post("/predict", json=body).raise_for_status().json()["results"], names, known)
                    else:
                        told = client.post("/setup", json={"project": "1.1", "schema": CONFIG}).raise_for_status().json()
                        said = "right" if told["model_version"] in versions else "mixed"
                except (httpx.HTTPError, KeyError, ValueError):
                    said = "failed"
                counts[said] += 1
        return counts

    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(ask, seed) for seed in range(count)]
        try:
            yield total
        finally:
            ended.set()
    for one in asked:
        total.update(one.result())


def serving(url: str) -> dict[str, float]:
    """How many workers serve each model version, as the metrics have it."""
    lines = httpx.get(f"{url}/metrics", timeout=240).text.splitlines()
    found = [line for line in lines if line.startswith("podcast_ml_model_info{")]
    counts = {line.split('model_version="')[1].split('"')[0]: float(line.split()[-1]) for line in found}
    return {version: count for version, count in counts.items() if count}
