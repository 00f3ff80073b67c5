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

from cli.output import finish, json_option, progress
from detectors import load_detector, use_threads
from detectors.batch import Journal, Result, recordings, run
from podcast import storage
from podcast.dataset_table import DETECTION_COLUMNS
from podcast.errors import InputError
from podcast.report import Report
from podcast.times import parse_session_name


@click.command("detect")
@click.argument("sources", nargs=-1, required=True, metavar="AUDIO...")
@click.option(
    "--detector",
    default="energy",
    show_default=True,
    metavar="NAME[:WEIGHTS][,OPTION=VALUE]",
    help="starter, energy or orcahello-v1 (docs/detectors.md).",
)
@click.option("-o", "--output", default="predictions.tsv", show_default=True, metavar="URI", help="A .tsv, or a folder of JSON.")
@click.option(
    "--threshold", "thresholds", multiple=True, metavar="[NODE=]NUMBER", help="Leave out less confident boxes; also for one node."
)
@click.option("--candidates", metavar="URI", help="Write the sessions that reach --high here, most confident first.")
@click.option("--negatives", metavar="URI", help="Write the sessions in which nothing reaches --low here.")
@click.option("--high", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Confidence of a candidate.")
@click.option("--low", type=click.FloatRange(0, 1), default=0.3, show_default=True, help="Below it all, a session is negative.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Recordings at a time; else one a core.")
@json_option
def detect_command(
    sources: tuple[str, ...],
    detector: str,
    output: str,
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
    use_threads(1)
    loaded = load_detector(detector)
    least = float(getattr(loaded, "threshold", 0.0))
    if negatives and least > low:
        raise InputError(f"--low {low:g}: {detector} reports nothing below {least:g}; give it threshold={low:g}")
    version = str(loaded.model_run)
    with Journal(_journal_path(output, sources), version) as journal:
        with progress("Detecting", as_json=as_json) as advance:
            for refusal in run(loaded, recordings(sources), journal, workers, advance):
                report.refuse(refusal)
        write = _write_table if output.endswith(".tsv") else _write_folder
        write(output, _counted(journal.results(), report, threshold_of), version)
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
    finish(report, f"Wrote {output}", as_json=as_json, output=output, model_version=version)


def _thresholds(texts: Iterable[str]) -> dict[str, float]:
    """The least confidence by node; the empty name is for all others."""
    found = {}
    for text in texts:
        node, _, number = text.rpartition("=")
        try:
            found[node] = float(number)
        except ValueError as error:
            raise InputError(f"--threshold {text}: expected a number from 0 to 1, or NODE=NUMBER") from error
    return found


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
