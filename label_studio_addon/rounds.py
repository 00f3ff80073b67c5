"""What people read about a round: its card and how far it is, from Label Studio's own tables."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q
from projects.models import Project
from tasks.models import Annotation, Prediction
from users.models import User

from label_studio_addon.compare import waiting

LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")
NAMED_LINK = re.compile(rf"\s*(?P<name>[^:\n]+): (?P<url>{LINK.pattern})\s*")
"""How `podcast import` ends a card: the hydrophone's name and where to read about it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a card, with where they lead, if anywhere."""

    text: str
    href: str = ""


@dataclass(slots=True)
class RoundView:
    """A round for one person: sessions in all, done by anybody, answered and skipped by this person."""

    number: int
    title: str
    card: list[list[Piece]]
    total: int
    done: int
    mine: int
    skipped: int
    left: bool
    team: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether every session is done."""
        return self.done >= self.total

    @property
    def share(self) -> int:
        """How much is done, in whole percent, rounded down: 100 means all."""
        return 100 * self.done // self.total if self.total else 0


def rounds_of(user: User, *, maintainer: bool) -> list[RoundView]:
    """Every round with sessions: open ones first, and of these those that are furthest from done."""
    projects = Project.objects.filter(organization=user.active_organization).order_by("title")
    found = [look(project, user, maintainer=maintainer) for project in projects]
    return sorted((item for item in found if item.total), key=lambda item: (item.finished, item.share))


def look(project: Project, user: User, *, maintainer: bool = False) -> RoundView:
    """One round, as `user` sees it; a maintainer also sees who did how much."""
    counts = project.tasks.aggregate(total=Count("id"), done=Count("id", filter=Q(is_labeled=True)))
    own = Annotation.objects.filter(project=project, completed_by=user)
    mine = own.aggregate(
        mine=Count("task", distinct=True, filter=Q(was_cancelled=False)),
        skipped=Count("task", distinct=True, filter=Q(was_cancelled=True)),
    )
    left = project.tasks.filter(is_labeled=False).exclude(pk__in=own.values("task")).exists()
    view = RoundView(project.pk, project.title, card(project.description or ""), **counts, **mine, left=left)
    if maintainer:
        view.team = _team(project)
    return view


def card(description: str) -> list[list[Piece]]:
    """A description as paragraphs of words and links; only http and https lead anywhere."""
    return [_pieces(paragraph) for paragraph in re.split(r"\n\s*\n", description.strip()) if paragraph.strip()]


def _pieces(paragraph: str) -> list[Piece]:
    if named := NAMED_LINK.fullmatch(paragraph):
        return [Piece(named["name"], named["url"])]
    pieces, at = [], 0
    for found in LINK.finditer(paragraph):
        pieces += [Piece(paragraph[at : found.start()]), Piece(found[0], found[0])]
        at = found.end()
    return [piece for piece in (*pieces, Piece(paragraph[at:])) if piece.text]


def _team(project: Project) -> dict[str, Any]:
    answered: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    rows = Annotation.objects.filter(project=project).values_list("completed_by__email", "was_cancelled")
    for email, cancelled, count in rows.annotate(Count("task", distinct=True)):
        (skipped if cancelled else answered)[email or "a deleted account"] += count
    second = project.tasks.filter(overlap__gt=1)
    people = Count("annotations__completed_by", distinct=True, filter=Q(annotations__was_cancelled=False))
    models = Prediction.objects.filter(project=project).values_list("model_version").annotate(Count("task", distinct=True))
    return {
        "people": [
            (name, answered[name], skipped[name]) for name in sorted({*answered, *skipped}, key=lambda name: -answered[name])
        ],
        "skipped": sum(skipped.values()),
        "to_compare": waiting(project),
        "second_asked": second.count(),
        "second_given": second.annotate(people=people).filter(people__gt=1).count(),
        "models": sorted((name or "no name", count) for name, count in models),
        "shown": project.model_version or "",
        "training": [item.description for item in project.ml_backends.all() if (item.description or "").startswith("Training: ")],
    }
