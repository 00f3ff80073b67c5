"""The table of what makes sounds: identifiers that others gave, names in other vocabularies, and what is no call."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcast import vocabulary
from podcast.errors import InputError
from podcast.vocabulary import COLUMNS, Kind, Signal

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


def test_signals_and_ecotypes() -> None:
    assert [vocabulary.signal(name) for name in ("", "S16", "Whistle", "Buzz", "Clicks")] == [
        *(Signal.CALL, Signal.CALL, Signal.WHISTLE, Signal.BUZZ, Signal.CLICK)
    ]
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
    found = parse(CALL, ELSE, "sonar,Sonar,anthrophony,no,,,,AB,NA,,ping;sonar,#123456")
    assert (found[-1].name, found[-1].tags, found[-1].is_orca) == ("Sonar", ("ping", "sonar"), False)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([CALL, ELSE, "x,X,noise,no,,,,,NA,,,#123456"], "line 4, kind: expected one of biophony"),
        ([CALL, ELSE, "x,X,biophony,maybe,,,,,NA,,,#123456"], "line 4, orca: expected yes or no"),
        ([CALL, ELSE, "x,X,biophony,no,,many,,,NA,,,#123456"], "line 4, aphia_id: expected a number"),
        (
            [CALL, ELSE, "x,X,biophony,no,,,,KW,NA,,,#123456"],
            "line 4, dclde_class: expected KW for an orca, and for nothing else",
        ),
        ([CALL, ELSE, "x,X,biophony,yes,,,,HW,NA,,,#123456"], "line 4, dclde_class: expected KW for an orca"),
        ([CALL, ELSE, "x,X,biophony,no,,,,HW,TKW,,,#123456"], "line 4, dclde_ecotype: expected NA"),
        ([CALL, ELSE, "x,X,biophony,no,,,,HW,NA,,,red"], "line 4, colour: expected #rrggbb"),
        ([CALL, ELSE, "x,,biophony,no,,,,HW,NA,,,#123456"], "line 4, name: expected the name"),
        ([CALL, ELSE, "x,Call,biophony,no,,,,,NA,,,#123456"], "v.csv, name: 'Call' stands there twice"),
        ([CALL, ELSE, "x,X,biophony,no,,,,,NA,,kw,#123456"], "v.csv, tags: 'kw' stands there twice"),
        ([CALL, ELSE, "x,X"], "line 4: has 2 cells"),
        ([ELSE], "a source of the name 'Call' with orca yes is missing"),
        ([CALL], "a source of the name 'Something else' with orca no is missing"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse(*lines)
