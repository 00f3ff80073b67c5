"""A registry of models in a cloud: the same as on a disk, and numbers that two processes cannot take both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from detectors import load_detector
from detectors.registry import Promotion, Registry, spec_in_service
from podcast import storage
from podcast.errors import InputError
from podcast.settings import Settings
from tests.cloud.conftest import Rig
from tests.detectors.test_registry import run


def test_added_promoted_and_served_from_any_place(rig: Rig, tmp_path: Path) -> None:
    registry = Registry(storage.join(rig.root, "models of 2026"))
    settings = Settings(ml_registry=registry.uri)
    assert (registry.models(), spec_in_service(settings)) == ([], "energy")
    first, second = (registry.add(run(tmp_path / f"run {number}", number / 10)) for number in (1, 2))
    registry.promote(first.name, "gate", "fewer edits")
    assert registry.get(first.name[:-1]) == first
    assert load_detector(spec_in_service(settings)).model_run.version == first.version
    start = Barrier(2)

    def promote(_: int) -> Promotion | InputError:
        start.wait()
        try:
            return Registry(registry.uri).promote(second.name, "gate", "", after=1)
        except InputError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(promote, range(2)))
    # Whoever comes later is told, or finds that it serves already.
    assert [one.model for one in registry.history()] == [first.name, second.name]
    assert all(isinstance(one, InputError) or one.number == 2 for one in made)
    if rig.proxy:
        rig.proxy.log.clear()
    assert Registry(registry.uri).in_service() == second.name
    assert registry.rollback("").model == first.name
    if rig.proxy:
        assert [one.model for one in registry.history()] == [first.name, second.name, first.name]
        rig.proxy.log.clear()
        assert registry.in_service() == first.name
        assert len(rig.proxy.log) == 1  # one listing, since a promotion does not change
