"""The wheel by itself, and Label Studio's own environment, which `podcast demo` makes where it finds none."""

from __future__ import annotations

import email
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from demo import install
from demo.install import CONSTRAINTS, WHOLE, find_label_studio, install_label_studio
from podcast.errors import ServiceError
from tests.conftest import ROOT, TIMEOUT_S

ABSENT = ("torch", "torchaudio", "safetensors", "label_studio_ml", "ray")
GUARD = f"""
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {ABSENT!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of executables of an environment with the wheel in it, which sees this one's libraries, but none of `ABSENT`."""
    place = tmp_path_factory.mktemp("core") / "venv"
    venv.create(place, symlinks=True)
    [libraries] = place.glob("lib/python*/site-packages")
    (libraries / "guard.py").write_text(GUARD)
    (libraries / "guard.pth").write_text("import guard\n")
    (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(place)]
    subprocess.run([*command, str(wheel)], check=True)
    return place / "bin"


def run(core: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ML_", "LABEL_STUDIO_", "PYTHON"))}
    env["LABEL_STUDIO_COMMAND"] = str(find_label_studio())
    command = [str(core / "podcast"), *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=2 * TIMEOUT_S, check=False)


def test_the_wheel_holds_what_the_code_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    # The add-on runs in Label Studio's environment and is no part of the package.
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "label_studio_addon"}
    ours = {name for name in tracked if name.partition("/")[0] in packages and not Path(name).name.startswith("Dockerfile")}
    assert ours | {"label_config.xml"} <= names
    assert {
        "podcast/nodes.tsv",
        "podcast/vocabulary.csv",
        "importers/tags.tsv",
        "detectors/starter.safetensors",
        "detectors/starter.rules.json",
        "detectors/energy.rules.json",
        f"demo/{CONSTRAINTS.name}",
    } <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)


def test_the_core_requires_no_torch_and_no_index_takes_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata: Message = email.message_from_bytes(archive.read(name))
    requires = metadata.get_all("Requires-Dist") or []
    core = " ".join(line for line in requires if "extra ==" not in line)
    assert "numpy" in core
    assert not any(word in core for word in ("torch", "safetensors", "label-studio-ml", "ray"))
    detectors = [line.partition("=")[0] for line in requires if line.endswith("extra == 'detectors'")]
    assert {"torch", "torchaudio"} <= set(detectors)
    assert metadata.get_all("Classifier") == ["Private :: Do Not Upload"]


def test_the_whole_loop_runs_from_the_wheel_in_an_empty_folder(core: Path, tmp_path: Path) -> None:
    done = run(core, tmp_path, "demo", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("detect", "x.wav", "--detector", "starter"), "starter"),
        (("detect", "x.wav", "--detector", "orcahello-v1:w.safetensors"), "orcahello-v1"),
        (("train", "--to", "run"), "podcast train"),
    ],
)
def test_what_needs_torch_says_how_to_get_it(core: Path, tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    done = run(core, tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {what} needs torch: pip install 'orcasound-podcast[detectors]'\n"
    assert list(tmp_path.iterdir()) == []


class TestLabelStudiosEnvironment:
    """With pip's own resolver and wheels of the right names and versions that hold next to nothing, in place of 800 MB."""

    @pytest.fixture(autouse=True)
    def shop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder that pip alone looks into, on a machine that has no Label Studio."""
        pinned = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)
        shop = tmp_path / "shop"
        shop.mkdir()
        for package in install.PACKAGES:
            name, version = package.replace("-", "_"), pinned[package]
            info = f"{name}-{version}.dist-info"
            with zipfile.ZipFile(shop / f"{name}-{version}-py3-none-any.whl", "w") as made:
                made.writestr(f"{name}_stand_in.py", "def main():\n    print('Label Studio itself')\n")
                made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
                made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                made.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{package} = {name}_stand_in:main\n")
                made.writestr(f"{info}/RECORD", "")
        for name in ("LABEL_STUDIO_COMMAND", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shop), "PIP_CONFIG_FILE": os.devnull}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.setattr(install, "BESIDE", tmp_path / "nothing")
        return shop

    def test_it_is_made_once_and_said(self, tmp_path: Path) -> None:
        assert find_label_studio() is None
        said: list[str] = []
        install_label_studio(said.append)
        [words] = said
        assert words.startswith(f"Installing Label Studio into {tmp_path / 'cache' / 'orcasound-podcast'}")
        found = find_label_studio()
        assert found is not None
        assert subprocess.run([found], capture_output=True, text=True, check=True).stdout == "Label Studio itself\n"
        install_label_studio(said.append)
        assert len(said) == 1

    def test_one_that_was_interrupted_is_made_anew(self, tmp_path: Path) -> None:
        program = "from pathlib import Path; from demo import install; install.BESIDE = Path('nothing'); "
        program += "install.install_label_studio(print)"
        with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that takes requests and never answers
            env = {**os.environ, "PIP_NO_INDEX": "0", "PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple"}
            interrupted = subprocess.Popen(
                [sys.executable, "-c", program],
                env={**env, "PIP_FIND_LINKS": ""},
                # A test run in the background ignores SIGINT, and its children would too.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            silent.settimeout(TIMEOUT_S)
            silent.accept()  # pip is at it
            interrupted.send_signal(signal.SIGINT)
            assert interrupted.wait(TIMEOUT_S) != 0
        [begun] = (tmp_path / "cache" / "orcasound-podcast").glob("label-studio-*/bin/python")
        assert find_label_studio() is None
        install_label_studio(lambda _: None)
        assert find_label_studio() == begun.parent / "label-studio"

    def test_a_failure_is_told_and_nothing_counts_as_installed(self, shop: Path) -> None:
        next(shop.iterdir()).unlink()
        with pytest.raises(ServiceError, match=r"the installation of Label Studio ended with status 1: ERROR: .*; see .*\.log"):
            install_label_studio(lambda _: None)
        assert find_label_studio() is None

    def test_a_half_built_one_beside_the_project_does_not_count(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        beside = tmp_path / "beside"
        (beside / "bin").mkdir(parents=True)
        (beside / "bin" / "label-studio").touch()
        monkeypatch.setattr(install, "BESIDE", beside)
        assert find_label_studio() is None
        (beside / WHOLE).touch()
        assert find_label_studio() == beside / "bin" / "label-studio"
