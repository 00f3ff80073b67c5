"""The numbers of a release, gathered while its records pass by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from podcast.heard import HeardCounts
from podcast.model import ReviewState
from podcast.reviews import COMPLETED
from podcast.times import PACIFIC
from releases.records import Record


@dataclass(slots=True)
class Summary:
    """Counts of sessions, seconds and boxes.

    `sessions` and `seconds` are keyed by (split, state), `sounds` (boxes that are no calls) by (split, label), the others by
    node, Pacific hour of day, or word. Boxes are counted of sessions in train, dev and test alone.
    """

    sessions: Counter[tuple[str, ReviewState]] = field(default_factory=Counter)
    seconds: Counter[tuple[str, ReviewState]] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    node_seconds: Counter[str] = field(default_factory=Counter)
    node_calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    hour_seconds: Counter[int] = field(default_factory=Counter)
    hour_calls: Counter[int] = field(default_factory=Counter)
    split_calls: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    sounds: Counter[tuple[str, str]] = field(default_factory=Counter)
    sound_ms: Counter[str] = field(default_factory=Counter)
    certainties: Counter[str] = field(default_factory=Counter)
    call_types: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    votes: Counter[tuple[int, int]] = field(default_factory=Counter)
    reviewers: Counter[int] = field(default_factory=Counter)
    model_versions: Counter[str] = field(default_factory=Counter)
    heard: HeardCounts = field(default_factory=HeardCounts)
    untimed: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, record: Record, split: str) -> None:
        """Take one record."""
        session, recording = record.session, record.session.recording
        self.sessions[split, record.state] += 1
        self.seconds[split, record.state] += round(recording.duration_s or 0)
        self.rounds[session.round] += 1
        self.heard.add(session)
        self.reviewers[len(record.consensus.reviewers)] += 1
        self.model_versions.update(str(run) for run in session.model_runs)
        if recording.start is None:
            self.untimed += 1
        else:
            self.first = min(self.first or recording.start, recording.start)
            self.last = max(self.last or recording.start, recording.start)
        if record.state in COMPLETED:
            self._add_released(record, split)

    def _add_released(self, record: Record, split: str) -> None:
        recording = record.session.recording
        self.node_seconds[recording.source_guid] += round(recording.duration_s or 0)
        if recording.start:
            self.hour_seconds[recording.start.astimezone(PACIFIC).hour] += round(recording.duration_s or 0)
        for other in record.consensus.others:
            self.sounds[split, other.annotation.label] += 1
            self.sound_ms[other.annotation.label] += round(other.annotation.event.duration_s * 1000)
        for box in record.consensus.calls:
            item = box.annotation
            self.split_calls[split] += 1
            self.node_calls[recording.source_guid, str(item.certainty)] += 1
            self.labels[item.label] += 1
            self.certainties[str(item.certainty)] += 1
            self.call_types[item.call_type] += 1
            self.outcomes[str(item.outcome)] += 1
            self.votes[len(box.voters), len(record.consensus.reviewers)] += 1
            if recording.start:
                self.hour_calls[(recording.start + timedelta(seconds=item.event.start_s)).astimezone(PACIFIC).hour] += 1

    def state_total(self, state: ReviewState) -> int:
        """Sessions of one state in all splits."""
        return sum(count for (_, found), count in self.sessions.items() if found is state)
