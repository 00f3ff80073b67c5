"""Which sessions and reviews an export writes, and what of them its format cannot hold. Shared by the exporters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from exporters.base import WriteOptions
from podcast.errors import InputError, Refusal
from podcast.heard import HeardEnough
from podcast.model import Certainty, Review, ReviewState, Session, check_name
from podcast.report import Report
from podcast.reviews import COMPLETED, chosen, named, others_of
from podcast.spool import Spool
from podcast.vocabulary import VOCABULARY_PATH, is_call, source, unknown_labels

SIDECAR = "sidecar.jsonl"

NO_LETTER = "holds half of a surrogate pair, which is no letter"

Put = Callable[[str, Session, Review], str | None]
"""Takes one review of a session for a folder (empty, or its annotator's name), or raises InputError; gives the count that it
belongs to, if not `written`."""

Holds = Callable[[Session, Review], bool]
"""Whether a format says all of a review that it is made to say, where certainty, call types and notes do not tell."""


def everything(_session: Session, _review: Review) -> bool:
    """For formats of boxes: they hold every one."""
    return True


Keep = Callable[[str, Iterator[str]], None]
"""Takes the lines of a folder's sidecar, one a session; there may be none."""


class Selection:
    """Goes through sessions once, counts each by what becomes of it, and keeps what a plain list of boxes cannot hold.

    `skipped` and `unreviewed` sessions are counted and left out. So are `unsure` ones, for an empty list would call them a
    true negative; the sidecar keeps all that was said of them.

    A review comes to the format with its calls alone, so that no list of boxes calls a ship an orca; a format that tells sources
    apart asks for `every_source` of the vocabulary. Boxes of other sounds are counted, and the sidecar has them all.
    """

    def __init__(
        self,
        sessions: Iterable[Session | Refusal],
        options: WriteOptions,
        holds: Holds = everything,
        *,
        every_source: bool = False,
    ) -> None:
        self.report = Report()
        self.report.counts.update(written=0, no_calls=0, other_sounds=0, unsure=0, skipped=0, unreviewed=0, refused=0)
        self._labels: Counter[str] = Counter()
        self._enough = None if options.min_heard is None else HeardEnough(options.min_heard)
        self._sessions, self._options, self._holds = sessions, options, holds
        self._every_source = every_source

    def run(self, put: Put, keep: Keep) -> Report:
        """Give everything that is to be written to `put`, each pair of folder and session once, and sidecars to `keep`.

        What `put` refuses (InputError) is counted as refused and the rest goes on; any other error ends the export. Raises
        InputError if one annotator's reviews are asked for, and nobody of that name has any.
        """
        sessions = named(self._sessions, self._options.annotator)
        with Spool() as seen, Spool() as unheld:
            for session in self.report.accepted(self._enough.of(sessions) if self._enough else sessions):
                reviews = list(chosen(session, self._options.annotator))
                if not reviews:
                    self.report.counts["unreviewed"] += 1
                for folder, review in reviews:
                    try:
                        self._take(session, review, folder, put, seen, unheld)
                    except InputError as error:
                        self.report.refuse(refusal(session, error))
            for folder in [name for name, _ in seen.groups()]:
                count = sum(1 for _ in unheld.group(folder))
                if count:
                    self.report.warn(
                        f"{count} sessions say more than this format holds (uncertain, call types, notes, other sounds, not "
                        f"sure): see {f'{folder}/' if folder else ''}{SIDECAR}"
                    )
                keep(folder, (f"{json.dumps(row, ensure_ascii=False)}\n" for row in unheld.group(folder)))
        if self._enough:
            self.report.counts["too_little_heard"] = self._enough.left_out
        self._tell_others()
        return self.report

    def _tell_others(self) -> None:
        """What was marked beside calls, by label; and which labels nobody knows."""
        if self._labels:
            labels = ", ".join(f"{count} {label!r}" for label, count in sorted(self._labels.items()))
            self.report.warn(f"{sum(self._labels.values())} boxes are other sounds and no calls ({labels}): see {SIDECAR}")
        if strange := unknown_labels(self._labels):
            self.report.warn(
                f"{sum(self._labels[label] for label in strange)} boxes have labels that are not in {VOCABULARY_PATH.name} "
                f"({', '.join(map(repr, strange))}): they may have meant calls, so a session without another call is unsure. Add "
                "them to the table, or say what they mean with means= in the round's labeling configuration, and export again"
            )

    def _take(self, session: Session, review: Review, folder: str, put: Put, seen: Spool, unheld: Spool) -> None:
        check_texts(session)
        if folder or self._options.annotator == "all":
            check_name(folder)
        row = _as_dict(session, review)
        if not is_text(json.dumps(row, ensure_ascii=False)):
            raise InputError(f"a text of it {NO_LETTER}")
        if not seen.add(folder, session.id):
            raise InputError("a second task of this session; the first was taken")
        if review.state not in COMPLETED:
            self.report.counts[str(review.state)] += 1
        else:
            wanted = source if self._every_source else is_call
            held = replace(review, annotations=tuple(item for item in review.annotations if wanted(item.label)))
            self.report.counts[put(folder, session, held) or "written"] += 1
            self.report.counts["no_calls"] += review.state is ReviewState.NO_CALLS
        if review.state is not ReviewState.SKIPPED and not (_held(review) and self._holds(session, review)):
            unheld.add(folder, session.id, row)
            others = others_of(review.annotations)
            self.report.counts["other_sounds"] += len(others)
            self._labels.update(item.label for item in others)


def refusal(session: Session, error: InputError) -> Refusal:
    """The session's refusal, its name on one line."""
    return Refusal(f"session {session.id if session.id.isprintable() else repr(session.id)}", str(error))


def check_texts(session: Session) -> None:
    """Raise InputError unless the session's texts can be written."""
    if not is_text(session.round, session.absolute_time, session.recording.uri, session.recording.source_guid):
        raise InputError(f"a text of it {NO_LETTER}")


def is_text(*texts: str) -> bool:
    """Whether the texts can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _held(review: Review) -> bool:
    plain = all(item.certainty is Certainty.CERTAIN and not item.call_type and not item.note for item in review.annotations)
    return plain and not review.note and review.state in COMPLETED and not others_of(review.annotations)


def _as_dict(session: Session, review: Review) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "annotator": review.annotator,
        "review_state": str(review.state),
        "note": review.note,
        "annotations": [
            {
                "start_s": item.event.start_s,
                "duration_s": item.event.duration_s,
                "label": item.label,
                "certainty": str(item.certainty),
                "call_type": item.call_type,
                "note": item.note,
            }
            for item in review.annotations
        ],
    }
