"""Targets: whole commands as people type them, with `--json`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from exporters import EXPORTERS
from labelstudio.round_out import file_sessions
from podcast.errors import Refusal
from podcast.redact import redact
from tests.fuzz.command_line import run
from tests.fuzz.counts import (
    WORDS,
    boxes_of_only_reviews,
    boxes_of_tasks,
    kept_by_format,
    kept_by_list,
    parsed,
    without_words_of_refused,
)
from tests.fuzz.harness import BrokenRuleError, Case, Outcome, Target
from tests.fuzz.mutators import damage_bytes, damage_json, damage_table, to_json, to_table
from tests.fuzz.seeds import Seeds

LISTS = {"pods-ai": "training_samples.csv", "bouts": "bouts.csv"}
"""The tables of formats that list sounds and no sessions."""


def targets(seeds: Seeds) -> Iterator[Target]:
    """All of them."""
    make = partial(_export, seeds)
    yield Target("export file", make, _read_export, 2)
    for kind in sorted(EXPORTERS):
        yield Target(f"export --format {kind}", make, partial(_run_export, kind), 0.15 if kind == "raven" else 0.4)
    yield Target("release", make, _run_release, 0.1)
    yield Target("release --dataset", partial(_released, seeds), partial(_run_again, seeds), 0.1)
    yield Target("evaluate", partial(_table, seeds), partial(_run_evaluate, seeds), 0.3)


def _export(seeds: Seeds, chance: Random) -> Case:
    """A damaged export, its value None where the bytes are no JSON."""
    tasks = chance.sample(seeds.export, chance.choice((1, 1, 1, 2, 6)))
    if chance.random() < 0.2:
        content = damage_bytes(chance, to_json(chance, tasks))
        return Case(content, parsed(content))
    number = chance.randrange(len(tasks))
    value = [*tasks[:number], damage_json(chance, tasks[number]), *tasks[number + 1 :]]
    if chance.random() < 0.05:
        value = damage_json(chance, value)
    return Case(to_json(chance, value), value)


def _read_export(case: Case, folder: Path, outcome: Outcome) -> None:
    """The sessions of the export, with every review: as many boxes as people drew."""
    path = folder / "export.json"
    path.write_bytes(case.content)
    outcome.brought = boxes_of_tasks(case.value)
    for item in file_sessions(str(path)):
        outcome.answers.append(item)
        if isinstance(item, Refusal):
            outcome.named += 1
            outcome.said.append(redact(str(item)))
            continue
        for review in item.reviews:
            outcome.kept[item.id] += len(review.annotations)
            outcome.kept[item.id + WORDS] += any(box.call_type or box.note for box in review.annotations)
    outcome.brought = without_words_of_refused(outcome.brought, outcome.kept)


def _run_export(kind: str, case: Case, folder: Path, outcome: Outcome) -> None:
    """The files of one format: as many boxes as the one review of a session holds, where it has one and counts."""
    path, to = folder / "export.json", folder / "out"
    path.write_bytes(case.content)
    printed = run(outcome, "export", "--file", str(path), "--to", str(to), "--format", kind, "--json")
    outcome.brought = boxes_of_only_reviews(case.value)
    if "written" not in printed:
        outcome.named = sum(outcome.brought.values())  # nothing was written, and that was said
        return
    if kind in LISTS:
        kept = kept_by_list(to / LISTS[kind], outcome.brought)
    else:
        kept = kept_by_format(kind, to) if to.exists() else Counter()
    outcome.kept = Counter({name: kept[name] for name in outcome.brought})
    left_out = sum(printed[state] for state in ("unsure", "skipped", "unreviewed", "refused"))
    if false := [name for name, count in outcome.brought.items() if count and name in kept and not kept[name] and not left_out]:
        raise BrokenRuleError(f"false no calls: {false} with {outcome.brought[false[0]]} items that are not understood")
    outcome.named = left_out + len(printed["warnings"])


def _run_release(case: Case, folder: Path, outcome: Outcome) -> None:
    """The rows of a release: as many boxes as its submissions hold."""
    path = folder / "export.json"
    path.write_bytes(case.content)
    words = ("release", "--file", str(path), "--to", str(folder), "--name", "fuzz", "--no-audio", "--json")
    printed = run(outcome, *words)
    table = folder / "fuzz" / "review_boxes.csv"
    if not table.exists():
        return
    outcome.brought = boxes_of_tasks(case.value)
    outcome.named = printed.get("refused", 0)
    with_words = set()
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["review"] and row["outcome"] != "deleted":
                outcome.kept[row["session_id"]] += 1
                with_words |= {(row["session_id"], row["review"])} if row["call_type"] or row["note"] else set()
    for session_id, _ in with_words:
        outcome.kept[session_id + WORDS] += 1
    outcome.brought = without_words_of_refused(outcome.brought, outcome.kept)
    run(outcome, "release", "--check", str(folder / "fuzz"), "--json")


def _released(seeds: Seeds, chance: Random) -> Case:
    """A table of a release, damaged; its name is the value."""
    name = chance.choice(("sessions.csv", "reviews.csv", "review_boxes.csv", "train.tsv", "CHANGELOG"))
    content = (seeds.release / name).read_bytes()
    if chance.random() < 0.5 or name == "CHANGELOG":
        return Case(damage_bytes(chance, content), name)
    delimiter = "\t" if name.endswith(".tsv") else ","
    rows = list(csv.reader(content.decode().splitlines(), delimiter=delimiter))
    return Case(to_table(chance, damage_table(chance, rows), delimiter), name)


def _run_again(seeds: Seeds, case: Case, folder: Path, outcome: Outcome) -> None:
    old = folder / "old"
    old.mkdir()
    for path in seeds.release.iterdir():
        (old / path.name).write_bytes(case.content if path.name == case.value else path.read_bytes())
    for words in (
        ("--dataset", str(old), "--to", str(folder), "--name", "new", "--no-audio", "--previous", str(old)),
        ("--check", str(old)),
        ("--diff", str(seeds.release), str(old)),
    ):
        run(outcome, "release", *words, "--json")


def _table(seeds: Seeds, chance: Random) -> Case:
    content = to_table(chance, damage_table(chance, seeds.boxes_table), "\t")
    return Case(damage_bytes(chance, content) if chance.random() < 0.2 else content)


def _run_evaluate(seeds: Seeds, case: Case, folder: Path, outcome: Outcome) -> None:
    path, truth = folder / "predictions.tsv", folder / "truth.tsv"
    path.write_bytes(case.content)
    rows = [row[:3] for row in seeds.boxes_table]
    truth.write_text("".join("\t".join(row) + "\n" for row in rows))
    run(outcome, "evaluate", str(truth), str(path), "--length", "60", "--json")
