"""An export into a folder that holds something already: what the project says now, and nobody's work touched."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from exporters import EXPORTERS
from exporters.base import WriteOptions
from exporters.folder import Folder
from podcast import storage
from podcast.errors import InputError
from podcast.model import ReviewState, Session
from tests.exports.readers import READERS
from tests.exports.rounds import NO_CALLS, SESSIONS, calls, every_format, every_format_of_sessions, export, files_of, session

CHANGED = [
    session("s_calls", calls((5, 6))),  # other boxes
    replace(SESSIONS[1], reviews=()),  # its answer was taken back
    session("s_unsure", calls((7, 8))),  # made up their mind
    *SESSIONS[3:6],
    session("s_uncertain", calls((3, 4))),  # nothing left for the sidecar but s_answer
    session("new", NO_CALLS),
]


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, wavs: str) -> dict[str, dict[str, bytes]]:
    """What an export of CHANGED into an empty folder gives, by format."""
    found = {}
    for name in EXPORTERS:
        folder = tmp_path_factory.mktemp(name)
        export(folder, name, CHANGED, wavs)
        found[name] = files_of(folder, manifest=True)
    return found


@every_format_of_sessions
def test_what_is_no_longer_true_goes(name: str, tmp_path: Path, wavs: str, fresh: dict[str, dict[str, bytes]]) -> None:
    export(tmp_path, name, SESSIONS, wavs)
    report, _ = export(tmp_path, name, CHANGED, wavs)
    assert files_of(tmp_path, manifest=True) == fresh[name]
    assert set(READERS[name](tmp_path)) == {"s_calls", "s_unsure", "s_uncertain", "new"}
    assert not any("not of this export" in warning for warning in report.warnings)


@every_format
def test_an_export_that_changes_nothing_writes_nothing(name: str, tmp_path: Path, wavs: str) -> None:
    export(tmp_path, name, SESSIONS, wavs)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    report, _ = export(tmp_path, name, SESSIONS[::-1], wavs)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    assert report.counts["written"] == 3


@every_format
def test_another_choice_of_annotators_leaves_nothing_of_the_first(name: str, tmp_path: Path, wavs: str) -> None:
    export(tmp_path / "a", name, SESSIONS, wavs, "all")
    export(tmp_path / "a", name, SESSIONS, wavs)
    export(tmp_path / "b", name, SESSIONS, wavs)
    assert files_of(tmp_path / "a", manifest=True) == files_of(tmp_path / "b", manifest=True)


@every_format
def test_the_list_of_files_tells_what_is_there(name: str, tmp_path: Path, wavs: str) -> None:
    _, files = export(tmp_path, name, SESSIONS, wavs)
    head, *rows = [json.loads(line) for line in (tmp_path / "export.jsonl").read_text().splitlines()]
    assert head == {"format": name, "annotator": "latest", "rounds": ["round3"], "finished": True}
    assert {row["file"]: row["sha256"] for row in rows} == {
        place: hashlib.sha256(content).hexdigest() for place, content in files.items()
    }


@every_format
def test_a_folder_of_another_format_or_round_is_refused(name: str, tmp_path: Path, wavs: str) -> None:
    other = next(item for item in EXPORTERS if item != name)
    export(tmp_path, other, SESSIONS, wavs)
    before = files_of(tmp_path, manifest=True)
    with pytest.raises(InputError, match=f"holds an export as {other}; name another folder for {name}"):
        export(tmp_path, name, SESSIONS, wavs)
    with pytest.raises(InputError, match="holds an export of round 'round3'; name another folder for round 'round4'"):
        export(tmp_path, other, [replace(item, round="round4") for item in SESSIONS], wavs)
    with pytest.raises(InputError, match="for round 'round4'"):  # a round in which nobody has submitted anything
        EXPORTERS[other]([], str(tmp_path), WriteOptions(round="round4"))
    assert files_of(tmp_path, manifest=True) == before
    report = EXPORTERS[other]([], str(tmp_path), WriteOptions(round="round3"))  # but all answers of this one were taken back
    assert (report.counts["written"], set(files_of(tmp_path))) == (0, set())


ONE_FILE_EACH = ("podcast-json", "audacity", "raven", "raven-birdnet", "orcahello", "audiofolder")


TABLES = ("annotations.tsv", "dclde.csv", "training_samples.csv", "bouts.csv")


def file_of(folder: Path) -> Path:
    """The file of session s_calls, or the table."""
    (found,) = [path for path in folder.rglob("*") if path.name.startswith("s_calls.") or path.name in TABLES]
    return found


@every_format
def test_a_file_that_somebody_changed_is_kept_and_named(name: str, tmp_path: Path, wavs: str) -> None:
    export(tmp_path, name, SESSIONS, wavs)
    changed = file_of(tmp_path)
    changed.write_bytes(b"mine")
    before = files_of(tmp_path, manifest=True)
    if name in ONE_FILE_EACH:
        report, files = export(tmp_path, name, SESSIONS, wavs)
        (refusal,) = report.refusals
        assert refusal.where == "session s_calls" and changed.name in refusal.reason
        assert (report.counts["written"], report.counts["refused"]) == (2, 1)
        assert any(changed.name in warning for warning in report.warnings)
    else:
        with pytest.raises(InputError, match=f"{changed.name} is not as an export left it"):
            export(tmp_path, name, CHANGED, wavs)
        files = files_of(tmp_path)
        assert files_of(tmp_path, manifest=True) == before
    assert files[changed.relative_to(tmp_path).as_posix()] == b"mine"
    changed.unlink()
    report, _ = export(tmp_path, name, SESSIONS, wavs)
    assert report.counts["refused"] == 0
    export(tmp_path.parent / f"{tmp_path.name}-fresh", name, SESSIONS, wavs)
    assert files_of(tmp_path, manifest=True) == files_of(tmp_path.parent / f"{tmp_path.name}-fresh", manifest=True)


@pytest.mark.parametrize("name", ONE_FILE_EACH)
def test_a_changed_file_whose_session_is_gone_is_kept_and_named(name: str, tmp_path: Path, wavs: str) -> None:
    export(tmp_path, name, SESSIONS, wavs)
    changed = file_of(tmp_path)
    changed.write_bytes(b"mine")
    report, _ = export(tmp_path, name, SESSIONS[1:], wavs)
    assert changed.read_bytes() == b"mine"
    assert any(changed.name in warning and "no longer true" in warning for warning in report.warnings)
    report, _ = export(tmp_path, name, SESSIONS[1:], wavs)  # now it is nobody's business
    assert changed.read_bytes() == b"mine"
    assert any("not of this export" in warning and changed.name in warning for warning in report.warnings)


@every_format
def test_strangers_are_named_and_left_alone(name: str, tmp_path: Path, wavs: str) -> None:
    (tmp_path / "below").mkdir()
    for number in range(7):
        (tmp_path / "below" / f"note{number}.txt").write_text("mine")
    for sessions in (SESSIONS, CHANGED):
        report, files = export(tmp_path, name, sessions, wavs)
        (warning,) = [warning for warning in report.warnings if "not of this export" in warning]
        assert "below/note0.txt" in warning and "and 2 more" in warning
        assert sum(content == b"mine" for content in files.values()) == 7


def test_five_strangers_are_named_all_and_of_more_so_many(tmp_path: Path) -> None:
    places = [f"note{number}.txt" for number in range(7)]
    for count, words in ((5, ", ".join(places[:5])), (6, f"{', '.join(places[:5])} and 1 more")):
        for place in places[:count]:
            (tmp_path / place).write_text("mine")
        report, _ = export(tmp_path, "podcast-json", SESSIONS)
        assert f"{tmp_path} holds files that are not of this export: {words}" in report.warnings


def test_no_file_of_an_export_takes_the_place_of_another(tmp_path: Path) -> None:
    with Folder(str(tmp_path), "raven", WriteOptions()) as target:
        target.add("", "a.txt", "one")
        target.add("below", "a.txt", "two")
        for place in ("a.txt", "export.jsonl"):
            with pytest.raises(InputError, match=f"^{place} is the name of another file of this export$"):
                target.add("", place, "three")


def test_an_export_of_no_session_into_a_new_folder_says_so(tmp_path: Path) -> None:
    for round_name in ("", "round7"):
        options = WriteOptions(round=round_name) if round_name else WriteOptions()
        report = EXPORTERS["podcast-json"]([], str(tmp_path / f"to{round_name}"), options)
        head = {"format": "podcast-json", "annotator": "latest", "rounds": [round_name], "finished": True}
        assert json.loads((tmp_path / f"to{round_name}" / "export.jsonl").read_text()) == head
        assert not report.warnings


def test_a_list_says_whether_the_export_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path, "podcast-json", SESSIONS)
    with pytest.raises(Killed), killed_at(1, monkeypatch):
        export(tmp_path, "podcast-json", CHANGED)
    head, *rows = [json.loads(line) for line in (tmp_path / "export.jsonl").read_text().splitlines()]
    assert head["finished"] is False
    assert sum(row["file"] == "s_calls.json" for row in rows) == 2  # as it was, and as it shall be
    export(tmp_path, "podcast-json", CHANGED)
    assert json.loads((tmp_path / "export.jsonl").read_text().splitlines()[0])["finished"] is True


def test_files_of_an_export_before_there_was_a_list_are_taken_over_where_they_say_the_same(tmp_path: Path) -> None:
    export(tmp_path, "podcast-json", SESSIONS)
    (tmp_path / "export.jsonl").unlink()
    assert export(tmp_path, "podcast-json", SESSIONS)[0].counts["refused"] == 0
    (tmp_path / "export.jsonl").unlink()
    report, files = export(tmp_path, "podcast-json", [session("s_calls", calls((5, 6))), *SESSIONS[1:]])
    assert report.counts["refused"] == 1
    assert json.loads(files["s_calls.json"])["annotations"][0]["start_s"] == 24.5


@every_format
def test_a_round_is_not_mixed_with_another_that_no_list_names(name: str, tmp_path: Path, wavs: str) -> None:
    export(tmp_path, name, SESSIONS, wavs)
    (tmp_path / "export.jsonl").unlink()  # as older versions left it
    before = files_of(tmp_path)
    other = [session("new", calls((1, 2))), session("s", calls((3, 4)), calls((5, 6)))]
    with pytest.raises(InputError, match=r"s_calls.* and no export\.jsonl|is not as an export left it"):
        export(tmp_path, name, [replace(item, round="round4") for item in other], wavs)
    assert files_of(tmp_path, manifest=True) == before


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]\n", b'{"format": "raven"}\n', b'{"format":"raven","rounds":[]}\n{}\n']
)
def test_a_list_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "export.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"export\.jsonl"):
        export(tmp_path, "podcast-json", SESSIONS)
    assert (tmp_path / "export.jsonl").read_bytes() == content


def test_a_list_that_names_files_elsewhere_removes_none(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    folder = tmp_path / "to"
    export(folder, "podcast-json", SESSIONS)
    for evil in ("../victim", str(tmp_path / "victim")):
        with (folder / "export.jsonl").open("a") as file:
            file.write(json.dumps({"file": evil, "sha256": digest}) + "\n")
        export(folder, "podcast-json", SESSIONS)
        assert (tmp_path / "victim").exists()


class Killed(BaseException):
    """Stands for a signal that nobody catches."""


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process dies at the n-th change of the folder: half of a file is written, or a file is about to be removed."""
    real_write, real_delete, steps = storage.open_write, storage.delete, iter(range(step))

    def die() -> bool:
        return next(steps, None) is None

    @contextmanager
    def open_write(uri: str, *, private: bool = False) -> Iterator[BinaryIO]:
        if die():
            raise Killed
        with real_write(uri, private=private) as file:
            yield file

    def delete(uri: str) -> None:
        if die():
            raise Killed
        real_delete(uri)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "open_write", open_write)
        patch.setattr(storage, "delete", delete)
        yield


@every_format
def test_killed_at_any_step_the_next_run_repairs(
    name: str, tmp_path: Path, wavs: str, fresh: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    export(tmp_path / "first", name, SESSIONS, wavs)
    for step in range(50):
        folder = tmp_path / f"{step}"
        export(folder, name, SESSIONS, wavs)
        try:
            with killed_at(step, monkeypatch):
                export(folder, name, CHANGED, wavs)
        except Killed:
            # Others may have gone on in the meantime: the next run may have yet other answers.
            report, _ = export(folder, name, SESSIONS if step % 2 else CHANGED, wavs)
            assert report.counts["refused"] == 0
            report, _ = export(folder, name, CHANGED, wavs)
            assert report.counts["refused"] == 0
            assert files_of(folder, manifest=True) == fresh[name]
        else:
            assert step >= 4  # the list twice, a table or more, the sidecar
            return
    raise AssertionError("the export never ended")


def test_what_a_killed_writer_left_is_swept_away_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".partial-0123").write_bytes(b"half")
    with storage.open_write(str(tmp_path / "other")) as file:
        file.write(b"being written")
        export(tmp_path, "podcast-json", SESSIONS)
        assert [path.name for path in tmp_path.rglob(".partial-*")] != []
    assert [path.name for path in tmp_path.rglob(".partial-*")] == []
    assert (tmp_path / "other").read_bytes() == b"being written"


def test_the_export_is_a_function_of_what_the_project_says_whatever_came_before(tmp_path: Path) -> None:
    """A random walk through states of a round, exported each time, against a fresh export."""
    choices = [
        lambda name: session(name, calls((1, 2))),
        lambda name: session(name, calls((2, 3), (4, 5))),
        lambda name: session(name, NO_CALLS),
        lambda name: replace(session(name, NO_CALLS), reviews=()),
        lambda name: session(name, replace(NO_CALLS, state=ReviewState.UNSURE, note="?")),
    ]
    walk = random.Random(5)
    for number in range(25):
        sessions: list[Session] = [walk.choice(choices)(f"s{name}") for name in range(6) if walk.random() < 0.8]
        name = "dclde" if number % 5 == 0 else "podcast-json"
        export(tmp_path / name, name, sessions)
        export(tmp_path / f"fresh{number}", name, sessions)
        assert files_of(tmp_path / name) == files_of(tmp_path / f"fresh{number}")
