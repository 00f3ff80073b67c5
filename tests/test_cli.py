"""The command line as a newcomer meets it: help, the README, bad input."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.table import Table

from cli.main import COMMANDS, cli
from cli.output import print_table, progress
from tests.conftest import ROOT, write_noise

README = (ROOT / "README.md").read_text()


def run(*words: object, **env: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, [str(word) for word in words], env={"LABEL_STUDIO_API_KEY": "", **env})
    return result.exit_code, result.stdout, result.stderr


def command_of(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def test_help_lists_every_command_and_its_words() -> None:
    status, out, _ = run("--help")
    assert status == 0
    for name, (_, words) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(words)}$", out, re.MULTILINE), name
    assert run("expotr", "--help")[0] == 2


# None is needed to read what a command takes, and each costs a tenth of a second to two seconds.
HEAVY = ["torch", "scipy", "sklearn", "pandas", "matplotlib", "label_studio_sdk", "boto3", "azure"]
HEAVY += ["pydantic_settings", "av", "httpx"]


@pytest.mark.parametrize("words", ["--help", "import --help", "export --help", "tasks --help"])
def test_help_imports_no_heavy_library(words: str) -> None:
    program = "import sys\nfrom cli.main import cli\ntry:\n    cli()\nfinally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program, *words.split()], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    assert set(done.stderr.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_in_the_readme(name: str) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"`podcast {name}" in README
    command = command_of(name)
    assert command.help and command.help[0].isupper()
    assert " ".join(command.help.split()).startswith(COMMANDS[name][1])
    for option in (item for item in command.params if isinstance(item, click.Option)):
        assert option.help, f"{name} {option.opts} has no help"
        assert option.opts[-1] in out


def test_the_contract_s_options_are_there() -> None:
    """The command line that other tools call, as the design fixes it."""
    contract = {
        "demo": ["--check", "--port", "--ml-port", "--dir"],
        "import": ["--round", "--from", "--audio", "--project"],
        "tasks": ["-o"],
        "export": ["--round", "--to", "--format", "--file"],
        "rounds": [],
        "doctor": [],
    }
    for name, options in contract.items():
        known = {word for item in command_of(name).params for word in item.opts}
        assert known.issuperset(options), (name, known)


def test_commands_in_the_readme_exist() -> None:
    for name in re.findall(r"^\.venv/bin/podcast (\S+)", README, re.MULTILINE):
        assert name in COMMANDS, name


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["tasks", "nowhere.json", "-o", "out.json"], "nowhere.json: there is no such file"),
        (["tasks", "nowhere", "-o", "out.json"], "nowhere: there is no such folder"),
        (["tasks", ".", "-o", "out.json"], "holds neither session JSON, nor WAVs, nor a released dataset"),
        (["tasks", "gopher://x", "-o", "out.json"], "addresses of this kind cannot be read"),
        (["export", "--to", "out"], "name either --round or --file"),
        (["export", "--to", "out", "--round", "r", "--file", "f"], "name either --round or --file"),
        (["rounds"], "LABEL_STUDIO_API_KEY"),
        (["import", "x.json", "--round", "r"], "x.json: there is no such file"),
        (["import", "hls://x", "--round", "r"], "needs hls://NODE with --start and --end, or --windows"),
        (["import", "hls://x", "--round", "r", "--candidates-only", "--detector", "none"], "--candidates-only needs a detector"),
    ],
)
def test_bad_input_is_one_line_that_says_what_is_wrong(words: list[str], reason: str) -> None:
    status, out, errors = run(*words)
    assert status in (1, 2)
    assert (out, errors.count("\n")) == ("", 1), errors
    assert errors.startswith("error: ") and reason in errors


def test_a_wrong_setting_is_named() -> None:
    status, _, errors = run("rounds", ML_CACHE_MAX_ENTRIES="many")
    assert status == 2 and "ML_CACHE_MAX_ENTRIES" in errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("LABEL_STUDIO_URL", url)
            for url in ("http://[::1", "studio", "ftp://x", "http://a b", "http://x:99999", "http://x:0", "http://")
        ),
        *(("ML_BACKEND_URL", url) for url in ("http://[", "x")),
        *(("LABEL_STUDIO_API_KEY", key) for key in ("k\u00e9y123", "123\nb", "123\x1bb")),
    ],
)
def test_a_setting_that_no_server_can_have_is_named(name: str, value: str) -> None:
    status, _, errors = run("rounds", **{name: value})
    assert (status, errors.count("\n")) == (2, 1)
    assert name in errors and ("KEY" not in name or value.splitlines()[0] not in errors.split(": ", 2)[2])


def test_settings_in_another_encoding_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes("ML_DETECTOR=énergie\n".encode("latin-1"))
    status, _, errors = run("rounds")
    assert status == 2 and ".env: not UTF-8 text" in errors


def test_tasks_without_server_or_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    box = {"start_time_s": 1.0, "duration_s": 2.45, "confidence": 0.9}
    for name, uri in (("a", "https://x/a.wav"), ("b", "wav\\b.wav")):
        Path(f"{name}.json").write_text(json.dumps({"uri": uri, "annotations": [box]}))
    Path("c.json").write_text("{")
    status, out, errors = run("tasks", ".", "-o", "tasks.json", "--round", "round1", "--json", "--audio", tmp_path / "wavs")
    assert status == 2 and not errors
    assert (json.loads(out)["written"], json.loads(out)["refused"]) == (2, 1)
    first, second = json.loads(Path("tasks.json").read_text())
    assert [task["data"]["audio"] for task in (first, second)] == [f"/data/local-files/?d=wavs/{name}.wav" for name in "ab"]
    assert (first["data"]["uri"], second["data"]["uri"]) == ("https://x/a.wav", "wav\\b.wav")
    assert first["data"]["round"] == "round1"


LABELS = (
    "dataset\twav_filename\tstart_time_s\tduration_s\tlocation\tdate\tpst_or_master_tape_identifier\nr\ta.wav\t1\t1\tx\ty\tz\n"
)
SCORES = "wav_filename\tstart_time_s\tduration_s\tconfidence\na.wav\t0\t1\t0.9\n"


@pytest.mark.parametrize(
    ("files", "source", "told"),
    [
        ({"t.tsv": LABELS}, "t.tsv", "annotations"),
        ({"t.tsv": SCORES}, "t.tsv", "predictions"),
        ({"train.tsv": LABELS, "wav/a.wav": ""}, ".", "annotations"),
        ({"a.json": '{"annotations": []}', "a.wav": ""}, ".", "predictions"),
        ({"t.tsv": LABELS, "a.json": "{}"}, ".", "could be read as dataset or as podcast-json; say which with --from"),
        ({"t.tsv": SCORES, "a.wav": ""}, ".", "holds predictions; name the table itself"),
        ({"t.tsv": "a\tb\n"}, "t.tsv", "t.tsv, line 1: columns"),
        ({"x/t.tsv": LABELS}, ".", "holds neither session JSON, nor WAVs, nor a released dataset"),
    ],
)
def test_a_source_tells_its_format(
    files: dict[str, str], source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content)
    status, _, errors = run("tasks", source, "-o", "tasks.json", "--audio", tmp_path / "wavs")
    if status:
        assert told in errors and errors.count("\n") == 1
        return
    (task,) = json.loads(Path("tasks.json").read_text())
    assert bool(task.get("annotations")) is (told == "annotations")
    assert bool(task.get("predictions")) is (told == "predictions")


def test_tasks_need_no_audio_whatever_the_document_root(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"s{number}.json").write_text(json.dumps({"uri": f"wav\\s{number}.wav", "annotations": []}))
    for root, prefix in ((tmp_path, "rounds/wav"), (tmp_path / "elsewhere", "wav")):
        status, out, errors = run(
            *("tasks", tmp_path / "in", "-o", tmp_path / "t.json", "--audio", tmp_path / "rounds" / "wav"),
            LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=str(root),
        )
        assert status == 0 and "3 written, 0 refused" in out
        addresses = [task["data"]["audio"] for task in json.loads((tmp_path / "t.json").read_text())]
        assert addresses == [f"/data/local-files/?d={prefix}/s{number}.wav" for number in range(3)]
        assert errors.count("lies outside LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT") == (root != tmp_path)


@pytest.mark.parametrize(("root", "prefix"), [("", "wav"), ("elsewhere", "wav"), (".", "rounds/wav")])
def test_tasks_name_copies_of_the_recordings_that_are_here(tmp_path: Path, root: str, prefix: str) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps({"uri": f"wav\\{name}.wav", "annotations": []}))
    wav = write_noise(tmp_path / "rounds" / "wav" / "a.wav", 1.0)
    digest = hashlib.sha256(wav.read_bytes()).hexdigest()
    command = ("tasks", tmp_path / "in", "-o", tmp_path / "t.json", "--audio", wav.parent)
    setting = {"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(tmp_path / root)} if root else {}

    def addresses(*more: str) -> list[tuple[str, str | None]]:
        assert run(*command, *more, **setting)[0] == 0
        data = [task["data"] for task in json.loads((tmp_path / "t.json").read_text())]
        return [(item["audio"], item.get("recording")) for item in data]

    first, second = (f"/data/local-files/?d={prefix}/{name}.wav" for name in "ab")
    assert addresses("--page-audio", "original") == [(first, None), (second, None)]
    assert [path.name for path in wav.parent.iterdir()] == ["a.wav"]
    copy = f"/data/local-files/?d={prefix}/listening/{digest}-1.flac"
    assert addresses() == [(copy, first), (second, None)]
    _, out, errors = run(*command, **setting)
    assert "2 written, 0 refused, 0 copies made, 1 not copied" in out and "they were not read" in errors


def test_brackets_in_a_name_are_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal, where the bar is drawn
    with progress("Importing into a[/b] and :smile:", as_json=False) as advance:
        advance(1)
    table = Table("round", "address")
    address = f"http://127.0.0.1:8080/projects/7/{'x' * 90}"
    table.add_row("a[/b] :smile:", address)
    print_table(table)
    written = capsys.readouterr()
    assert "Importing into a[/b] and :smile:" in written.err
    assert "a[/b] :smile:" in written.out and address in written.out
