"""Targets: every importer and every other reader of files, each as its command calls it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from importers.hls import parse_playlist
from importers.windows import read_windows
from podcast.errors import InputError
from podcast.times import parse_moment, parse_session_name, parse_utc
from tests.fuzz.command_line import run
from tests.fuzz.counts import boxes_of_file, boxes_of_rows, damaged
from tests.fuzz.harness import BrokenRuleError, Case, Outcome, Target, strict_json
from tests.fuzz.mutators import (
    SECRETS,
    TEXTS,
    Rows,
    any_name,
    any_value,
    damage_bytes,
    damage_header,
    damage_table,
    to_table,
)
from tests.fuzz.seeds import Seeds

PLAIN_WAV = re.compile(r"[\w-]+\.wav")


def targets(seeds: Seeds) -> Iterator[Target]:
    """All of them."""
    for kind in ("podcast-json", "podcast-predictions", "podcast-annotations"):
        yield Target(kind, partial(_file, seeds), partial(_read_file, kind, seeds))
    yield Target("orcahello", partial(_detections, seeds), partial(_read_file, "orcahello", seeds))
    windows = seeds.rows("podcast_eval/FastAI-ResNet50_R1to12.tsv", "\t", 20)
    labels = seeds.rows("podcast_eval/podcast_test_round1.test.tsv", "\t", 1)
    labels += [[f"{number}.wav", "0", "0", *labels[1][3:]] for number in range(2)]
    for name, kind, rows in (
        ("predictions-tsv, windows", "predictions-tsv", windows),
        ("predictions-tsv, boxes", "predictions-tsv", seeds.boxes_table),
        ("dataset", "dataset", labels),
    ):
        yield Target(name, partial(_table, rows, "\t"), partial(_read_table, kind, seeds))
    yield Target("wav-folder", partial(_sound, seeds), partial(_read_folder, seeds))
    yield Target("names and times", _name, _read_name)
    yield Target("windows", partial(_windows, seeds), _read_windows)
    yield Target("rounds file", partial(_yaml, seeds, "ROUND_INFO_CONFIG.yaml"), partial(_read_rounds, seeds))
    yield Target("credentials", partial(_creds, seeds), _read_creds)
    yield Target("playlist", partial(_playlist, seeds), _read_playlist)


def _file(seeds: Seeds, chance: Random) -> Case:
    if chance.random() < 0.15:
        content = damage_bytes(chance, seeds.old_file)
        try:
            return Case(content, ast.literal_eval(content.decode()))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return Case(content)
    return damaged(chance, chance.choice(seeds.load_files))


def _detections(seeds: Seeds, chance: Random) -> Case:
    stored = {**seeds.label("orcahello/OrcaHelloDetection.json"), "timestamp": "2023-10-13T22:43:10.5Z", "tags": ["S01", "click"]}
    stored["location"] = {**stored["location"], "id": "rpi_sunset_bay"}
    return damaged(chance, chance.choice((stored, [stored, {**stored, "audioUri": "https://x/other.wav"}])))


def _read_file(kind: str, seeds: Seeds, case: Case, folder: Path, outcome: Outcome) -> None:
    path = folder / "file.json"
    path.write_bytes(case.content)
    if case.value is not None:
        outcome.brought["file"] = boxes_of_file(case.value)
    _, tasks = _into_tasks(kind, path, seeds, outcome)
    outcome.kept["file"] = sum(map(_boxes, tasks))


def _table(seed: Rows, delimiter: str, chance: Random) -> Case:
    if chance.random() < 0.25:
        return Case(damage_bytes(chance, to_table(chance, seed, delimiter)))
    rows = damage_table(chance, seed)
    content = to_table(chance, rows, delimiter)
    return Case(content, rows)


def _read_table(kind: str, seeds: Seeds, case: Case, folder: Path, outcome: Outcome) -> None:
    path = folder / "table.tsv"
    path.write_bytes(case.content)
    # Windows are joined, and odd names are a matter of their own: of both nothing can be said here.
    compared = case.value and ("confidence" not in case.value[0] or "model_version" in case.value[0])
    for name, boxes in boxes_of_rows(case.value).items() if compared else ():
        if PLAIN_WAV.fullmatch(name):
            outcome.brought[name.removesuffix(".wav")] += len(boxes)
    for task in _into_tasks(kind, path, seeds, outcome)[1]:
        outcome.kept[task["data"]["session_id"]] += _boxes(task)


def _into_tasks(kind: str, path: Path, seeds: Seeds, outcome: Outcome) -> tuple[dict[str, Any], list[Any]]:
    """What `podcast tasks` prints and writes of a source; every session has audio, or none has."""
    to = path.parent / "tasks.json"
    audio = ("--audio", str(seeds.minutes)) if sum(outcome.brought.values()) % 2 else ()
    options = ("--from", kind, "-o", str(to), "--threshold", "0", *audio, "--json")
    printed = run(outcome, "tasks", str(path), *options)
    outcome.named = printed.get("refused", 0)
    if "written" not in printed:
        outcome.named = sum(outcome.brought.values())  # nothing was written, and that was said
        return printed, []
    tasks = strict_json(to.read_text())
    if len(tasks) != printed["written"]:
        raise BrokenRuleError(f"tasks: {printed['written']} counted, {len(tasks)} written")
    return printed, tasks


def _boxes(task: dict[str, Any]) -> int:
    results = [*task["predictions"], *task.get("annotations", [])]
    return sum(region["from_name"] == "label" for result in results for region in result["result"])


def _sound(seeds: Seeds, chance: Random) -> Case:
    sound = chance.choice(seeds.sounds)
    content = damage_header(chance, sound) if chance.random() < 0.3 else damage_bytes(chance, sound)
    name = any_name(chance).replace("/", "-").replace("\0", "").encode("utf-8", "replace").decode()[:60]
    return Case(content, name)


def _read_folder(seeds: Seeds, case: Case, folder: Path, outcome: Outcome) -> None:
    """Every file is a session or refused; those whose names begin with a dot are hidden."""
    source = folder / "source"
    source.mkdir()
    for name in (case.value, f"{case.value}_0001", "rpi_x_2020_11_01_01_59_55_PDT"):
        (source / f"{name}.wav").write_bytes(case.content)
    printed, tasks = _into_tasks("wav-folder", source, seeds, outcome)
    seen = sum(path.is_file() and not path.name.startswith(".") for path in source.iterdir())  # `listening/` holds copies
    if "written" in printed and len(tasks) + printed["refused"] != seen:
        raise BrokenRuleError(f"files: {seen} became {len(tasks)} sessions and {printed['refused']} refusals")


def _name(chance: Random) -> Case:
    return Case(f"{any_name(chance)}\n{chance.choice(TEXTS)}".encode("utf-8", "replace"))


def _read_name(case: Case, _: Path, outcome: Outcome) -> None:
    for read in (parse_session_name, parse_utc, parse_moment):
        for text in case.content.decode().split("\n"):
            with suppress(InputError):
                outcome.answers.append(read(text))


def _windows(seeds: Seeds, chance: Random) -> Case:
    kind = chance.randrange(4)
    if kind == 3:
        return _table(seeds.rows("pods_ai/detections.csv", ",", 1), ",", chance)
    if kind == 0:
        seed = [["node", "start", "end"], ["rpi_orcasound_lab", "2020-10-01T02:40:00Z", "2020-10-01T02:41:00Z"]]
        return Case(_table(seed, ",", chance).content)
    bout = {"node": "rpi_bush_point", "startTime": "2020-10-01T02:40:00Z", "endTime": "2020-10-01T02:41:00.5+02:00"}
    detections = [
        seeds.label("orcahello/OrcaHelloDetection.json"),
        bout,
        {"attributes": bout, "relationships": {"feed": {"id": "x"}}},
    ]
    return damaged(chance, detections if kind == 1 else {"data": detections})


def _read_windows(case: Case, folder: Path, outcome: Outcome) -> None:
    path = folder / "windows.json"
    path.write_bytes(case.content)
    windows, refusals = read_windows(str(path), margin_s=30.0)
    outcome.answers.append(windows)
    entries = [item for item in case.value if not isinstance(item, list)] if isinstance(case.value, list) else []
    if any(isinstance(item, dict) for item in entries) and len(windows) + len(refusals) == 0 and "start" in str(entries):
        raise BrokenRuleError(f"windows: none of {len(entries)} entries, and none refused")


def _yaml(seeds: Seeds, name: str, chance: Random) -> Case:
    content = (seeds.data / "labels/rounds" / name).read_bytes()
    kind = chance.randrange(4)
    if kind == 0:
        return Case(damage_bytes(chance, content))
    lines = content.decode().splitlines()
    number = chance.randrange(len(lines))
    key, colon, _ = lines[number].partition(":")
    if kind == 1:
        lines[number] = chance.choice(
            (f"\t{lines[number]}", f" {lines[number]}", f"{key}", f"- {lines[number]}", "? [a]: b", "---")
        )
    else:
        worse = (
            "*a",
            "&a [*a]",
            "!!python/object:os.system x",
            "2020-13-45",
            "{[]: 1}",
            "[" * 3000,
            "0o9",
            ".nan",
            "!!binary x",
            "|",
        )
        lines[number] = f"{key}{colon} {chance.choice((*TEXTS, *worse, json.dumps(any_value(chance))))}"
    return Case("\n".join(lines).encode("utf-8", "surrogatepass"))


def _read_rounds(seeds: Seeds, case: Case, folder: Path, outcome: Outcome) -> None:
    path = folder / "rounds.yaml"
    path.write_bytes(case.content)
    run(outcome, "import", str(seeds.minutes), "--round", "round3", "--rounds-file", str(path), "--json")


def _creds(seeds: Seeds, chance: Random) -> Case:
    case = _yaml(seeds, "CREDS.yaml", chance)
    filled = case.content.replace(b"CONTAINER/FILENAME", b"deployment/rounds.yaml")
    for word in (b"account", SECRETS[0].encode()):
        filled = filled.replace(b"PLACEHOLDER", word, 1)
    return Case(damage_bytes(chance, filled) if chance.random() < 0.2 else filled)


def _read_creds(case: Case, folder: Path, outcome: Outcome) -> None:
    path, rounds = folder / "CREDS.yaml", folder / "deployment"
    path.write_bytes(case.content)
    rounds.mkdir()
    (rounds / "rounds.yaml").write_text("round_info: {round1: {text: a}}")
    run(outcome, "account", str(path), "--root", str(folder), "--json")
    if (folder / "ANNOTATIONS-round1").is_dir():
        raise BrokenRuleError("credentials: a server that is away was written to")


def _playlist(seeds: Seeds, chance: Random) -> Case:
    content = next((seeds.data / "hls").rglob("live.m3u8")).read_bytes()
    if chance.random() < 0.4:
        return Case(damage_bytes(chance, content))
    lines = content.decode().splitlines()
    for _ in range(chance.choice((1, 2))):
        number = chance.randrange(len(lines))
        lines[number] = chance.choice(
            ("", "#EXTINF:", f"#EXTINF:{chance.choice(TEXTS)},", chance.choice(TEXTS), lines[number] * 2)
        )
    return Case("\n".join(lines).encode("utf-8", "surrogatepass"))


def _read_playlist(case: Case, _: Path, outcome: Outcome) -> None:
    outcome.answers.append(parse_playlist(case.content.decode(errors="replace"), "live.m3u8"))
