"""Every command, whatever is wrong with what it is given: status 2, one line, or one object for machines."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from cli import export as export_module
from cli.group import RENAMED
from cli.main import COMMANDS, cli
from cli.options import Number
from podcast.errors import ServiceError
from tests.conftest import ROOT, write_noise

COMMAND = {name: command for name in COMMANDS if (command := cli.get_command(click.Context(cli), name))}
TRUTH = "dataset\twav_filename\tstart_time_s\tduration_s\tlocation\nr\ta.wav\t1\t1\tbush point\nr\tb.wav\t0\t0\tbush point\n"
PREDICTIONS = "wav_filename\tstart_time_s\tduration_s\tconfidence\na.wav\t0\t9\t0.9\nb.wav\t0\t9\t0.1\n"
EXPORT = ["release", "--file", "export.json", "--to", "out", "--name", "n", "--no-audio"]

# Every place of every command that takes a file or folder to read.
SLOTS = {
    "account": ["account", "{}"],
    "account root": ["account", "CREDS.yaml", "--root", "{}"],
    "demo": ["demo", "--audio", "{}"],
    "detect": ["detect", "{}", "--detector", "energy"],
    "evaluate truth": ["evaluate", "{}", "p.tsv"],
    "evaluate": ["evaluate", "t.tsv", "{}"],
    "evaluate audio": ["evaluate", "t.tsv", "p.tsv", "--audio", "{}"],
    "evaluate file": ["evaluate", "p.tsv", "--file", "{}"],
    "export": ["export", "--file", "{}", "--to", "out"],
    "import": ["import", "{}", "--round", "r"],
    "import rounds": ["import", "wavs", "--round", "r", "--rounds-file", "{}"],
    "import windows": ["import", "hls://", "--round", "r", "--windows", "{}", "--audio", "wavs"],
    "models add": ["models", "add", "{}"],
    "plan": ["plan", "{}", "--size", "3", "-o", "plan.csv", "--detector", "energy", "--workers", "1", "--no-rounds"],
    "plan held": ["plan", "wavs", "--size", "3", "-o", "plan.csv", "--detector", "none", "--no-rounds", "--held", "{}"],
    "release": ["release", "--file", "{}", "--to", "out", "--name", "n"],
    "release dataset": ["release", "--dataset", "{}", "--to", "out", "--name", "n"],
    "release previous": [*EXPORT, "--previous", "{}"],
    "release pseudonyms": [*EXPORT, "--pseudonyms", "{}"],
    "release check": ["release", "--check", "{}"],
    "release diff": ["release", "--diff", "{}", "{}"],
    "tasks": ["tasks", "{}", "-o", "out.json"],
    "train manifest": ["train", "--to", "run", "--manifest", "{}"],
    "train truth": ["train", "--to", "run", "--truth", "{}", "--audio", "wavs"],
    "train file": ["train", "--to", "run", "--file", "{}", "--audio", "wavs"],
    "train start": ["train", "--to", "run", "--truth", "t.tsv", "--audio", "wavs", "--start-from", "{}"],
}
BAD = [
    "nowhere",
    "nowhere/x.tsv",
    "nowhere.json",
    "nowhere.wav",
    "empty",
    "garbage",
    "garbage.tsv",
    "garbage.json",
    "gopher://x",
    "",
]
ELSEWHERE = {("demo", "empty"), ("import", "garbage.json")}
"""An empty folder is a demo without recordings; a file that holds no session is refused by a server's tests."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad files, and no server anywhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", "ML_BACKEND_URL", "ML_DETECTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "no-server")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:9")
    Path("empty").mkdir()
    for name in ("garbage", "garbage.tsv", "garbage.json"):
        Path(name).write_bytes(bytes(range(256)) * 40)
    Path("t.tsv").write_text(TRUTH)
    Path("p.tsv").write_text(PREDICTIONS)
    task = {"id": 1, "data": {"audio": "a", "session_id": "a", "round": "r"}, "annotations": [{"id": 1, "result": []}]}
    Path("export.json").write_text(json.dumps([task]))
    fields = ("blobaccount", "blobaccountkey", "getcontainer", "postcontainer", "audiocontainer")
    Path("CREDS.yaml").write_text("".join(f"{name}: {name}\n" for name in fields) + "roundinfoconfig: config/r.yaml\n")
    for name in "ab":
        write_noise(Path("wavs") / f"{name}.wav", 10.0)
    return tmp_path


def run(*words: str) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def has_json(command: str) -> bool:
    return any("--json" in option.opts for option in COMMAND[command].params)


def test_every_command_is_here() -> None:
    """Those that take nothing to read have tests of their own below."""
    assert {words[0] for words in SLOTS.values()} | {"doctor", "rounds", "serve", "trainer", "verify"} == set(COMMANDS)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("slot", SLOTS)
def test_a_bad_file_is_the_users_error(slot: str, bad: str, place: Path) -> None:
    words = [word.format(bad) for word in SLOTS[slot]]
    if (slot, bad) in ELSEWHERE:
        return
    result = run(*words)
    said = result.stderr.splitlines()
    assert result.exit_code == (1 if "findings" in result.stderr else 2), result.output
    assert any(line.startswith("refused: ") for line in said) or len(said) == 1, said
    assert not list(Path("out").glob("**/*.tmp")) and not list(place.rglob(".partial-*"))
    if not has_json(words[0]):
        return
    machine = run(*words, "--json")
    answer = json.loads(machine.stdout)
    assert (machine.exit_code, machine.stderr, machine.stdout.count("\n")) == (result.exit_code, "", 1)
    assert (
        answer.get("exit") == 2 and answer["error"] in said[0]
        if "error" in answer
        else answer.get("refusals") or answer["findings"]
    )


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "demo"])
@pytest.mark.parametrize(
    "words", [["--bogus"], ["--threshold", "7"], ["--threshold", "nan"], ["--to", ""], ["-o", ""], ["--round", ""]]
)
def test_a_bad_option_is_the_users_error(command: str, words: list[str], place: Path) -> None:
    known = {name for option in COMMAND[command].params for name in option.opts}
    if words[0] not in known and words[0] != "--bogus":
        return
    given = {"export": ["--file", "export.json"], "train": [], "import": ["wavs"], "account": ["CREDS.yaml"], "tasks": ["wavs"]}
    result = run(command, *given.get(command, ["p.tsv"] if command in ("detect", "evaluate") else []), *words)
    if (command, words[0]) == ("tasks", "--round"):
        return  # the source's own name
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert words[0] in result.stderr
    if not has_json(command):
        return
    machine = run(command, *given.get(command, ["p.tsv"] if command in ("detect", "evaluate") else []), *words, "--json")
    assert (machine.exit_code, machine.stderr) == (2, "")
    assert json.loads(machine.stdout)["exit"] == 2


def test_no_number_may_be_none(place: Path) -> None:
    """click's own ranges let "nan" through."""
    for name, command in COMMAND.items():
        for option in command.params:
            assert not isinstance(option.type, click.types.FloatParamType) or isinstance(option.type, Number), (name, option.opts)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ServiceError("Label Studio is away"), 1, "Label Studio is away"),
        (OSError(28, "No space left on device", "out/a.json"), 1, "out/a.json: No space left on device"),
        (OSError(28, "No space left on device"), 1, f"a temporary file in {tempfile.gettempdir()}: No space left on device"),
        (PermissionError(13, "Permission denied", "out"), 2, "out: Permission denied"),
        (sqlite3.OperationalError("database or disk is full"), 1, "database or disk is full"),
        (ServiceError("two\nlines \x1b[31m\udc80"), 1, "two lines \\x1b[31m\\udc80"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again"),
    ],
)
def test_what_is_not_the_users_fault(
    error: BaseException, status: int, words: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(export_module, "submitted_sessions", fail)
    for more in ([], ["--json"]):
        result = CliRunner().invoke(cli, ["export", "--file", "export.json", "--to", "out", *more])
        assert result.exit_code == status
        said = json.loads(result.stdout)["error"] if more else result.stderr
        assert words in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("there", ["p.tsv/below", "p.tsv/below/deep"])
@pytest.mark.parametrize(
    "words",
    [
        ["export", "--file", "export.json", "--to", "{}"],
        ["release", "--file", "export.json", "--no-audio", "--name", "n", "--to", "{}"],
        ["tasks", "t.tsv", "-o", "{}.json"],
        ["detect", "wavs", "--detector", "energy", "-o", "{}.tsv"],
        ["detect", "wavs", "--detector", "energy", "--to", "{}"],
        ["detect", "wavs", "--detector", "energy", "--candidates", "{}"],
        ["evaluate", "t.tsv", "p.tsv", "--plot", "{}"],
        ["train", "--truth", "t.tsv", "--audio", "wavs", "--to", "{}"],
    ],
    ids=lambda words: f"{words[0]} {words[-2]}",
)
def test_a_file_in_the_way_of_what_is_written(words: list[str], there: str, place: Path) -> None:
    result = run(*(word.format(there) for word in words))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert "p.tsv/below" in result.stderr
    assert Path("p.tsv").read_text() == PREDICTIONS


def test_a_file_in_the_way_of_the_journal(place: Path) -> None:
    Path(".podcast").touch()
    result = run("detect", "wavs", "--detector", "energy")
    assert (result.exit_code, result.stderr) == (2, "error: .podcast/detect: Not a directory\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(place: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    result = run("export", "--file", "export.json", "--to", "locked/out")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(("command", "old"), RENAMED)
def test_old_names_of_options_work_with_a_notice(command: str, old: str, place: Path) -> None:
    new = RENAMED[command, old]
    same = {"--from": ["--truth", "nowhere.tsv"], "--run": ["--truth", "nowhere.tsv"]}[old]
    required = [] if new == "--to" else ["--to", "run"]
    for given in ([old, "starter"], [f"{old}=starter"]):
        result = run(command, *given, *same, *required)
        notice, error = result.stderr.splitlines()
        assert notice.startswith("notice: ") and old in notice and new in notice
        assert "nowhere.tsv" in error
    assert old not in run(command, "--help").stdout.replace("--from-", "")


def test_the_table_of_options_is_whole() -> None:
    """docs/commands.md says what every option means; one name has one meaning."""
    lines = (ROOT / "docs" / "commands.md").read_text().splitlines()
    documented = [word.strip(" `") for line in lines if line.startswith("| `-") for word in line.split("|")[1].split(",")]
    commands = [inner for one in COMMAND.values() for inner in (one, *getattr(one, "commands", {}).values())]
    options = [option for command in commands for option in command.params if isinstance(option, click.Option)]
    assert sorted(documented) == sorted({name for option in options for name in (*option.opts, *option.secondary_opts)})
