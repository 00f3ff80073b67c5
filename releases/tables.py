"""The rows of a release's five CSV tables. Columns and their meaning: docs/releases.md.

Times are seconds from the session's first sample on the millisecond grid, moments UTC with milliseconds; empty means unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from evaluation.blind import Compared
from podcast.heard import faster_than_sound, heard_share
from podcast.model import Annotation, Detection, Review, SoundEvent
from podcast.nodes import find_node
from podcast.overlap import touches
from podcast.reviews import COMPLETED, SILENT, VotedBox
from podcast.times import format_utc, parse_session_name
from podcast.vocabulary import Kind, source
from releases.records import AUDIO_STATES, Pseudonyms, Record, wav_filename

Row = tuple[str, ...]


def _columns(names: str) -> Row:
    return tuple(names.split())


SESSIONS_BEFORE = _columns(
    "session_id round split review_state wav_filename sha256 duration_s start_utc end_utc node location recording absolute_time "
    "uri model_versions reviewers boxes"
)
"""The columns of sessions.csv until releases told which sessions were heard without boxes."""
SESSIONS = (*SESSIONS_BEFORE, "blind")
BLIND = _columns("annotator model_version measure blind_sessions shown_sessions blind_value shown_value chance detectable led")
ANNOTATIONS = _columns(
    "session_id wav_filename split review_state start_time_s end_time_s low_hz high_hz start_utc end_utc node label call_type "
    "certainty votes reviewers annotators outcome model_version confidence predicted_start_time_s predicted_end_time_s note "
    "sha256"
)
SOUNDS = _columns(
    "session_id wav_filename split review_state start_time_s end_time_s low_hz high_hz start_utc end_utc node source kind "
    "aphia_id itis_tsn dclde_class pods_ai over_call certainty votes reviewers annotators note"
)
REVIEWS_BEFORE = _columns("session_id review annotator review_state submitted_utc ground_truth boxes note")
"""The columns of reviews.csv until releases told what was heard."""
REVIEWS = (*REVIEWS_BEFORE, *_columns("page_open_s audio_loaded heard_s page_length_s asked heard_share faster_than_sound"))
REVIEW_BOXES = _columns(
    "session_id review annotator outcome start_time_s end_time_s low_hz high_hz label call_type certainty note model_version "
    "confidence predicted_start_time_s predicted_end_time_s predicted_low_hz predicted_high_hz predicted_label"
)


def session_row(record: Record, split: str, *, audio: bool) -> Row:
    """One row of sessions.csv."""
    session, recording = record.session, record.session.recording
    return _text(
        session.id,
        session.round,
        split,
        record.state,
        wav_filename(record) if audio and record.state in AUDIO_STATES else "",
        recording.sha256,
        number(recording.duration_s),
        format_utc(recording.start),
        moment(recording.start, recording.duration_s),
        recording.source_guid,
        find_node(recording.source_guid).name,
        parse_session_name(session.id).parent,
        session.absolute_time,
        recording.uri,
        join_list(str(run) for run in session.model_runs),
        str(len(record.consensus.reviewers)),
        str(len(record.consensus.calls)),
        str(session.blind).lower(),
    )


def blind_row(row: Compared, names: Pseudonyms) -> Row:
    """One row of blind.csv; without an annotator it is of all together."""
    numbers = (number(item) for item in (row.blind, row.shown, row.chance, row.detectable))
    sessions = (str(row.blind_sessions), str(row.shown_sessions))
    return (names[row.annotator], row.model_version, row.measure, *sessions, *numbers, str(row.led).lower())


def annotation_rows(record: Record, split: str, names: Pseudonyms) -> Iterator[Row]:
    """The rows of annotations.csv: the calls that are released, with their votes."""
    recording = record.session.recording
    for box in record.consensus.calls:
        item, origin = box.annotation, box.annotation.detection
        yield _text(
            *_place(record, split, item.event),
            item.label,
            item.call_type,
            item.certainty,
            *_votes(record, box, names),
            item.outcome,
            str(origin.model_run) if origin else "",
            number(origin.confidence) if origin else "",
            number(origin.event.start_s) if origin else "",
            number(origin.event.end_s) if origin else "",
            item.note,
            recording.sha256,
        )


def sound_rows(record: Record, split: str, names: Pseudonyms) -> Iterator[Row]:
    """The rows of sounds.csv: what people marked that was no orca, with its kind and its names elsewhere."""
    calls = [box.annotation.event for box in record.consensus.calls]
    for box in record.consensus.others:
        item, found = box.annotation, source(box.annotation.label)
        over = touches(item.event, calls)
        codes = (found.kind, found.aphia_id or "", found.itis_tsn or "", found.dclde_class, found.pods_ai) if found else ()
        yield _text(
            *_place(record, split, item.event),
            item.label,
            *(map(str, codes) if codes else (Kind.UNKNOWN, "", "", "", "")),
            "yes" if over else "no",
            item.certainty,
            *_votes(record, box, names),
            item.note,
        )


def review_rows(record: Record, names: Pseudonyms) -> Iterator[Row]:
    """The rows of reviews.csv: every submission, oldest first, skips included."""
    for position, review in enumerate(record.session.reviews, 1):
        yield _text(
            record.session.id,
            str(position),
            names[review.annotator],
            review.state,
            format_utc(review.submitted),
            str(review.ground_truth).lower(),
            str(len(review.annotations)),
            review.note,
            *_heard(review, record.session.recording.duration_s),
        )


def review_box_rows(record: Record, names: Pseudonyms) -> Iterator[Row]:
    """The rows of review_boxes.csv: every prediction (without a review), then each submission's boxes and deleted predictions."""
    for detection in record.session.detections:
        yield _text(record.session.id, "", "", "predicted", *[""] * 8, *_detection(detection))
    for position, review in enumerate(record.session.reviews, 1):
        head = (record.session.id, str(position), names[review.annotator])
        for item in review.annotations:
            yield _text(*head, item.outcome, *_annotation(item), *_detection(item.detection))
        for detection in review.rejected:
            yield _text(*head, "deleted", *[""] * 8, *_detection(detection))


def released_review(record: Record) -> Review:
    """The calls that are released of a session, as a review, which exporters write."""
    return Review("", record.state, tuple(box.annotation for box in record.consensus.calls))


def moment(start: datetime | None, offset_s: float | None) -> str:
    """UTC of an offset in seconds, to the millisecond; empty if either is unknown."""
    if start is None or offset_s is None:
        return ""
    return format_utc(start + timedelta(milliseconds=round(offset_s * 1000)))


def number(value: float | None) -> str:
    """The shortest text that reads back as the same number; empty for None."""
    return "" if value is None else repr(float(value))


def join_list(items: Iterable[str]) -> str:
    """Texts in one cell, separated by semicolons; `%` and `;` within them as %25 and %3B."""
    return ";".join(item.replace("%", "%25").replace(";", "%3B") for item in items)


def heard_cells(review: Review, duration_s: float | None) -> Row:
    """The last two cells of a review in reviews.csv: what follows from the five before them and the recording's length. Empty
    where the review says nothing."""
    if review.state in SILENT:
        return ("", "")
    share = heard_share(review, duration_s)
    return number(None if share is None else round(share, 4)), _truth(faster_than_sound(review, duration_s))


def _heard(review: Review, duration_s: float | None) -> Row:
    heard = review.heard
    known = (number(heard.open_s), _truth(heard.loaded), number(heard.heard_s), number(heard.length_s), join_list(heard.asked))
    return (*known, *heard_cells(review, duration_s))


def _truth(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def _place(record: Record, split: str, event: SoundEvent) -> Row:
    """Where and when a box is; the split is empty where the session is in none of the tables of labels."""
    recording = record.session.recording
    return (
        record.session.id,
        wav_filename(record),
        split if record.state in COMPLETED else "",
        record.state,
        *_event(event),
        moment(recording.start, event.start_s),
        moment(recording.start, event.end_s),
        recording.source_guid,
    )


def _votes(record: Record, box: VotedBox, names: Pseudonyms) -> Row:
    voters = join_list(sorted(names[voter] for voter in box.voters))
    return (str(len(box.voters)), str(len(record.consensus.reviewers)), voters)


def _annotation(item: Annotation) -> Row:
    return (*_event(item.event), item.label, item.call_type, item.certainty, item.note)


def _detection(detection: Detection | None) -> Row:
    if detection is None:
        return ("",) * 7
    return (str(detection.model_run), number(detection.confidence), *_event(detection.event), detection.label)


def _event(event: SoundEvent) -> Row:
    return (number(event.start_s), number(event.end_s), number(event.low_hz), number(event.high_hz))


def _text(*cells: str) -> Row:
    """Cells with line ends as line feeds: a lone carriage return would not survive Python's csv."""
    if "\r" in "".join(cells):
        return tuple(cell.replace("\r\n", "\n").replace("\r", "\n") for cell in cells)
    return cells
