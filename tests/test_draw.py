"""Which sessions of a round are drawn, by their names."""

from __future__ import annotations

import pytest

from podcast.draw import drawn

IDS = [f"s{number}" for number in range(10_000)]


def test_who_is_drawn_is_told_by_the_names_alone() -> None:
    """Of `printf 'blind\\0r\\0s1' | sha256sum` and the like, half and a tenth begin below 80 and 19.99 in hexadecimal."""
    some = [f"s{number}" for number in range(1, 13)]
    assert [name for name in some if drawn("blind", "r", name, 0.5)] == ["s1", "s2", "s6", "s7", "s12"]
    assert [name for name in some if drawn("blind", "r", name, 0.1)] == ["s12"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_share_is_a_share_whatever_else_was_drawn(share: float) -> None:
    blind = {name for name in IDS if drawn("blind", "round 1", name, share)}
    second = {name for name in IDS if drawn("second", "round 1", name, share)}
    four_sigma = 4 * (share * (1 - share) / len(IDS)) ** 0.5
    for found, expected in ((blind, share), (second, share), (blind & second, share * share)):
        assert abs(len(found) / len(IDS) - expected) <= four_sigma


def test_a_larger_share_holds_a_smaller_one() -> None:
    assert {name for name in IDS if drawn("blind", "r", name, 0.1)} < {name for name in IDS if drawn("blind", "r", name, 0.2)}
