"""What a write leaves behind when it is killed, fails, or is not the only one."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from podcast import storage
from podcast.errors import StorageError

WRITER = """
import sys
from podcast import storage
with storage.open_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(path: Path) -> subprocess.Popen[str]:
    """Another process in the middle of its write."""
    command = [sys.executable, "-c", WRITER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_is_gone_after_the_next_write(tmp_path: Path) -> None:
    process = writer(tmp_path / "a.json")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (left,) = names(tmp_path)
    assert left != "a.json"
    storage.write(str(tmp_path / "a.json"), b"whole")
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"whole"


def test_two_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    process = writer(tmp_path / "a.json")
    storage.write(str(tmp_path / "a.json"), b"the quicker one, and longer")
    assert (tmp_path / "a.json").read_bytes() == b"the quicker one, and longer"
    process.communicate()
    assert (tmp_path / "a.json").read_bytes() == b"half"
    assert names(tmp_path) == ["a.json"]


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    storage.write(str(tmp_path / "a.json"), b"old")
    with pytest.raises(RuntimeError), storage.open_write(str(tmp_path / "a.json")) as file:
        file.write(b"new")
        raise RuntimeError
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_a_name_that_somebody_put_a_link_at_is_not_followed(tmp_path: Path) -> None:
    storage.write(str(tmp_path / "a.json"), b"old")
    process = writer(tmp_path / "a.json")
    (usual,) = set(names(tmp_path)) - {"a.json"}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (tmp_path / usual).unlink()
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (tmp_path / usual).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"a\.json: cannot be written"):
        storage.write(str(tmp_path / "a.json"), b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"


def test_of_many_that_make_the_same_file_at_once_one_does(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            uri, start = str(tmp_path / f"{number}.json"), Barrier(8)

            def make(writer: int, uri: str = uri, start: Barrier = start) -> bool:
                start.wait()
                return storage.replace(uri, None, b"%d" % writer)

            made = list(pool.map(make, range(8)))
            assert made.count(True) == 1
            assert Path(uri).read_bytes() == b"%d" % made.index(True)
    assert names(tmp_path) == sorted(f"{number}.json" for number in range(50))


def test_a_writer_killed_between_its_file_and_its_tidying_costs_nothing(tmp_path: Path) -> None:
    made, stopped = tmp_path / "a.json", Path.unlink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path: stopped(path) if path == made else None)
        assert storage.replace(str(made), None, b"whole")
    assert len(names(tmp_path)) == 2
    with pytest.raises(ZeroDivisionError), storage.open_write(str(made)) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert made.read_bytes() == b"whole"
    storage.tidy(str(tmp_path))
    assert names(tmp_path) == ["a.json"]
