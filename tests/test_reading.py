"""Whatever bytes come in: the project's own errors alone, and every line of a table accounted for."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from importers import hls, podcast_json, tags
from podcast import nodes
from podcast.dataset_table import DatasetTable
from podcast.errors import InputError
from podcast.reading import Table, decode, parse_json, parse_python, parse_yaml
from podcast.rounds import parse_rounds
from tests.conftest import ROOT
from tests.test_architecture import ROOMS

HEAD = "wav_filename\tstart_time_s\tduration_s\n"
DEEP = b"[" * 100_000

AT_HOME = {
    "podcast/reading.py": "the reader itself",
    "podcast/spool.py": "rows of its own temporary database",
    "pipeline/journal.py": "its own journal",
    "detectors/batch.py": "its own journal",
    "labelstudio/index.py": "rows of its own temporary index",
    "ml_backend/cache.py": "rows of its own cache",
    "releases/citation.py": "YAML that it writes",
    "demo/check.py": "what the check itself exported a moment before",
    "demo/round.py": "the demo's own account",
}
"""Where text may be parsed by hand: nobody but this project wrote it. Everything else goes through podcast/reading.py."""
PARSERS = {("json", "loads"), ("json", "load"), ("csv", "DictReader"), ("csv", "reader"), ("ast", "literal_eval")}


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_of_others_are_read_in_one_place(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in PARSERS or node.value.id == "yaml":
                found.append(f"line {node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module in {"json", "csv", "yaml", "ast"}:
            found.append(f"line {node.lineno}: from {node.module}")
    place = str(path.relative_to(ROOT))
    assert not found or place in AT_HOME, f"{place} parses by hand ({'; '.join(found)}); use podcast/reading.py"


def table(content: bytes, delimiter: str = "\t", *, multiline: bool = True) -> Table:
    return Table(io.BytesIO(content), "t.tsv", delimiter, multiline=multiline)


def rows(content: bytes, *, multiline: bool = True) -> list[tuple[int, str, str]]:
    return [(line.number, line.cells.get("a", ""), line.rule) for line in table(content, multiline=multiline)]


class TestTable:
    @pytest.mark.parametrize("multiline", [True, False])
    def test_a_quote_that_is_never_closed_spoils_its_own_line_alone(self, multiline: bool) -> None:
        lines = "".join(f"{number}.wav\t{number}\n" for number in range(100_000))
        found = rows(f'a\tb\n"x.wav\t1\n{lines}y.wav\t"2\n'.encode(), multiline=multiline)
        assert [(number, rule) for number, _, rule in found if rule] == [(2, "csv"), (100_003, "csv")]
        assert [name for _, name, _ in found] == ["x.wav", *(f"{number}.wav" for number in range(100_000)), "y.wav"]

    def test_cells_with_quotes_are_what_the_csv_module_says(self) -> None:
        lines = ["a\tb", '"x ""y""\tz"\t1', '"two', 'lines"\t2', 'p"q\t3', '""\t4']
        found = rows("\n".join(lines).encode())
        assert found == [(2, 'x "y"\tz', ""), (3, "two\nlines", ""), (5, 'p"q', ""), (6, "", "")]

    def test_where_every_record_has_a_line_no_quote_reaches_the_next(self) -> None:
        found = rows(b'a\tb\nx.wav\t"1\ny.wav\t2\nz"\t3\n', multiline=False)
        assert found == [(2, "x.wav", "csv"), (3, "y.wav", ""), (4, 'z"', "")]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("a\tb\nké\t1\n".encode("utf-16"), [(2, "ké", "")]),
            ("a\tb\nké\t1\n".encode("utf-32"), [(2, "ké", "")]),
            ("a\tb\nké\t1\n".encode("utf-8-sig"), [(2, "ké", "")]),
            ("a\tb\nké\t1\nok\t2\n".encode("latin-1"), [(2, "k?", "utf-8"), (3, "ok", "")]),
            (b"a\tb\nx\0y\t1\n", [(2, "x\0y", "")]),
            (b"a\tb\r\nx\t1\r\n\r\ny\t2", [(2, "x", ""), (4, "y", "")]),
            (b"a\tb\n" + b"x" * 200_000 + b"\t1\ny\t2\n", [(2, "x" * 200_000, "csv"), (3, "y", "")]),
            (b"a\tb\nx\nx\t1\t2\n", [(2, "x", "cells"), (3, "x", "cells")]),
        ],
        ids=["utf-16", "utf-32", "byte order mark", "latin-1", "NUL", "line ends", "long field", "cells"],
    )
    def test_encodings_and_damage(self, content: bytes, expected: list[tuple[int, str, str]]) -> None:
        assert rows(content) == expected

    def test_a_column_that_comes_twice_is_refused(self) -> None:
        with pytest.raises(InputError, match="'a' stands there twice"):
            table(b"a\tb\ta\n")

    @given(st.binary(max_size=300))
    @example(b'a\tb\n"\n"\n')
    @example(b'a\n"\t')
    def test_any_bytes(self, content: bytes) -> None:
        for delimiter in "\t,":
            try:
                found = list(table(content, delimiter))
            except InputError:
                continue
            assert all(line.number > 1 for line in found)
            assert [line.number for line in found] == sorted({line.number for line in found})

    @given(st.lists(st.text(st.sampled_from('xyé"\t'), min_size=1, max_size=8), max_size=20))
    def test_every_line_is_given_or_is_part_of_a_quoted_one(self, lines: list[str]) -> None:
        header = "\t".join(f"c{number}" for number in range(200))  # wide enough that no cell is cut off
        found = list(table("\n".join([header, *lines]).encode()))
        within = sum(cell.count("\n") for line in found if line.rule != "csv" for cell in line.cells.values())
        assert len(found) + within == len(lines)

    @given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=2, max_size=2), max_size=9))
    def test_what_the_csv_module_writes_comes_back(self, written: list[list[str]]) -> None:
        file = io.StringIO(newline="")
        csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *written])
        assert [list(line.cells.values()) for line in table(file.getvalue().encode())] == written

    @given(st.binary(max_size=200))
    def test_any_bytes_below_a_header_are_rows_or_refused(self, content: bytes) -> None:
        for row in DatasetTable(io.BytesIO(HEAD.encode() + content), "t.tsv"):
            assert row.problem or (row.start_s >= 0 and row.duration_s >= 0)


class TestJson:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"{[]: 1}", "not JSON"),
            (DEEP, "nested too deeply"),
            (b"1" * 5000, "not JSON"),
            (b'{"a": 1, "a": 2}', "the field 'a' comes twice"),
            (b'"\\ud800"', "surrogate"),
            (b"\xff{}", "not UTF-8"),
            (b"", "not JSON"),
        ],
        ids=["list as key", "deep", "huge", "twice", "surrogate", "latin-1", "empty"],
    )
    def test_what_is_no_json(self, content: bytes, words: str) -> None:
        with pytest.raises(InputError, match=words) as error:
            parse_json(content, "x.json")
        assert str(error.value).startswith("x.json")

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
    def test_byte_order_marks(self, encoding: str) -> None:
        assert parse_json('{"é": 1}'.encode(encoding), "x.json") == {"é": 1}

    @pytest.mark.parametrize(
        "content",
        [
            b"{[]: 1}",
            DEEP,
            b"-" * 100_000 + b"1",
            b"{1, 2}",
            b"b'x'",
            b"f()",
            b"1" * 5000,
            b"[" * 90 + b"]" * 90 + b"*2",
            b"1+2j",
        ],
    )
    def test_pythons_notation_is_read_or_refused(self, content: bytes) -> None:
        with pytest.raises(InputError, match=r"^x\.json: "):
            parse_python(content, "x.json")
        assert parse_python(b"{'a': (1, None), 'b': True}", "x.json") == {"a": [1, None], "b": True}

    @given(st.one_of(st.binary(max_size=60), st.text(st.sampled_from("{}[]():,'\"1e+-jb \\ud8"), max_size=40).map(str.encode)))
    def test_any_bytes(self, content: bytes) -> None:
        readers: list[Callable[[bytes, str], object]] = [decode, parse_json, parse_python, parse_yaml, podcast_json.parse]
        for reader in readers:
            try:
                reader(content, "x")
            except InputError as error:
                assert str(error).startswith("x")


class TestYaml:
    def test_an_alias_bomb_is_refused(self) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
        with pytest.raises(InputError, match="anchors and aliases"):
            parse_yaml("\n".join(lines).encode(), "CREDS.yaml")

    @pytest.mark.parametrize(
        "content",
        [
            b"key: SECRET\n- x",
            b"key: !SECRET x",
            b"key: *SECRET",
            b"key: 'SECRET",
            b"SECRET: {[]: SECRET",
            b"key: !!int ''\nSECRET: 1",
            b"key: !!bool SECRET",
            b"key: !!timestamp SECRET",
            b"key: !!binary 'SECRET*'",
            b"key: !!float SECRET",
            b"\x00SECRET",
            b"key: 2020-13-45",
            DEEP,
            b"? [[SECRET]]\n: 1",
        ],
    )
    def test_what_is_no_yaml_is_one_error_without_its_content(self, content: bytes) -> None:
        with pytest.raises(InputError, match=r"^CREDS\.yaml") as error:
            parse_yaml(content, "CREDS.yaml")
        assert "SECRET" not in str(error.value) and "\n" not in str(error.value)

    @given(st.text(st.sampled_from("ab: -[]{}&*!|>'\"\n#?%@`,0.~"), max_size=40))
    def test_any_text(self, text: str) -> None:
        for reader in (parse_yaml, parse_rounds):
            try:
                reader(text.encode(), "x.yaml")
            except InputError as error:
                assert str(error).startswith("x.yaml")


class TestMaintainersTables:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("x\tCall\tcertan\t\t", "line 2, certainty: expected certain or uncertain"),
            ("x\tCall\tcertain", "line 2: has 3 cells"),
            ("x\tWalrus\tcertain\t\t", "line 2, label: expected a name of vocabulary.csv, not 'Walrus'"),
        ],
    )
    def test_tags(self, line: str, words: str) -> None:
        with pytest.raises(InputError, match=words):
            list(tags.parse_tags(io.BytesIO(f"tag\tlabel\tcertainty\tcall_type\tnote\n{line}\n".encode()), "tags.tsv"))

    @pytest.mark.parametrize(
        ("line", "words"), [("rpi_x\tX\t91\t0\t", "line 2, latitude"), ("rpi_x\tX\t9\tnan\t", "longitude"), ("rpi_x", "1 cells")]
    )
    def test_nodes(self, line: str, words: str) -> None:
        with pytest.raises(InputError, match=words):
            list(nodes.parse_nodes(io.BytesIO(f"node\tname\tlatitude\tlongitude\talso\n{line}\n".encode()), "nodes.tsv"))

    def test_rounds_without_a_text_or_with_an_odd_hydrophone(self) -> None:
        content = json.dumps({"round_info": {"a": {"text": None, "hydrophone_id": [1]}, "b": {}}}).encode()
        assert {name: found.description for name, found in parse_rounds(content, "r").items()} == {"a": "", "b": ""}


class TestPlaylist:
    HEAD = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n"

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            ("#EXTINF:1e999,\na.ts", "line 3: a segment must be longer than 0 s"),
            ("#EXTINF:1e999999999,\na.ts", "line 3"),
            ("#EXTINF:nan,\na.ts", "line 3"),
            ("#EXTINF:sNaN,\na.ts", "line 3"),
            ("#EXTINF:inf,\na.ts", "line 3"),
            ("#EXTINF:10,\n../a.ts", "line 4: '../a.ts' must be the name of a file in this folder"),
            ("#EXTINF:10,\n/etc/passwd", "line 4"),
            ("#EXTINF:10,\nhttps://example.org/a.ts", "line 4"),
            ("#EXTINF:10,\n.hidden.ts", "line 4"),
            ("#EXTINF:10,\na\0.ts", "line 4"),
            ("#EXTINF:10,\na.ts\n#EXTINF:10,\na.ts", "line 6: 'a.ts' must be .* once"),
        ],
    )
    def test_hostile_lines_are_named(self, lines: str, words: str) -> None:
        with pytest.raises(InputError, match=words) as error:
            hls.parse_playlist(f"{self.HEAD}{lines}\n", "live.m3u8")
        assert len(str(error.value)) < 300

    def test_a_million_lines(self) -> None:
        text = self.HEAD + "".join(f"#EXTINF:10.005333,\nlive{number}.ts\n" for number in range(500_000))
        found = hls.parse_playlist(text, "live.m3u8")
        assert (len(found), sum(length for _, length in found)) == (500_000, 500_000 * 10_005_333)

    @given(st.text(st.sampled_from("#EXTINF:1e9.,\nats/\0"), max_size=60))
    def test_any_text(self, text: str) -> None:
        try:
            found = hls.parse_playlist("#EXTM3U\n" + text, "live.m3u8")
        except InputError:
            return
        assert all(0 < length <= 3600_000_000 and "/" not in name for name, length in found)
