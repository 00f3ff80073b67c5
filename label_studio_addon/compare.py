"""Answers to one session side by side, for maintainers: who heard what, when; and which of them is the ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods, require_safe
from projects.models import Project
from tasks.models import Annotation, Prediction, Task

LOOK_AGAIN = "look_again"
"""The field of a task in which `podcast verify` says why it should be looked at."""
UNSPOKEN = {"heard"}
"""Controls that keep what no person said."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box: seconds, percent of the recording, and its words."""

    start_s: float
    end_s: float
    left: float
    width: float
    label: str


@dataclass(slots=True)
class Row:
    """What somebody, or a model, says of a session; `annotation` is 0 for a model, and for a skip, which cannot be right."""

    who: str
    annotation: int = 0
    truth: bool = False
    skipped: bool = False
    boxes: list[Box] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


@require_safe
@login_required
def compare_round(request: HttpRequest, pk: int) -> HttpResponse:
    """The sessions of a round that are picked, and those that several people answered; what waits for a decision comes first."""
    project = _project(request, pk)
    found = sorted(_several(project), key=lambda task: (not _waits(task), task.decided, task.pk))
    sessions = [
        (task.pk, task.data.get("session_id") or task.pk, task.data.get(LOOK_AGAIN) or "several people answered", task.decided)
        for task in found
    ]
    return render(
        request, "label_studio_addon/compare_round.html", {"project": project, "sessions": sessions, "maintainer": True}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def compare(request: HttpRequest, pk: int, task_pk: int) -> HttpResponse:
    """The answers to one session; a POST of `annotation` marks that one as the ground truth, and no other."""
    request._dont_enforce_csrf_checks = request.csrf_processing_done = False  # Label Studio switches the check off, for its API
    return _compare(request, pk, task_pk)


@csrf_protect
def _compare(request: HttpRequest, pk: int, task_pk: int) -> HttpResponse:
    project = _project(request, pk)
    task = get_object_or_404(Task, pk=task_pk, project=project)
    if request.method == "POST":
        right = get_object_or_404(Annotation, pk=request.POST.get("annotation") or 0, task=task, was_cancelled=False)
        task.annotations.exclude(pk=right.pk).update(ground_truth=False)
        task.annotations.filter(pk=right.pk).update(ground_truth=True)
        following = next((item.pk for item in _several(project) if _waits(item)), None)
        address = reverse("compare", args=[pk, following]) if following else reverse("compare-round", args=[pk])
        return HttpResponseRedirect(address)
    people = [_row(item.result, _name(item), item) for item in task.annotations.order_by("pk").select_related("completed_by")]
    models = [_row(item.result, item.model_version or "a model") for item in Prediction.objects.filter(task=task).order_by("pk")]
    length_s = _length(task, [*people, *models])
    for row in (*people, *models):
        row.boxes = [_placed(box, length_s) for box in row.boxes]
    context = {
        "project": project,
        "task": task,
        "why": task.data.get(LOOK_AGAIN, ""),
        "audio": task.resolve_uri({"audio": task.data.get("audio", "")}, project)["audio"],
        "people": people,
        "models": models,
        "length_s": length_s,
        "maintainer": True,
    }
    return render(request, "label_studio_addon/compare.html", context)


def waiting(project: Project) -> int:
    """How many picked sessions of a round nobody has decided."""
    return sum(map(_waits, _several(project)))


def _project(request: HttpRequest, pk: int) -> Project:
    return get_object_or_404(Project, pk=pk, organization=request.user.active_organization)


def _waits(task: Task) -> bool:
    return LOOK_AGAIN in task.data and not task.decided


def _several(project: Project) -> QuerySet[Task]:
    """The sessions that `podcast verify` picked, or that several people answered; `decided` where there is a ground truth."""
    truths = Annotation.objects.filter(task=OuterRef("pk"), ground_truth=True)
    people = Count("annotations__completed_by", distinct=True, filter=Q(annotations__was_cancelled=False))
    found = project.tasks.annotate(people=people, decided=Exists(truths))
    return found.filter(Q(people__gt=1) | Q(data__has_key=LOOK_AGAIN)).order_by("pk")


def _name(annotation: Annotation) -> str:
    return annotation.completed_by.email if annotation.completed_by else "a deleted account"


def _row(result: Any, who: str, annotation: Annotation | None = None) -> Row:
    """What a result says: boxes with what is said of each, and what is said of the session."""
    items = [item for item in result or [] if isinstance(item, Mapping) and isinstance(item.get("value"), Mapping)]
    row = Row(who)
    if annotation is not None:
        row.skipped, row.truth = annotation.was_cancelled, annotation.ground_truth
        row.annotation = 0 if annotation.was_cancelled else annotation.pk
    for item in items:
        value, named = item["value"], _words(item)
        if item.get("type") == "labels" and _is_time(value.get("start")) and _is_time(value.get("end")):
            more = [other for other in items if other.get("id") == item.get("id") and other is not item]
            label = ", ".join([*named, *(word for other in more for word in _words(other))])
            row.boxes.append(Box(float(value["start"]), float(value["end"]), 0, 0, label))
        elif "start" not in value and item.get("from_name") not in UNSPOKEN:
            row.words += named
    row.boxes.sort(key=lambda box: (box.start_s, box.end_s))
    return row


def _words(item: Mapping[str, Any]) -> list[str]:
    """The labels, choices and texts of one item."""
    value = item["value"]
    return [str(word) for kind in ("labels", "choices", "text") for word in (value.get(kind) or []) if isinstance(word, str)]


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _length(task: Task, rows: Iterable[Row]) -> float:
    """Seconds of the recording; where the task does not say, to the end of the last box."""
    told = task.data.get("duration_s")
    return float(told) if _is_time(told) and told > 0 else max([1.0, *(box.end_s for row in rows for box in row.boxes)])


def _placed(box: Box, length_s: float) -> Box:
    left, width = (round(100 * seconds / length_s, 3) for seconds in (box.start_s, box.end_s - box.start_s))
    return Box(box.start_s, box.end_s, left, width, box.label)
