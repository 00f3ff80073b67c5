"""Whether an answer was heard: what follows from what is known of the listening. The definitions: docs/adr/0096.

Only answers are asked about: a skip and "not looked at" say nothing, whether anybody listened or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from podcast.errors import Notice, Refusal
from podcast.model import EDGE_S, Review, Session
from podcast.reviews import SILENT

FASTEST = 2.5
"""How many times faster than the sound Label Studio's page can play (its slider "Playback speed" ends there)."""

SOMETHING = 1e-3
"""The least share of a recording that must have been heard, else nothing was."""


def heard_share(review: Review, duration_s: float | None) -> float | None:
    """How much of a recording of `duration_s` seconds was heard at most before the review, from 0 to 1; None if nothing tells.

    Where the page noted what it played, that: 0 where the audio had not loaded, and all where less than `EDGE_S` is missing. Else
    nobody can have heard more than `FASTEST` times the time that the page was open.
    """
    heard, length_s = review.heard, duration_s or review.heard.length_s
    if heard.loaded is False and not heard.heard_s:
        return 0.0
    if not length_s:
        return None
    if heard.heard_s is not None:
        return 1.0 if heard.heard_s > length_s - EDGE_S else heard.heard_s / length_s
    return None if heard.open_s is None else min(1.0, FASTEST * heard.open_s / length_s)


def unheard(review: Review, duration_s: float | None) -> bool:
    """Whether it is known that nothing was heard before the review."""
    share = heard_share(review, duration_s)
    return share is not None and share < SOMETHING


def too_short(review: Review, duration_s: float | None) -> bool | None:
    """Whether the page was open for less time than the recording lasts; None if one of the two is unknown."""
    open_s, length_s = review.heard.open_s, duration_s or review.heard.length_s
    return None if open_s is None or not length_s else open_s < length_s


def in_part(review: Review, duration_s: float | None) -> bool | None:
    """Whether the page noted that it played less than the whole recording; None where it noted nothing."""
    if review.heard.loaded is False or review.heard.heard_s is None:
        return None
    share = heard_share(review, duration_s)
    return None if share is None else share < 1


def faster_than_sound(review: Review, duration_s: float | None) -> bool | None:
    """Whether the review came before the whole recording can have been heard as it sounds: the audio had not loaded, the page was
    open for less time than the recording lasts, or it noted that it played less than all. None if nothing is known."""
    if review.heard.loaded is False:
        return True
    known = [found for found in (too_short(review, duration_s), in_part(review, duration_s)) if found is not None]
    return any(known) if known else None


def answers(session: Session) -> Iterator[Review]:
    """The reviews that say something."""
    return (review for review in session.reviews if review.state not in SILENT)


@dataclass(slots=True)
class HeardCounts:
    """How many `answers` there are, and of how many nothing is known.

    `faster_than_sound` counts each answer once to which at least one of the three counts before it applies.
    """

    answers: int = 0
    unknown: int = 0
    not_loaded: int = 0
    open_too_short: int = 0
    heard_in_part: int = 0
    faster_than_sound: int = 0

    def add(self, session: Session) -> None:
        """Take one session."""
        duration_s = session.recording.duration_s
        for review in answers(session):
            faster = faster_than_sound(review, duration_s)
            self.answers += 1
            self.unknown += faster is None
            self.not_loaded += review.heard.loaded is False
            self.open_too_short += bool(too_short(review, duration_s))
            self.heard_in_part += bool(in_part(review, duration_s))
            self.faster_than_sound += bool(faster)


class HeardEnough:
    """Leaves answers out of which less than the share `least` can have been heard, as if nobody had given them.

    A session that had no other is unreviewed then. Each answer is named in a notice, and counted in `left_out`; those of which
    nothing is known stay, and one notice says how many they are (`unknown`).
    """

    def __init__(self, least: float) -> None:
        self.least, self.left_out, self.unknown = least, 0, 0

    def of(self, sessions: Iterable[Session | Refusal]) -> Iterator[Session | Refusal]:
        """The sessions, refusals passed on, each with the answers that stay."""
        for session in sessions:
            if isinstance(session, Refusal):
                yield session
                continue
            out = [review for review in answers(session) if self._is_too_little(review, session.recording.duration_s)]
            yield from (self._notice(session, review) for review in out)
            self.left_out += len(out)
            stay = tuple(review for review in session.reviews if not any(review is gone for gone in out))
            yield replace(session, reviews=stay) if out else session
        if self.unknown:
            yield Notice("listening", f"nothing is known of it for {self.unknown} answers; they were not left out")

    def _is_too_little(self, review: Review, duration_s: float | None) -> bool:
        share = heard_share(review, duration_s)
        self.unknown += share is None
        return share is not None and share < self.least

    def _notice(self, session: Session, review: Review) -> Notice:
        share = heard_share(review, session.recording.duration_s) or 0.0
        heard = f"at most {share:.3f} of the recording was heard" if share else "nothing of the recording was heard"
        author = f"the answer of {review.annotator}" if review.annotator else "an answer"
        return Notice(f"session {session.id}", f"{author} is left out as unreviewed: {heard}, {self.least:g} was asked for")
