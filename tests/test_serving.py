"""What is promoted serves without a restart: in one process, then in all workers of a real gunicorn that people are asking."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import detectors
from demo.servers import Account, learning, ml_backend
from detectors import load_detector
from detectors.model_folder import Model
from detectors.registry import MAINTAINER, Registry
from ml_backend import serving as module
from ml_backend.app import create_app
from ml_backend.serving import Serving, load_service, serving
from podcast.settings import Settings
from podcast.storage import azure, s3
from tests.conftest import TIMEOUT_S
from tests.ports import own_port
from tests.promotions import add_model, clients, known_boxes, write_calls
from tests.promotions import serving as served


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(learning(tmp_path / "ml")["ML_REGISTRY"])


@pytest.fixture
def settings(registry: Registry, tmp_path: Path) -> Settings:
    return Settings(ml_registry=registry.uri, ml_cache_dir=tmp_path / "cache")


def promote(registry: Registry, model: Model) -> str:
    """The version that serves from now on."""
    registry.promote(model.name, MAINTAINER, "a test")
    return str(load_detector(model.spec).model_run)


def version_of(process: Serving) -> str:
    return str(process.service.detector.model_run)


def test_what_is_promoted_serves_and_what_was_taken_before_stays_as_it_was(
    registry: Registry, settings: Settings, tmp_path: Path
) -> None:
    process = Serving(settings)
    before = process.service
    assert version_of(process) == str(load_detector("energy").model_run)
    version = promote(registry, add_model(registry, tmp_path / "run", 0.2))
    process.look()
    assert version_of(process) == version
    assert str(before.detector.model_run) != version  # a request that is being answered goes on with what it took
    assert (before.cache, before.room, before.audio) == (process.service.cache, process.service.room, process.service.audio)
    old = weakref.ref(before.detector)
    del before
    gc.collect()
    assert old() is None
    registry.rollback("a test")
    process.look()
    assert version_of(process) == str(load_detector("energy").model_run)
    assert version_of(Serving(settings)) == version_of(process)


def damage(model: Model, _: pytest.MonkeyPatch) -> None:
    path = Path(model.uri) / "rules.json"
    path.write_bytes(path.read_bytes() + b" ")


def take_torch_away(_: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "NEED_TORCH", frozenset({"energy"}))
    monkeypatch.setattr(detectors, "find_spec", lambda _: None)


def lose_the_registry(model: Model, _: pytest.MonkeyPatch) -> None:
    (Path(model.uri).parent / "promotions" / "00000002.json").write_text("no promotion")


@pytest.mark.parametrize(
    ("fault", "told", "logged"),
    [
        (damage, "{} is promoted and cannot be loaded", "damaged"),
        (take_torch_away, "{} is promoted and cannot be loaded", "needs torch"),
        (lose_the_registry, "the registry of models cannot be read", "not JSON"),
    ],
)
def test_what_cannot_be_loaded_leaves_the_one_in_service_and_is_told_once(
    fault: Callable[[Model, pytest.MonkeyPatch], None],
    told: str,
    logged: str,
    registry: Registry,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    first, second = (add_model(registry, tmp_path / f"run {number}", number / 10) for number in (1, 2))
    version = promote(registry, first)
    process = Serving(settings)
    promote(registry, second)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        fault(second, patch)
        for _ in range(3):
            process.look()
        assert (version_of(process), process.problem) == (version, told.format(second.name))
        [record] = [record.getMessage() for record in caplog.records]
        assert record.startswith(process.problem) and logged in record
    if fault is take_torch_away:  # and what is mended serves
        process.look()
        assert (version_of(process), process.problem) == (str(load_detector(second.spec).model_run), "")
    else:  # a process that starts now has none in service yet: the setting's detector is better than none
        assert version_of(Serving(settings)) == str(load_detector("energy").model_run)


def test_health_and_metrics_say_that_the_promoted_model_is_not_served(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_REGISTRY", registry.uri)
    monkeypatch.setattr(module, "LOOK_S", TIMEOUT_S)  # the test itself looks
    serving.cache_clear()
    client = create_app().test_client()

    def told() -> tuple[str | None, list[str]]:
        problem = client.get("/health").get_json().get("problem")
        return problem, [line for line in client.get("/metrics").text.splitlines() if line.startswith("podcast_ml_prom")]

    assert told() == (None, ["podcast_ml_promoted_served 1.0"])
    model = add_model(registry, tmp_path / "run", 0.2)
    promote(registry, model)
    damage(model, monkeypatch)
    serving().look()
    assert told() == (f"{model.name} is promoted and cannot be loaded", ["podcast_ml_promoted_served 0.0"])
    serving.cache_clear()


def test_a_process_keeps_looking_until_nobody_serves_with_it(
    registry: Registry, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server does that forks no workers, such as label-studio-ml's own."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "load_settings", lambda: settings)
    serving.cache_clear()
    load_service()
    version = promote(registry, add_model(registry, tmp_path / "run", 0.2))
    deadline = time.monotonic() + TIMEOUT_S
    while str(load_service().detector.model_run) != version:
        assert time.monotonic() < deadline
    thread = serving()._thread
    serving.cache_clear()
    assert thread
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def test_a_forked_worker_makes_connections_of_its_own() -> None:
    """Two processes on one connection would read each other's answers: the registry may lie in a cloud."""
    clients = (
        partial(s3._client, "", "us-east-1", True),
        partial(azure._cached_service, "https://x.blob.core.windows.net", "", "", ""),
    )
    for client in clients:
        ours = client()
        assert client() is ours
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            assert pool.submit(_is_new, client, id(ours)).result(TIMEOUT_S)


def _is_new(client: Callable[[], object], known: int) -> bool:
    return id(client()) != known


def test_promotions_under_load_fail_no_request_and_mix_no_answer(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = write_calls(tmp_path / "audio", 3)
    models = [add_model(registry, tmp_path / f"run {number}", number / 10) for number in range(3)]
    known = known_boxes(["energy", *(model.spec for model in models)], recordings)
    assert len({str(known[version, recordings[0].stem]) for version, _ in known}) == 4  # each gives other boxes
    monkeypatch.setenv("ML_CACHE_MAX_ENTRIES", "2")  # most answers are made anew
    port, account = own_port(), Account("", "", "0" * 40)
    with ml_backend(tmp_path / "ml", port, "http://127.0.0.1:1", tmp_path, account):
        url, names = f"http://127.0.0.1:{port}", [path.stem for path in recordings]
        with clients(url, 4, names, known) as counts:
            for model in models:
                version = promote(registry, model)
                deadline = time.monotonic() + TIMEOUT_S
                while served(url) != {version: 2}:
                    assert time.monotonic() < deadline, served(url)
    assert counts["right"] > 0 and counts == {"right": counts["right"]}
