"""The registry of models: what is taken, under which name, what is in service, and what a kill or a second process leaves."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detectors import known_detector, load_detector
from detectors.energy import EnergyDetector
from detectors.model_folder import CONFIG, Model, read_model, seal
from detectors.registry import Registry, Verdict, spec_in_service
from detectors.rules import version
from podcast import storage
from podcast.errors import InputError, NotFoundError, Refusal
from podcast.settings import load_settings
from tests.detectors.test_rules import RULES


def run(folder: Path, least: float = 0.5) -> Path:
    """A finished run's folder: rules that `energy` boxes by, and what else lies there."""
    folder.mkdir()
    rules = replace(RULES, least=least, about={})
    (folder / "rules.json").write_text(json.dumps(rules.as_dict()))
    (folder / "README.md").write_text("# A model\n")
    (folder / "splits.json").write_text("{}")  # of the run, and no part of the model
    seal(
        folder,
        ["rules.json", "README.md"],
        detector="energy",
        version=version(RULES.strengths, rules),
        strengths=RULES.strengths,
        recipe="rules",
        parent="energy:1",
        rounds=["b", "a"],
        counts={"sessions": 20},
    )
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(str(tmp_path / "models"))


def three(registry: Registry, tmp_path: Path) -> list[Model]:
    return [registry.add(run(tmp_path / f"run {number}", number / 10)) for number in (1, 2, 3)]


def test_a_model_is_named_by_its_content_and_its_detector_by_its_weights_and_rules(registry: Registry, tmp_path: Path) -> None:
    model = registry.add(run(tmp_path / "run", 0.3))
    digest = hashlib.sha256((tmp_path / "run" / CONFIG).read_bytes()).hexdigest()
    assert model.name == f"energy-{digest[:12]}"
    assert sorted(tree(tmp_path / "models")) == [f"{model.name}/{name}" for name in ("README.md", "config.json", "rules.json")]
    assert (model.rounds, model.counts, model.parent, model.recipe) == (("a", "b"), {"sessions": 20}, "energy:1", "rules")
    loaded = load_detector(model.spec)
    assert str(loaded.model_run) == f"energy:{model.version}"
    assert isinstance(loaded, EnergyDetector)
    assert loaded.rules == replace(RULES, least=0.3, about={})
    assert known_detector(model.spec) == model.spec
    assert load_detector(f"{model.spec},rules=fixed").model_run == EnergyDetector().model_run


def test_the_same_work_is_the_same_model_and_writes_nothing(registry: Registry, tmp_path: Path) -> None:
    first = registry.add(run(tmp_path / "a"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "models").rglob("*")}
    assert registry.add(run(tmp_path / "b")) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "models").rglob("*")} == before
    assert registry.add(run(tmp_path / "c", 0.6)) != first
    assert [model.name for model in registry.models()] == sorted(model.name for model in registry.models())


def test_a_model_is_called_by_the_beginning_of_its_name(registry: Registry, tmp_path: Path) -> None:
    models = three(registry, tmp_path)
    assert registry.get(models[0].name) == registry.get(models[0].name[:-2]) == models[0]
    with pytest.raises(InputError, match=r"energy is the beginning of several models: energy-.*, energy-"):
        registry.get("energy")
    for name in ("starter", "energy-000000000000", "../models", "promotions"):
        with pytest.raises(InputError, match=rf"there is no model {name} in "):
            registry.get(name)
    assert Registry(str(tmp_path / "none")).models() == []


def test_promoted_rolled_back_and_remembered(registry: Registry, tmp_path: Path) -> None:
    a, b, c = (model.name for model in three(registry, tmp_path))
    assert (registry.in_service(), registry.last_promotion()) == (None, None)
    registry.promote(a, "gate", "fewer edits")
    registry.promote(b[:-1], "maintainer", "it is better at Port Townsend")
    assert registry.promote(b, "gate", "again") == registry.history()[1]  # it serves already
    assert registry.in_service() == b
    registry.rollback("false boxes")
    assert registry.in_service() == a
    registry.promote(c, "gate", "")
    assert [registry.rollback("").model for _ in range(2)] == [a, None]
    assert registry.in_service() is None
    with pytest.raises(InputError, match="no promotion is in force"):
        registry.rollback("once more")
    assert [(one.number, one.model, one.before, one.by) for one in registry.history()] == [
        (1, a, None, "gate"),
        (2, b, a, "maintainer"),
        (3, a, b, "rollback"),
        (4, c, a, "gate"),
        (5, a, c, "rollback"),
        (6, None, a, "rollback"),
    ]
    assert registry.history()[1].why == "it is better at Port Townsend"
    assert registry.promote(a, "gate", "").number == 7


def test_what_is_promoted_serves_wherever_no_detector_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_DETECTOR", "energy,rules=fixed")
    settings = load_settings()
    assert settings.ml_registry == ".podcast/models"
    assert spec_in_service(settings) == "energy,rules=fixed"
    registry = Registry(settings.ml_registry)
    model = registry.add(run(tmp_path / "run"))
    assert spec_in_service(settings) == "energy,rules=fixed"  # added is not promoted
    registry.promote(model.name, "gate", "")
    assert spec_in_service(settings) == f"model:{tmp_path}/.podcast/models/{model.name}"
    assert load_detector(spec_in_service(settings)).model_run.version == model.version
    monkeypatch.setenv("ML_REGISTRY", "a,b")
    with pytest.raises(InputError, match="ML_REGISTRY: a,b has a comma"):
        spec_in_service(load_settings())


def test_a_maintainer_who_overrules_the_gate_says_why(registry: Registry, tmp_path: Path) -> None:
    a, b, _ = (model.name for model in three(registry, tmp_path))
    registry.record_verdict(a, Verdict(False, "edits a minute rise from 4 to 5", {"edits": 5.0}))
    assert registry.verdict(a) == Verdict(False, "edits a minute rise from 4 to 5", {"edits": 5.0})
    assert registry.verdict(b) is None
    with pytest.raises(InputError, match=rf"{a}: the gate refused it: edits a minute rise from 4 to 5; say why"):
        registry.promote(a, "maintainer", " ")
    assert registry.in_service() is None
    assert registry.promote(a, "maintainer", "the test set was wrong").why == "the test set was wrong"
    registry.promote(b, "maintainer", "")  # nobody refused it


def test_of_two_promotions_at_once_the_later_is_refused(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (model.name for model in three(registry, tmp_path))
    real = storage.replace

    def overtaken(uri: str, old: bytes | None, new: bytes) -> bool:
        monkeypatch.setattr(storage, "replace", real)
        registry.promote(a, "gate", "quicker")
        return real(uri, old, new)

    monkeypatch.setattr(storage, "replace", overtaken)
    with pytest.raises(InputError, match=rf"somebody else promoted meanwhile, {a} is in service by promotion 1"):
        registry.promote(b, "gate", "slower")
    assert [one.model for one in registry.history()] == [a]
    registry.promote(b, "gate", "", after=1)
    with pytest.raises(InputError, match=rf"{b} is in service by promotion 2"):
        registry.promote(c, "gate", "judged against the first", after=1)


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_killed_at_any_write_and_repeated_it_is_the_same_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path / "run")

    def work(registry: Registry) -> None:
        name = registry.add(folder).name
        registry.record_verdict(name, Verdict(True, "fewer edits", {"edits": 3.0}))
        registry.promote(name, "gate", "fewer edits")

    work(Registry(str(tmp_path / "undisturbed")))
    real, replaced = storage.write, storage.replace
    for killed_at in range(1, 6):
        registry, writes = Registry(str(tmp_path / f"killed {killed_at}")), 0

        def count(killed_at: int = killed_at) -> None:
            nonlocal writes
            writes += 1
            if writes == killed_at:
                raise KilledError

        def write(uri: str, content: bytes, count: Any = count) -> None:
            count()
            real(uri, content)

        def put(uri: str, old: bytes | None, new: bytes, count: Any = count) -> bool:
            count()
            return replaced(uri, old, new)

        monkeypatch.setattr(storage, "write", write)
        monkeypatch.setattr(storage, "replace", put)
        with pytest.raises(KilledError):
            work(registry)
        assert len(registry.models()) == (killed_at > 3)  # a folder without config.json is no model
        work(registry)
        assert tree(Path(registry.uri)) == tree(tmp_path / "undisturbed")


def test_damage_is_named_and_never_served(registry: Registry, tmp_path: Path) -> None:
    model, good, _ = three(registry, tmp_path)
    rules = Path(model.uri) / "rules.json"
    rules.write_bytes(rules.read_bytes() + b" ")
    with pytest.raises(InputError, match=rf"{rules}: damaged, its SHA-256"):
        load_detector(model.spec)
    with pytest.raises(InputError, match=rf"{rules}: damaged"):
        registry.promote(model.name, "maintainer", "")
    rules.unlink()
    with pytest.raises(InputError, match=rf"{rules}: missing"):
        registry.promote(model.name, "maintainer", "")
    assert registry.in_service() is None
    config = Path(model.uri) / CONFIG
    config.write_text(config.read_text().replace('"rules"', '"Rules"'))
    with pytest.raises(InputError, match=rf"{config}: changed after the model was made"):
        registry.get(model.name)
    [refusal] = [one for one in registry.found() if isinstance(one, Refusal)]
    assert refusal.where == model.name
    assert len(registry.models()) == 2
    registry.promote(good.name, "gate", "")
    (tmp_path / "models" / "promotions" / "00000001.json").rename(tmp_path / "models" / "promotions" / "00000002.json")
    with pytest.raises(InputError, match="one is missing"):
        registry.in_service()
    with pytest.raises(InputError, match=r"nothing: holds no finished model, config\.json is missing"):
        registry.add(tmp_path / "nothing")
    (tmp_path / "run 2" / "README.md").write_text("other")
    with pytest.raises(InputError, match=r"run 2/README\.md: damaged"):
        Registry(str(tmp_path / "elsewhere")).add(tmp_path / "run 2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2, "code": "3.0"}, r"made by a newer version of this program \(3\.0, format 2\)"),
        ({"files": {"../rules.json": "0" * 64}}, r"files: '\.\./rules\.json' is no file that a model may have"),
        ({"files": {"/etc/passwd.json": "0" * 64}}, "is no file that a model may have"),
        ({"files": {"model.pt": "0" * 64}}, "never a pickle"),
        ({"files": {"model.safetensors.pkl": "0" * 64}}, "never a pickle"),
        ({"files": {"config.json": "0" * 64}}, "is no file that a model may have"),
        ({"files": {"rules.json": "0"}}, r"files\.rules\.json: expected a SHA-256"),
        ({"files": 3}, "describes no model"),
        ({"counts": {"sessions": "many"}}, "describes no model"),
        ({"detector": "../energy"}, "is no detector's name"),
        ({"detector": "model"}, "a model of 'model'; this version has energy, orcahello-v1, starter"),
        ({"detector": "orca-next"}, "there is no detector 'orca-next'"),
        ({"strengths": "2-00000000"}, r"made for energy:2-00000000 by version .*train it again"),
    ],
)
def test_configs_that_are_none_or_of_another_version_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    config = run(tmp_path / "run") / CONFIG
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(InputError, match=words):
        load_detector(f"model:{tmp_path}/run")


def test_a_folder_without_a_model_and_a_spec_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"config\.json: there is no such file"):
        load_detector(f"model:{tmp_path}")
    with pytest.raises(InputError, match="expected model:URI"):
        read_model("")
    config = run(tmp_path / "run") / CONFIG
    config.write_text(json.dumps({name: value for name, value in json.loads(config.read_text()).items() if name != "parent"}))
    with pytest.raises(InputError, match=r"describes no model \(KeyError: 'parent'\)"):
        read_model(str(tmp_path / "run"))
