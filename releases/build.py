"""Make one dataset release from a stream of sessions. The same sessions, in any order, give the same bytes."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO

from evaluation.agreement import Agreement
from evaluation.anchoring import AnchoringAudit
from evaluation.blind import BlindAudit
from evaluation.edits import ReviewEdits
from evaluation.estimate import MinutesWithCalls
from exporters import dataset_tsv
from importers import release as released
from importers.base import ReadOptions
from podcast import audio, dataset_table, storage
from podcast.errors import InputError, PodcastError, Refusal
from podcast.heard import HeardEnough
from podcast.model import Session, check_name
from podcast.reading import decode
from podcast.report import Report
from podcast.reviews import COMPLETED, DEFAULT_OVERLAP, consensus
from podcast.session_spool import SessionSpool
from podcast.splits import DEFAULT_GAP_S, DEFAULT_SHARES, SPLITS, Unit, assign, check, unit_of, why_empty
from podcast.spool import Spool
from releases import citation, croissant, tables
from releases.archive import write_archive
from releases.audio import copy_wav, with_digest
from releases.card import DEFAULT_LICENCE, CardWords, card, description
from releases.diff import counts, diff
from releases.pictures import pictures
from releases.records import AUDIO_STATES, Pseudonyms, Record, records, spooled, wav_filename
from releases.summary import Summary

CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """How a release is made.

    `min_heard` leaves out answers of which less than this share was heard (`podcast.heard`), None none.
    `audio` is the folder with `<session id>.wav`, None for each recording's own `audio_uri`; `with_audio` False leaves audio
    and archive out. `previous` is the folder of the release that this one follows: its splits stay. `pseudonyms` is the table
    of its annotators. `rounds` holds what volunteers read about each round. `open_audio` opens an `audio_uri`, as far as that
    may be read. `gap_s`, `shares`: see `podcast.splits`.
    """

    name: str
    audio: str | None = None
    with_audio: bool = True
    overlap: float = DEFAULT_OVERLAP
    gap_s: float = DEFAULT_GAP_S
    shares: tuple[float, float, float] = DEFAULT_SHARES
    previous: str | None = None
    pseudonyms: str | None = None
    licence: str = DEFAULT_LICENCE
    min_heard: float | None = None
    rounds: Mapping[str, str] = field(default_factory=dict)
    open_audio: Callable[[str], BinaryIO] = storage.open_read


def build(
    sessions: Iterable[Session | Refusal],
    to: str,
    options: ReleaseOptions,
    address_of: Callable[[str, str], str],
) -> Report:
    """Write the release `<to>/<name>/` and `<to>/<name>.tar.gz`, and beside them two files that are not for the public.

    These are `<name>.annotators.csv` (who is behind a pseudonym) and `<name>.look-again.csv` (the sessions with the most
    disagreement, with `address_of` round and session id). SHA256SUMS comes last: a release without it is unfinished. Raises
    InputError if a finished release of this name is there, or nothing can be released, or the splits break their rule.
    """
    try:
        check_name(options.name)
    except InputError as error:
        raise InputError(f"--name {options.name!r} must be the name of a folder: {error}") from error
    folder = storage.join(to, options.name)
    if storage.exists(storage.join(folder, CHECKSUMS)):
        raise InputError(f"{folder} is a finished release, and releases never change: choose another --name")
    report = Report()
    report.counts.update(sessions=0, boxes=0, other_sounds=0, refused=0, **dict.fromkeys((*SPLITS, "left_out"), 0))
    storage.tidy(folder)
    enough = None if options.min_heard is None else HeardEnough(options.min_heard)
    with SessionSpool() as spool, Spool() as digests:
        kept = spooled(enough.of(sessions) if enough else sessions, spool, report)
        first = (Record(session, consensus(session, options.overlap)) for session in kept)
        again = records(spool, options.overlap, report, shared=True)  # what several rounds have is known once all are read
        units, assigned, names = _plan(chain(first, again), options)
        if enough:
            report.counts["too_little_heard"] = enough.left_out
        release = _Release(folder, options, units, assigned, names, report, digests)
        release.write_tables(records(spool, options.overlap, Report()))
        release.write_changelog(spool)
        release.write_metadata()
        names.write(storage.join(to, f"{options.name}.annotators.csv"))
        release.write_look_again(storage.join(to, f"{options.name}.look-again.csv"), address_of)
        checksums = release.checksums()
        if options.with_audio:
            archive = storage.join(to, f"{options.name}.tar.gz")
            write_archive(archive, options.name, folder, release.files(), {CHECKSUMS: checksums})
        storage.write(storage.join(folder, CHECKSUMS), checksums)
    return report


def _plan(found: Iterator[Record], options: ReleaseOptions) -> tuple[list[Unit], dict[str, str], Pseudonyms]:
    """The sessions, the split of each, proven, and the pseudonyms.

    Of two records of one session the later counts; sessions of the earlier release count, even if they are gone.
    """
    units: dict[str, Unit] = {}
    annotators: set[str] = set()
    for record in found:
        if options.with_audio and record.state in AUDIO_STATES:
            record = with_digest(record, options.audio, options.open_audio)
        usable = record.state in COMPLETED
        units[record.session.id] = unit_of(record.session, usable=usable, calls=len(record.consensus.calls))
        annotators.update(review.annotator for review in record.session.reviews)
    if not units:
        raise InputError("there is no session to be released")
    previous = released.read_splits(options.previous) if options.previous else {}
    for record in records_of(options.previous, options.overlap) if options.previous else ():
        units.setdefault(record.session.id, unit_of(record.session, usable=False, calls=0))
    ordered = [units[name] for name in sorted(units)]
    assigned = assign(ordered, previous, options.gap_s, options.shares)
    if faults := check(ordered, assigned, options.gap_s):
        raise PodcastError(f"the splits break their rule, nothing was released: {faults[0]} ({len(faults)} pairs)")
    known = Pseudonyms.read(options.pseudonyms) if options.pseudonyms else None
    return ordered, assigned, Pseudonyms(annotators, known)


class _Release:
    """The folder of one release while it is written."""

    def __init__(
        self,
        folder: str,
        options: ReleaseOptions,
        units: Sequence[Unit],
        assigned: Mapping[str, str],
        names: Pseudonyms,
        report: Report,
        digests: Spool,
    ) -> None:
        self._folder, self._options, self._assigned, self._names = folder, options, assigned, names
        self._units = units
        self._report, self._digests = report, digests
        self._agreement, self._summary = Agreement(), Summary()
        self._anchoring, self._blind, self._edits = AnchoringAudit(options.overlap), BlindAudit(), ReviewEdits()
        self._sea = MinutesWithCalls()
        self._refused: set[str] = set()
        self._columns: dict[str, Sequence[str]] = {}

    def write_tables(self, found: Iterator[Record]) -> None:
        """Audio, tables, pictures and the card."""
        with ExitStack() as stack:
            splits = {split: self._table(stack, f"{split}.tsv", dataset_table.COLUMNS) for split in SPLITS}
            sessions = self._table(stack, "sessions.csv", tables.SESSIONS)
            annotations = self._table(stack, "annotations.csv", tables.ANNOTATIONS)
            sounds = self._table(stack, "sounds.csv", tables.SOUNDS)
            reviews = self._table(stack, "reviews.csv", tables.REVIEWS)
            boxes = self._table(stack, "review_boxes.csv", tables.REVIEW_BOXES)
            for record in self._with_audio(found):
                split = self._assigned[record.session.id]
                if record.state in COMPLETED and split in SPLITS:
                    splits[split](dataset_tsv.rows(record.session, tables.released_review(record), self._options.name))
                sessions([tables.session_row(record, split, audio=self._options.with_audio)])
                annotations(tables.annotation_rows(record, split, self._names))
                sounds(tables.sound_rows(record, split, self._names))
                reviews(tables.review_rows(record, self._names))
                boxes(tables.review_box_rows(record, self._names))
                self._count(record, split)
            self._write_reports(stack)
        for name in self._columns:
            self._digest(name)

    def _with_audio(self, found: Iterator[Record]) -> Iterator[Record]:
        """Records whose audio was copied, where they need any; the others are refused."""
        for record in found:
            if not self._options.with_audio or record.state not in AUDIO_STATES:
                yield record
                continue
            try:
                copied = copy_wav(record, self._options.audio, storage.join(self._folder, "wav"), self._options.open_audio)
            except InputError as error:
                self._report.refuse(Refusal(f"session {record.session.id}", str(error)))
                self._refused.add(record.session.id)
                continue
            self._digests.add("", f"wav/{wav_filename(record)}", (f"wav/{wav_filename(record)}", copied.session.recording.sha256))
            yield copied

    def _count(self, record: Record, split: str) -> None:
        self._report.counts["sessions"] += 1
        self._report.counts[str(record.state)] += 1
        self._report.counts[split if split in SPLITS else "left_out"] += 1
        self._report.counts["boxes"] += len(record.consensus.calls)
        self._report.counts["other_sounds"] += len(record.consensus.others)
        self._summary.add(record, split)
        self._agreement.add(record.session)
        self._anchoring.add(record.session)
        self._blind.add(record.session)
        self._edits.add(record.session)
        self._sea.add(record.session)

    def _write_reports(self, stack: ExitStack) -> None:
        measures, anchoring, blind = list(self._agreement.measures()), list(self._anchoring.rows()), self._blind.report()
        self._table(stack, "agreement.csv", ("round", "annotators", "measure", "sessions", "value", "low_95", "high_95"))(
            (item.round, tables.join_list(self._names[name] for name in item.annotators), item.name, item.sessions)
            + ((item.value, item.low, item.high) if item.value is not None else ("", "", ""))
            for item in measures
        )
        columns = ("annotator", "model_version", "reviews", "shown", "accepted", "moved", "deleted", "boxes", "found", "added")
        self._table(stack, "anchoring.csv", (*columns, "added_found"))(
            (self._names[row.annotator], *(getattr(row, column) for column in (*columns[1:], "added_found"))) for row in anchoring
        )
        self._table(stack, "blind.csv", tables.BLIND)(tables.blind_row(row, self._names) for row in blind.rows)
        options = self._options
        kept = [unit for unit in self._units if unit.session_id not in self._refused]
        if empty := why_empty(kept, self._assigned, options.gap_s, options.shares):
            self._report.warn(empty)
        words = CardWords(
            name=options.name,
            licence=options.licence,
            audio=options.with_audio,
            gap_s=options.gap_s,
            overlap=options.overlap,
            rounds=options.rounds,
            empty=empty,
            min_heard=options.min_heard,
            too_little_heard=self._report.counts["too_little_heard"],
        )
        for name, content in pictures(self._summary):
            self._write(name, content)
        text = card(words, self._summary, measures, anchoring, blind, self._edits, self._sea.rows(), self._names)
        self._write("README.md", text.encode())

    def write_changelog(self, spool: SessionSpool) -> None:
        """What changed since the previous release, above what its own CHANGELOG says."""
        head = f"## {self._options.name}\n\n"
        if (previous := self._options.previous) is None:
            self._write("CHANGELOG", f"{head}First release: {self._report.counts['sessions']} sessions.\n".encode())
            return
        new = (record for record in records(spool, self._options.overlap, Report()) if record.session.id not in self._refused)
        changes = counts(diff(records_of(previous, self._options.overlap), new))
        lines = "".join(f"- {count} {what.replace('_', ' ')}\n" for what, count in changes.items())
        uri = storage.join(previous, "CHANGELOG")
        earlier = decode(storage.read(uri), uri)
        self._write("CHANGELOG", f"{head}{lines}\n{earlier}".encode())

    def write_metadata(self) -> None:
        """What search engines, hubs and reference managers read of a release."""
        options, text = self._options, description(self._summary)
        digests = {name: digest for _, rows in self._digests.groups() for name, digest in rows if name in self._columns}
        described = croissant.croissant(options.name, options.licence, text, self._columns, digests, audio=options.with_audio)
        self._write(croissant.FILE, described.encode())
        self._write(citation.FILE, citation.citation(options.name, options.licence, text).encode())

    def checksums(self) -> bytes:
        """The content of SHA256SUMS: every file, in the format of sha256sum."""
        return "".join(f"{digest}  {name}\n" for _, rows in self._digests.groups() for name, digest in rows).encode()

    def files(self) -> list[str]:
        """Every file of the release, SHA256SUMS included, in order."""
        return sorted([name for _, rows in self._digests.groups() for name, _ in rows] + [CHECKSUMS])

    def write_look_again(self, uri: str, address_of: Callable[[str, str], str]) -> None:
        """The sessions with the most disagreement, worst first, with their addresses. Names annotators: not for the public."""
        with ExitStack() as stack:
            columns = ("score", "session_id", "round", "annotators", "address")
            _open_table(stack, uri, columns, private=True)(
                (
                    item.score,
                    item.session_id,
                    item.round,
                    tables.join_list(item.annotators),
                    address_of(item.round, item.session_id),
                )
                for item in self._agreement.disagreements()
            )

    def _table(self, stack: ExitStack, name: str, columns: Sequence[str]) -> Callable[[Iterable[Sequence[object]]], None]:
        self._columns[name] = columns
        return _open_table(stack, storage.join(self._folder, name), columns)

    def _write(self, name: str, content: bytes) -> None:
        storage.write(storage.join(self._folder, name), content)
        self._digests.add("", name, (name, hashlib.sha256(content).hexdigest()))

    def _digest(self, name: str) -> None:
        with storage.open_read(storage.join(self._folder, name)) as file:
            self._digests.add("", name, (name, audio.sha256(file)))


def records_of(source: str, overlap: float) -> Iterator[Record]:
    """The records of a release of this project, in order of session ids. Raises InputError for a line that cannot be read."""
    for session in released.read(source, ReadOptions(audio_required=False)):
        if isinstance(session, Refusal):
            raise InputError(str(session))
        yield Record(session, consensus(session, overlap))


def _open_table(
    stack: ExitStack, uri: str, columns: Sequence[str], *, private: bool = False
) -> Callable[[Iterable[Sequence[object]]], None]:
    """A function that appends rows to a new table, whole when the stack closes; tab separated if its name says so."""
    text = io.TextIOWrapper(stack.enter_context(storage.open_write(uri, private=private)), "utf-8", newline="")
    stack.callback(text.detach)
    writer = csv.writer(text, delimiter="\t" if uri.endswith(".tsv") else ",", lineterminator="\n")
    writer.writerow(columns)
    return writer.writerows
