"""The table of what makes sounds: identifiers that others gave, names in other vocabularies, and what is no call."""

from __future__ import annotations

import io
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcast import vocabulary
from podcast.errors import InputError
from podcast.vocabulary import COLUMNS, Kind

HEAD = ",".join(COLUMNS)
CALL = "orca,Call,biophony,yes,,137102,180469,KW,NA,,KW,#0b7285"
ELSE = "unknown,Something else,unknown,no,,,,,NA,,,#868e96"


def parse(*lines: str) -> list[vocabulary.Source]:
    return vocabulary.parse_vocabulary(io.BytesIO("\n".join([HEAD, *lines, ""]).encode()), "v.csv")


def test_only_orcas_make_calls() -> None:
    assert [item.key for item in vocabulary.sources() if item.is_orca] == ["orca", "resident", "biggs"]
    assert [item.name for item in vocabulary.sources() if vocabulary.is_call(item.name)] == [
        "Call",
        "Southern Resident",
        "Bigg's",
    ]
    assert not any(map(vocabulary.is_call, ("", "call", "Dolphin", "Orca", "Humpback", "Something else")))


@given(st.text(max_size=12))
def test_a_label_of_nobodys_table_is_no_call(label: str) -> None:
    known = {item.name for item in vocabulary.sources()}
    assert vocabulary.is_call(label) is (label in {"Call", "Southern Resident", "Bigg's"})
    assert vocabulary.unknown_labels([label, label]) == ([] if label in known else [label])


def test_species_have_the_identifiers_of_worms_and_itis() -> None:
    found = {(item.is_orca or item.key): (item.aphia_id, item.itis_tsn) for item in vocabulary.sources() if item.aphia_id}
    assert found == {True: (137102, 180469), "humpback": (137092, 180530)}


def test_every_source_has_a_kind() -> None:
    kinds = {item.key: item.kind for item in vocabulary.sources()}
    assert {key for key, kind in kinds.items() if kind is Kind.BIOPHONY} == {"orca", "resident", "biggs", "humpback", "animal"}
    assert {key for key, kind in kinds.items() if kind is Kind.ANTHROPHONY} == {"vessel", "people", "equipment"}
    assert {key for key, kind in kinds.items() if kind is Kind.GEOPHONY} == {"water"}
    assert {key for key, kind in kinds.items() if kind is Kind.UNKNOWN} == {"jingle", "unknown"}


def test_the_vocabularies_of_others() -> None:
    # The seven categories that are found in pods-ai's 2,168 rows.
    seven = ["resident", "vessel", "water", "transient", "jingle", "humpback", "human"]
    keys = ["resident", "vessel", "water", "biggs", "jingle", "humpback", "people"]
    assert [found.key if (found := vocabulary.of_pods_ai(name)) else "" for name in seven] == keys
    assert vocabulary.of_pods_ai("") is vocabulary.of_pods_ai("walrus") is None
    tags = {"SRKW": "resident", "j": "resident", "humpback": "humpback", "Ferry": "vessel", "bigg's": "biggs", "KW": "orca"}
    assert {tag: found.key if (found := vocabulary.of_tag(tag)) else "" for tag in tags} == tags
    assert vocabulary.of_tag("S01") is vocabulary.of_tag("") is None
    classes = {("KW", "SRKW"): "resident", ("KW", "TKW"): "biggs", ("KW", "NA"): "orca", ("KW", "NRKW"): "orca"}
    classes |= {("HW", "NA"): "humpback", ("UndBio", "NA"): "animal", ("AB", "NA"): "unknown"}
    assert {pair: found.key if (found := vocabulary.of_dclde(*pair)) else "" for pair in classes} == classes
    assert vocabulary.of_dclde("XX") is None


def test_ecotypes() -> None:
    boxes = [
        ("Call", ""),
        ("Call", "S16"),
        ("Call", "Whistle"),
        ("Southern Resident", ""),
        ("Bigg's", "S16"),
        ("Humpback", "S16"),
    ]
    assert [vocabulary.dclde_ecotype(*box) for box in boxes] == ["NA", "SRKW", "NA", "SRKW", "TKW", "NA"]


def test_a_row_of_a_maintainer_is_a_source() -> None:
    found = parse(CALL, ELSE, "nrkw_2,Northern, biophony ,yes,Northern,137102,180469,KW,NRKW,north,A; G ;,#12ab9f")
    assert found[-1] == vocabulary.Source(
        key="nrkw_2",
        name="Northern",
        kind=Kind.BIOPHONY,
        is_orca=True,
        ecotype="Northern",
        aphia_id=137102,
        itis_tsn=180469,
        dclde_class="KW",
        dclde_ecotype="NRKW",
        pods_ai="north",
        tags=("A", "G"),
        colour="#12ab9f",
    )
    assert (found[1].aphia_id, found[1].itis_tsn, found[1].tags, found[1].is_orca) == (None, None, (), False)


def test_an_ecotype_that_the_table_does_not_have_is_an_orca_of_unknown_kind_wherever_that_stands() -> None:
    known = parse("srkw,SRKW,biophony,yes,,,,KW,SRKW,,,#123456", CALL, ELSE)
    with patch.object(vocabulary, "_table", lambda: {item.name: item for item in known}):
        found = [vocabulary.of_dclde("KW", ecotype) for ecotype in ("NRKW", "NA", "SRKW")] + [vocabulary.of_dclde("KW")]
        assert [item and item.name for item in found] == ["Call", "Call", "SRKW", "Call"]
        assert vocabulary.dclde_ecotype("SRKW", "S16") == "SRKW"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["x,X,noise,no,,,,,NA,,,#123456"], "kind: expected one of biophony, anthrophony, geophony, unknown, not 'noise'"),
        (["x,X,biophony,maybe,,,,,NA,,,#123456"], "orca: expected yes or no, not 'maybe'"),
        (["x,X,biophony,no,,many,,,NA,,,#123456"], "aphia_id: expected a number, or nothing, not 'many'"),
        (["x,X,biophony,no,,,1234567890,,NA,,,#123456"], "itis_tsn: expected a number, or nothing, not '1234567890'"),
        (["x,X,biophony,no,,,,XX,NA,,,#123456"], "dclde_class: expected one of KW, HW, AB, UndBio, or nothing, not 'XX'"),
        (
            ["x,X,biophony,yes,,,,KW,XX,,,#123456"],
            "dclde_ecotype: expected one of SRKW, TKW, NRKW, OKW, SAR, NA, not 'XX'",
        ),
        (["x,X,biophony,no,,,,KW,NA,,,#123456"], "dclde_class: expected KW for an orca, and for nothing else, not 'KW'"),
        (["x,X,biophony,yes,,,,HW,NA,,,#123456"], "dclde_class: expected KW for an orca, and for nothing else, not 'HW'"),
        (["x,X,biophony,no,,,,HW,TKW,,,#123456"], "dclde_ecotype: expected NA for what is no orca, not 'TKW'"),
        (["x,X,biophony,no,,,,HW,NA,,,red"], "colour: expected #rrggbb in small letters, not 'red'"),
        (["x,,biophony,no,,,,HW,NA,,,#123456"], "name: expected the name that people see, not ''"),
        (["2x,X,biophony,no,,,,HW,NA,,,#123456"], "key: expected small letters, digits and underscores, not '2x'"),
    ],
)
def test_what_is_wrong_in_a_row_is_named(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=rf"^v\.csv, line 4, {words}$"):
        parse(CALL, ELSE, *lines)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([CALL, ELSE, "x,Call,biophony,no,,,,,NA,,,#123456"], "v.csv, name: 'Call' stands there twice"),
        ([CALL, ELSE, "orca,X,biophony,no,,,,,NA,,,#123456"], "v.csv, key: 'orca' stands there twice"),
        ([CALL, ELSE, *(f"x{n},X{n},biophony,no,,,,,NA,fin,,#123456" for n in "12")], "v.csv, pods_ai: 'fin' stands there twice"),
        ([CALL, ELSE, "x,X,biophony,no,,,,,NA,,kw,#123456"], "v.csv, tags: 'kw' stands there twice"),
        ([CALL, ELSE, "x,X"], "line 4: has 2 cells"),
        ([ELSE], "a source of the name 'Call' with orca yes is missing"),
        ([CALL], "a source of the name 'Something else' with orca no is missing"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(*lines)
