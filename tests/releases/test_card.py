"""What comes from outside (names, descriptions, notes) in the data card, the pictures and the tables: shown, never obeyed."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from evaluation.blind import BlindAudit
from evaluation.edits import ReviewEdits
from podcast.errors import InputError
from podcast.model import ReviewState, Session
from podcast.reviews import consensus
from releases.build import ReleaseOptions
from releases.card import CardWords, card
from releases.markdown import plain
from releases.pictures import pictures
from releases.records import Pseudonyms, Record
from releases.summary import Summary
from tests.conftest import ROOT
from tests.releases.sessions import box, review, session
from tests.releases.test_release import released, rows

EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a\n\n# Heading\n\n| x | y |\n",
    "a | b | c",
    "](javascript:alert(1)) [x",
    "![x](http://tracker.example/x.png)",
    "`code` and ``more``",
    "**bold** _it_ ~~gone~~ __x__",
    "http://phish.example www.phish.example me@phish.example <http://phish.example>",
    "&lt;b&gt; &amp; \\< \\",
    "[ref]: http://x 'y'",
    "$\\frac{1}{0}$",
    "rpi_orcasound_lab",
    "- x", "1. x", "+ x", "> x", "    code", "\tcode", "***", "===",
]  # fmt: skip
WORDS = st.sampled_from(EVIL) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


def parsed(text: str) -> list[Token]:
    """The card as GitHub and the Hub read it: CommonMark with tables, strikethrough and HTML."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [inner for token in tokens for inner in [token, *(token.children or [])]]


def cells(text: str) -> list[str]:
    """What each cell of each table shows."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    inside = [tokens[number + 1] for number, token in enumerate(tokens) if token.type == "td_open"]
    return ["".join(child.content for child in token.children or []) for token in inside]


def card_of(round_name: str, description: str, node: str, call_type: str, licence: str) -> str:
    said = review("ann", ReviewState.CALLS)
    said = replace(said, annotations=(box(1, 2, "ann", call_type=call_type),))
    found = session("s", said, start=datetime(2020, 7, 1, tzinfo=UTC), round=round_name, node=node)
    summary = Summary()
    summary.add(Record(found, consensus(found)), "train")
    words = CardWords("podcast-1", licence, rounds={round_name: description})
    return card(words, summary, [], [], BlindAudit().report(), ReviewEdits(), [], Pseudonyms(["ann"]))


HEADINGS = [
    "podcast-1",
    "Files",
    "Numbers",
    "Rounds",
    "How it was labelled",
    "Was it heard?",
    "Agreement",
    "Known limits",
    "Licence",
]


@given(WORDS, WORDS, WORDS, WORDS, WORDS)
@settings(max_examples=150, deadline=None)
def test_words_from_outside_are_shown_and_nothing_else(a: str, b: str, node: str, call_type: str, licence: str) -> None:
    text = card_of(a, b, node, call_type, licence)
    tokens = parsed(text)
    kinds = {token.type for token in tokens}
    blocks = {"html_block", "code_block", "fence", "blockquote_open", "hr"}
    assert not kinds & {*blocks, "html_inline", "link_open", "em_open", "s_open"}
    assert [token.attrs["src"] for token in tokens if token.type == "image"] == ["map.png", "nodes.png", "hours.png"]
    headings = [tokens[number + 1].content for number, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings == HEADINGS
    found = cells(text)
    for word in (a, b, node, call_type):
        assert " ".join(word.split()) in found or not word.split()


@given(WORDS)
@settings(max_examples=300, deadline=None)
def test_plain_shows_the_same_letters_and_makes_no_link(word: str) -> None:
    made = plain(word)
    assert "\n" not in made and "://" not in made and "www." not in made and "@" not in made
    inline = MarkdownIt("commonmark", {"html": True}).enable("strikethrough").parseInline(f"x {made} x")[0].children or []
    assert "".join(token.content for token in inline) == f"x {' '.join(word.split())} x"
    assert {token.type for token in inline} <= {"text", "text_special"}


def test_names_of_nodes_can_be_read_in_the_file_itself() -> None:
    assert "| rpi_orcasound_lab |" in card_of("r", "d", "rpi_orcasound_lab", "S01", "CC0")


def test_pictures_of_any_names() -> None:
    summary = Summary()
    for number in range(300):  # and of any number of nodes
        node = f"{EVIL[number % len(EVIL)]}{number}"
        found = session(f"s{number}", review("ann", ReviewState.CALLS, [(1, 2)]), node=node)
        summary.add(Record(found, consensus(found)), "train")
    assert [content[:4] for _, content in pictures(summary)] == [b"\x89PNG"] * 3


FORMULA = '=HYPERLINK("http://x","y")'


def formulas() -> list[Session]:
    said = replace(review("=ann@x.org", ReviewState.CALLS), annotations=(box(1, 2, "=ann@x.org", call_type="+S1", note=FORMULA),))
    other = review("-bob", ReviewState.CALLS, [(5, 6)], note="@sum\tof\r\nlines")
    return [session("=cmd", said, other, start=datetime(2020, 7, 1, tzinfo=UTC), round="=1+1", node="-node")]


def test_a_formula_keeps_its_value_and_the_card_says_how_to_open_it(tmp_path: Path) -> None:
    release = released(formulas(), tmp_path)
    for table in ("annotations.csv", "review_boxes.csv"):
        assert FORMULA in {row["note"] for row in rows(release / table)}
    assert rows(release / "sessions.csv")[0]["round"] == "=1+1"
    assert "spreadsheet" in (release / "README.md").read_text()
    assert "spreadsheet" in (ROOT / "docs" / "releases.md").read_text()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_who_is_behind_a_pseudonym_is_for_the_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        released(formulas(), tmp_path)
        names = ("r.annotators.csv", "r.look-again.csv")
        assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names} == dict.fromkeys(names, 0o600)
        assert stat.S_IMODE((tmp_path / "r" / "sessions.csv").stat().st_mode) == 0o644
        (tmp_path / "r" / "SHA256SUMS").unlink()
        (tmp_path / "r.annotators.csv").chmod(0o666)  # of a release before this was so
        released(formulas(), tmp_path)
        assert stat.S_IMODE((tmp_path / "r.annotators.csv").stat().st_mode) == 0o600
    finally:
        os.umask(old)


@pytest.mark.parametrize("name", ["a\nb", "..", ".x", "x" * 300])
def test_a_release_has_a_name_of_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--name"):
        released(formulas(), tmp_path, ReleaseOptions(name, with_audio=False))
