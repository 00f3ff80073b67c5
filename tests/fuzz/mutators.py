"""Seeded damage to bytes, JSON values, tables and names. The same `Random` gives the same damage."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

SECRETS = ("SECRETKEY0123456789abcdef", "SECRETSIG%2Fabcdef0123", "SECRETWORD-of-the-backend")
"""A key, a signature and a password: they stand in inputs and environment, and may be in nothing that is printed or answered."""

SIGNED = (
    f"https://account.blob.core.windows.net/audio/a.wav?sv=2024-01-01&sig={SECRETS[1]}",
    f"https://bucket.s3.amazonaws.com/a.wav?X-Amz-Signature={SECRETS[1]}",
    f"https://someone:{SECRETS[2]}@127.0.0.1:1/a.wav",
)
AGAIN, DEEP, DIGITS = "\ue000", "\ue001", "\ue002"
"""Marks for what a Python value cannot hold: a key that stands there twice, 100,000 levels, 5,000 digits."""

TEXTS = (
    *(
        "",
        " ",
        "x" * 5000,
        "\0",
        "a\0b",
        "\ud800",
        "é\u202e",
        "𝄞",
        "\r\n",
        "a\tb",
        '"',
        "'",
        "=cmd|' /C calc'!A0",
        "-1+1",
        "[/b]",
    ),
    *("../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "C:\\x\\y.wav", ".", "..", "%00", "%2e%2e%2f", "a/b", "<script>"),
    *("http://[::1", "https://", "s3://", "azure-blob://x", "ftp://h/x", "gopher:x", "/data/../api/users/", "?d=", "#", "nan"),
    *("NaN", "inf", "1e999", "-1", "0", "1e-320", "0x10", "1_0", "٣", "1,5", "true", "null", "None", "[]", "{}", "undefined"),
    *("2020-02-30T25:61:00Z", "0000-00-00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "2020-07-25 19:15"),
    *SIGNED,
)
NUMBERS = (0, -0.0, -1, 1, 59.9999, 1e-320, 1e9, 1e308, -1e308, 2**53 + 1, 10**30, math.nan, math.inf, -math.inf)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, [1, "a", None], {"a": {"b": []}}, DEEP, DIGITS)


def any_value(chance: Random, depth: int = 2) -> Any:
    """A JSON value out of nothing."""
    kind = chance.randrange(6 if depth else 3)
    if kind == 0:
        return chance.choice(TEXTS)
    if kind == 1:
        return chance.choice((*NUMBERS, chance.uniform(-100, 100), chance.randrange(-5, 100)))
    if kind == 2:
        return copy.deepcopy(chance.choice(OTHERS))
    if kind == 3:
        return [any_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(TEXTS)[:20]: any_value(chance, depth - 1) for _ in range(chance.randrange(4))}


def damage_json(chance: Random, value: Any) -> Any:
    """A copy with one to three places dropped, renamed, doubled, swapped or replaced; rarely something else altogether."""
    if chance.random() < 0.03:
        return any_value(chance)
    holder = [copy.deepcopy(value)]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(holder))
        if not places:
            break
        parent, key = chance.choice(places)
        chance.choice(JSON_DAMAGES)(chance, parent, key, places)
    return holder[0] if holder else None


def to_json(chance: Random, value: Any) -> bytes:
    """The bytes of a damaged value, now and then with a byte order mark or in another encoding."""
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, 1)))
    for mark, meant in ((f'"{DEEP}"', "[" * 100_000 + "]" * 100_000), (f'"{DIGITS}"', "9" * 5000), (AGAIN, "")):
        text = text.replace(mark, meant).replace(mark.encode("unicode_escape").decode(), meant)
    return encoded(chance, text)


def encoded(chance: Random, text: str) -> bytes:
    """Text as UTF-8, or seldom as somebody's editor saves it."""
    if chance.random() < 0.9:
        return text.encode("utf-8", "surrogatepass")
    return text.encode(chance.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252")), "replace")


def damage_bytes(chance: Random, content: bytes) -> bytes:
    """Cut, flipped, doubled, filled, or with a piece put in."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(changed) + 1)
        size = min(chance.choice((1, 1, 2, 4, 16, 200)), len(changed) - place)
        kind = chance.randrange(6)
        if kind == 0:
            del changed[place:]
        elif kind == 1:
            changed[place : place + size] = chance.randbytes(size)
        elif kind == 2:
            del changed[place : place + size]
        elif kind == 3:
            changed[place:place] = changed[place : place + size] * chance.choice((1, 3))
        elif kind == 4:
            changed[place : place + size] = chance.choice((b"\0", b"\xff", b"\x7f")) * size
        else:
            changed[place:place] = chance.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"{", b"]", b'"', b"\n", b"\t", b"\xc3", b"NaN"))
    return bytes(changed)


def damage_header(chance: Random, content: bytes) -> bytes:
    """One of the first numbers of a file replaced: where formats keep rates, lengths and sizes."""
    changed = bytearray(content)
    size = chance.choice((1, 2, 4, 4, 8))
    place = chance.randrange(0, 64)
    number = chance.choice((0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, chance.getrandbits(32))) & (256**size - 1)
    changed[place : place + size] = number.to_bytes(size, chance.choice(("little", "big")))
    return bytes(changed)


Rows = list[list[str]]


def damage_table(chance: Random, rows: Rows) -> Rows:
    """Cells, lines and columns of a table with a header, changed in one to three places."""
    rows = [list(row) for row in rows]
    for _ in range(chance.choice((1, 1, 2, 3))):
        if not rows:
            break
        number = chance.randrange(len(rows)) if chance.random() < 0.7 else 0
        row, kind = rows[number], chance.randrange(9)
        cell = chance.randrange(len(row)) if row else 0
        if kind <= 2 and row:
            row[cell] = chance.choice((*TEXTS, *map(str, NUMBERS)))
        elif kind == 3 and row:
            del row[cell]
        elif kind == 4:
            row.insert(cell, chance.choice(TEXTS))
        elif kind == 5:
            rows.insert(chance.randrange(len(rows) + 1), list(row))
        elif kind == 6 and number:
            del rows[number]
        elif kind == 7 and row:
            other = chance.randrange(len(row))
            for line in rows:
                if max(cell, other) < len(line):
                    line[cell], line[other] = line[other], line[cell]
        else:
            rows[number] = [chance.choice(TEXTS) for _ in range(chance.randrange(5))]
    return rows


def to_table(chance: Random, rows: Rows, delimiter: str) -> bytes:
    """The bytes of a table; cells that need it are quoted, as every spreadsheet does."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=chance.choice(("\n", "\r\n")))
    writer.writerows(rows)
    return encoded(chance, file.getvalue())


def any_name(chance: Random) -> str:
    """A session's name: one of the known patterns, its numbers possible or not, or any text."""
    if chance.random() < 0.15:
        return chance.choice(TEXTS[: -len(SIGNED)])[:100]
    year, month, day, hour, minute, second = (
        chance.choice(good if chance.random() < 0.9 else bad)
        for good, bad in (
            (range(2000, 2030), (0, 1, 9999)),
            (range(1, 13), (0, 13, 99)),
            (range(1, 29), (0, 30, 31, 32, 99)),
            *((range(24), (24, 99)), (range(60), (60, 99)), (range(60), (60, 61, 99))),
        )
    )
    chunk = chance.choice(("", "", f"_{chance.choice((0, 1, 2, 10, 65535)):04x}", "_zzzz", "_00001"))
    pattern = chance.randrange(4)
    if pattern == 0:
        return f"OS_{month}_{day:02d}_{year:04d}_{hour:02d}_{minute:02d}_{second:02d}_{chunk}"
    if pattern == 1:
        node, zone = chance.choice(("rpi_orcasound_lab", "rpi-bush-point", "x")), chance.choice(("PST", "PDT"))
        return f"{node}_{year:04d}_{month:02d}_{day:02d}_{hour:02d}_{minute:02d}_{second:02d}_{zone}"
    if pattern == 2:
        return f"{chance.choice((1601520000, 9999999999, 100000000, 0))}{chunk}"
    return f"tape-{chance.randrange(1000)}{chunk}"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value: its holder, and its key or index."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _replace(chance: Random, parent: Any, key: Any, _: list[Any]) -> None:
    parent[key] = any_value(chance, 1)


def _drop(_: Random, parent: Any, key: Any, __: list[Any]) -> None:
    del parent[key]


def _rename(chance: Random, parent: Any, key: Any, _: list[Any]) -> None:
    if isinstance(parent, dict):
        parent[chance.choice((f"{key}x", key.upper(), key[:-1], chance.choice(TEXTS)[:50]))] = parent.pop(key)


def _again(chance: Random, parent: Any, key: Any, _: list[Any]) -> None:
    value = copy.deepcopy(parent[key]) if chance.random() < 0.5 else any_value(chance, 1)
    if isinstance(parent, dict):
        parent[AGAIN + key] = value
    else:
        parent.insert(key, value)


def _swap(chance: Random, parent: Any, key: Any, places: list[Any]) -> None:
    other, name = chance.choice(places)
    parent[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(parent[key])


def _retype(chance: Random, parent: Any, key: Any, _: list[Any]) -> None:
    value = parent[key]
    parent[key] = chance.choice((str(value), [value], {"value": value}, bool(value), len(str(value))))


def _nudge(chance: Random, parent: Any, key: Any, _: list[Any]) -> None:
    value = parent[key]
    if isinstance(value, str) and value:
        place = chance.randrange(len(value))
        parent[key] = value[:place] + chance.choice(("", " ", "\0", "é", value)) + value[place + 1 :]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        parent[key] = chance.choice((-value, value + 1, value * 1000, value / 3, round(value, 3) + 0.0005))


Damage = Callable[[Random, Any, Any, list[Any]], None]
JSON_DAMAGES: tuple[Damage, ...] = (_replace, _replace, _replace, _drop, _rename, _again, _swap, _retype, _nudge)
