"""Label Studio's export files, streamed: the same values as a reader that takes all at once, and bounded in what they may do."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstudio.json_export import read_export, read_tasks
from podcast.errors import InputError
from tests.conftest import DATA

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4))
def test_tasks_are_what_they_say(tasks: list[object]) -> None:
    assert list(read_tasks(io.BytesIO(json.dumps(tasks).encode()))) == tasks


def test_a_real_export() -> None:
    path = DATA / "label_studio" / "export.json"
    assert list(read_export(str(path))) == json.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[[1]]", "found list in it"),
        (b'[{"data": {}}, 5]', "found int in it"),
        (b'{"a": 1}', "expected a list"),
        (b'[{"annotations": [{"id": 1}], "annotations": []}]', "'annotations' comes twice in one object"),
        (b'[{"data": {"a": "\xff"}}]', "not Label Studio's JSON export"),
        (b'[{"data": ', "not Label Studio's JSON export"),
        (b'[{"data": 1}] x', "not Label Studio's JSON export"),
        (b'[{"a":' * 100 + b"1", "nested more than 100 levels deep"),
    ],
)
def test_what_is_no_export(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(read_tasks(io.BytesIO(content)))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_levels_upon_levels_fill_no_memory(opening: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(InputError):
        list(read_tasks(io.BytesIO(b"[" + opening * 100_000)))
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()
