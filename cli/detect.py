"""`podcast detect`: predictions without a server."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import click

from cli.options import SHARE
from cli.output import finish, json_option, progress, say
from detectors import load_detector, use_threads
from detectors.batch import Journal, Result, recordings, run
from detectors.registry import spec_in_service
from podcast import storage
from podcast.dataset_table import DETECTION_COLUMNS
from podcast.errors import InputError, Refusal
from podcast.model import check_name
from podcast.report import Report
from podcast.settings import load_settings
from podcast.times import parse_session_name

OUTPUT = "predictions.tsv"


@click.command("detect")
@click.argument("sources", nargs=-1, required=True, metavar="AUDIO...")
@click.option(
    "--detector",
    metavar="NAME[:WEIGHTS][,OPTION=VALUE]",
    help="starter, energy, orcahello-v1 or model:URI; else what is in service (docs/detectors.md).",
)
@click.option("-o", "--output", metavar="URI", help=f"Table to write.  [default: {OUTPUT}]")
@click.option("--to", metavar="URI", help="Folder to write to, one JSON a session, in place of the table.")
@click.option(
    "--threshold", "thresholds", multiple=True, metavar="[NODE=]NUMBER", help="Leave out less confident boxes; also for one node."
)
@click.option("--candidates", metavar="URI", help="Write the sessions that reach --high here, most confident first.")
@click.option("--negatives", metavar="URI", help="Write the sessions in which nothing reaches --low here.")
@click.option("--high", type=SHARE, default=0.5, show_default=True, help="Confidence of a candidate.")
@click.option("--low", type=SHARE, default=0.3, show_default=True, help="Below it all, a session is negative.")
@click.option(
    "--workers", type=click.IntRange(1, 1024), default=os.cpu_count() or 1, help="Recordings at a time; else one a core."
)
@json_option
def detect_command(
    sources: tuple[str, ...],
    detector: str | None,
    output: str | None,
    to: str | None,
    thresholds: tuple[str, ...],
    candidates: str | None,
    negatives: str | None,
    high: float,
    low: float,
    workers: int,
    as_json: bool,
) -> None:
    """Find calls in AUDIO: WAVs, folders and prefixes.

    A session without a call has one row of zeros. After an interruption the same command goes on where it stopped.
    """
    threshold_of, report = _thresholds(thresholds), Report()
    report.counts.update(sessions=0, boxes=0, refused=0)
    table, folder = _places(output, to)
    place = folder or table
    detector = detector or spec_in_service(load_settings())
    use_threads(1)
    loaded = load_detector(detector)
    least = float(getattr(loaded, "threshold", 0.0))
    if negatives and least > low:
        raise InputError(f"--low {low:g}: {detector} reports nothing below {least:g}; give it threshold={low:g}")
    version = str(loaded.model_run)
    with Journal(_journal_path(place, sources), version) as journal:
        with progress("Detecting", as_json=as_json) as advance:
            for refusal in run(loaded, _named(recordings(sources), report), journal, workers, advance):
                report.refuse(refusal)
        if next(journal.results(), None) is None and not report.refusals:
            raise InputError(f"{', '.join(sources)}: there is no WAV")
        write = _write_folder if folder else _write_table
        write(place, _counted(journal.results(), report, threshold_of), version)
        if candidates:
            chosen = [(result.highest, result.wav_filename) for result in journal.results() if result.highest >= high]
            _write_list(candidates, ((name, confidence) for confidence, name in sorted(chosen, key=lambda c: (-c[0], c[1]))))
            report.counts["candidates"] = len(chosen)
        if negatives:
            quiet = [(result.wav_filename, result.highest) for result in journal.results() if result.highest < low]
            _write_list(negatives, quiet)
            report.counts["confident_negatives"] = len(quiet)
        if not report.refusals:
            journal.delete()
    finish(report, f"Wrote {place}", as_json=as_json, output=place, model_version=version)


def _places(output: str | None, to: str | None) -> tuple[str, str]:
    """The table to write, or the folder. Raises InputError for both."""
    if output and to:
        raise InputError("name -o for a table or --to for a folder, not both")
    if output and not output.endswith(".tsv"):
        say("notice: a folder is named by --to now; -o for one goes with the next release", err=True)
        return "", output
    return output or OUTPUT, to or ""


def _thresholds(texts: Iterable[str]) -> dict[str, float]:
    """The least confidence by node; the empty name is for all others."""
    found = {}
    for text in texts:
        node, _, number = text.rpartition("=")
        try:
            found[node] = SHARE.convert(number, None, None)
        except click.BadParameter as error:
            raise InputError(f"--threshold {text}: expected a number from 0 to 1, or NODE=NUMBER") from error
    return found


def _named(uris: Iterable[str], report: Report) -> Iterator[str]:
    """The recordings whose names no round would refuse; the others are refused before any work is done."""
    for uri in uris:
        try:
            check_name(storage.stem(uri))
            parse_session_name(storage.stem(uri))
        except InputError as error:
            report.refuse(Refusal(uri, str(error)))
        else:
            yield uri


def _counted(results: Iterable[Result], report: Report, threshold_of: Mapping[str, float]) -> Iterator[Result]:
    for result in results:
        node = parse_session_name(storage.stem(result.uri)).source_guid
        least = threshold_of.get(node, threshold_of.get("", 0.0))
        kept = Result(result.uri, tuple(box for box in result.boxes if box[2] >= least))
        report.counts["sessions"] += 1
        report.counts["boxes"] += len(kept.boxes)
        yield kept


def _write_table(to: str, results: Iterable[Result], version: str) -> None:
    with storage.open_write(to) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(DETECTION_COLUMNS)
        for result in results:
            writer.writerows((result.wav_filename, *box, version) for box in result.boxes or ((0.0, 0.0, 0.0),))
        text.detach()


def _write_folder(to: str, results: Iterable[Result], version: str) -> None:
    """Pod.Cast's load files, one a session."""
    for result in results:
        name = storage.stem(result.uri)
        parsed = parse_session_name(name)
        keys = ("start_time_s", "duration_s", "confidence")
        content = {
            "uri": result.uri,
            "absolute_time": parsed.parent,
            "source_guid": parsed.source_guid,
            "model_guid": version,
            "annotations": [dict(zip(keys, box, strict=True)) for box in result.boxes],
        }
        storage.write(storage.join(to, f"{name}.json"), json.dumps(content, indent=1).encode())


def _write_list(to: str, rows: Iterable[tuple[str, float]]) -> None:
    lines = (f"{name}\t{confidence:g}\n" for name, confidence in rows)
    storage.write(to, ("wav_filename\thighest_confidence\n" + "".join(lines)).encode())


def _journal_path(output: str, sources: tuple[str, ...]) -> Path:
    digest = sha256("\n".join([output, *sources]).encode()).hexdigest()[:16]
    return Path(".podcast/detect") / f"{digest}.sqlite"
