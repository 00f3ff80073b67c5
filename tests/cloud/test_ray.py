"""The Ray engine on a cluster of several nodes of this machine, with one killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import Known, LocalEngine
from pipeline.job import Job, run
from podcast.errors import StorageError
from podcast.model import Session
from podcast.report import Report
from tests.cloud import fake_detector, stages
from tests.cloud.archive import long_archive
from tests.cloud.test_hls import at, wavs

ray: Any = pytest.importorskip("ray", reason="the extra [ray] is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()  # type: ignore[no-untyped-call]


def test_a_node_that_dies_costs_nothing_and_doubles_nothing(cluster: Any, tmp_path: Path) -> None:
    from pipeline.on_ray import RayEngine

    archive, node, seconds = long_archive(tmp_path / "archive", repeats=20)
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    engine = RayEngine(cluster.address, workers=2)
    job = Job(archive, node, at(2), at(2 + seconds), str(tmp_path / "wav"), tmp_path / "work", 30, fake_detector.load)
    found, killed = [], False
    for item in run(job, engine, Report()):
        found.append(item)
        if not killed:
            cluster.remove_node(second, allow_graceful=False)
            killed = True
    assert killed
    alone = tmp_path / "alone"
    same = Job(archive, node, at(2), at(2 + seconds), str(alone / "wav"), alone / "work", 30, fake_detector.load)
    expected = list(run(same, LocalEngine(1), Report()))
    assert [item.id for item in found if isinstance(item, Session)] == [item.id for item in expected if isinstance(item, Session)]
    assert len(found) > 30
    assert [item.detections for item in found] == [item.detections for item in expected]  # type: ignore[union-attr]
    assert wavs(tmp_path) == wavs(alone)


def test_both_engines_keep_order_pass_known_results_and_raise_what_stages_raise(cluster: Any) -> None:
    from pipeline.on_ray import RayEngine

    for engine in (LocalEngine(2), RayEngine(cluster.address, workers=2)):
        for model in (False, True):
            items = [1, 2, Known("known"), 3, 4, 5]
            assert list(engine.map(stages.square, iter(items), model=model)) == [1, 4, "known", 9, 16, 25]
            with pytest.raises(StorageError, match="no such thing"):
                list(engine.map(stages.fail, iter([1]), model=model))


def test_a_model_is_held_by_an_actor_where_there_is_a_gpu(cluster: Any) -> None:
    from pipeline.on_ray import RayEngine

    node = cluster.add_node(num_cpus=1, num_gpus=1)  # Ray counts GPUs as it is told; the stage needs none.
    cluster.wait_for_nodes()
    try:
        engine = RayEngine(cluster.address, workers=2)
        made = list(engine.map(stages.Counting(), iter(range(20)), model=True))
        assert made == [(number, True) for number in range(1, 21)]
    finally:
        cluster.remove_node(node)


def test_a_process_loads_a_model_once(cluster: Any) -> None:
    from pipeline.on_ray import RayEngine

    calls = [number for number, _ in RayEngine(cluster.address, workers=1).map(stages.Counting(), iter(range(20)), model=True)]
    # One process may be replaced by another, but does not begin anew with every item.
    assert max(calls) > 5


def test_neither_engine_runs_far_ahead(cluster: Any) -> None:
    from pipeline.on_ray import RayEngine

    for engine in (LocalEngine(2), RayEngine(cluster.address, workers=2)):
        taken: list[int] = []
        results = engine.map(stages.square, (taken.append(number) or number for number in range(1000)))  # type: ignore[func-returns-value]
        assert next(results) == 0
        assert len(taken) <= 8
        results.close()  # type: ignore[attr-defined]
