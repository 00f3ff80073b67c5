"""What a volunteer's account may ask for: a list of what is allowed. Everything else is refused.

An address is written as Label Studio's own table of addresses has it, without `^` and `$`. Each has a check that gives the
sentence to refuse with, or nothing where the request is fine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from data_manager.models import View
from django.http import HttpRequest, HttpResponse, JsonResponse
from tasks.models import Annotation, AnnotationDraft, Task
from users.models import User

from label_studio_addon.stream import replace_body

Check = Callable[[HttpRequest, User, Mapping[str, Any]], str]

NOT_YOURS = "This is somebody else's work: people answer without seeing what others said."
ANSWERED = "You have answered this session already; open that answer to change it."
NO_JSON = "Only the labelling page may send this."
ANSWER = {
    "draft_id",
    "lead_time",
    "parent_annotation",
    "parent_prediction",
    "project",
    "result",
    "started_at",
    "unique_id",
    "was_cancelled",
    "was_postponed",
}
"""What the page sends with an answer. `completed_by` and `ground_truth`, for instance, are not in it."""


def anything(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:  # noqa: ARG001 (a check)
    """No further condition."""
    return ""


def answer(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:
    """A draft of one's own; where it belongs to an annotation, that must be one's own."""
    if "annotation_id" in match and not Annotation.objects.filter(pk=match["annotation_id"], completed_by=user).exists():
        return NOT_YOURS
    body = _body(request)
    if body is None:
        return NO_JSON
    if unknown := sorted(body.keys() - ANSWER):
        return f"Only a maintainer may set {', '.join(unknown)}."
    replace_body(request, body)
    return ""


def first_answer(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:
    """An answer to a session that this person has not answered yet, or skipped."""
    if Annotation.objects.filter(task=match["pk"], completed_by=user, was_cancelled=False).exists():
        return ANSWERED
    return answer(request, user, match)


def own_annotation(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:
    """An annotation of one's own, to be read or answered anew."""
    if not Annotation.objects.filter(pk=match["pk"], completed_by=user).exists():
        return NOT_YOURS
    return "" if request.method == "GET" else answer(request, user, {})


def own_draft(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:
    """A draft of one's own."""
    if not AnnotationDraft.objects.filter(pk=match["pk"], user=user).exists():
        return NOT_YOURS
    return answer(request, user, {}) if request.method == "PATCH" else ""


def next_session(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:  # noqa: ARG001
    """The one action that is not a maintainer's; sessions come in the round's order, whatever the page selects."""
    if request.GET.getlist("id") != ["next_task"]:
        return "Only a maintainer may do this to sessions."
    body = _body(request)
    if body is None:
        return NO_JSON
    replace_body(request, {"project": body["project"]} if "project" in body else {})
    return ""


def first_view(request: HttpRequest, user: User, match: Mapping[str, Any]) -> str:  # noqa: ARG001
    """The page makes a round's first list of sessions where nobody has opened it before; it must leave none out."""
    body = _body(request)
    if body is None:
        return NO_JSON
    data = body.get("data")
    plain = isinstance(data, dict) and not data.get("ordering") and not (data.get("filters") or {}).get("items")
    project = str(body.get("project", ""))
    if not plain or not project.isdigit() or View.objects.filter(project=int(project)).exists():
        return "Only a maintainer may change how sessions are listed."
    replace_body(request, {"data": data, "project": project})
    return ""


ALLOWED: dict[tuple[str, str], Check] = {
    ("GET", "rounds/"): anything,
    ("GET", "rounds/<int:pk>/"): anything,
    ("GET", "projects/<int:pk>/data/"): anything,
    ("GET", "version/"): anything,
    ("GET", "api/current-user/whoami"): anything,
    ("GET", "api/projects/<int:pk>/"): anything,
    ("GET", "api/projects/<int:pk>/label-stream-history/"): anything,
    ("GET", "api/dm/columns/"): anything,
    ("GET", "api/dm/project/"): anything,
    ("GET", "api/dm/views/"): anything,
    ("POST", "api/dm/views/"): first_view,
    ("POST", "api/dm/actions/"): next_session,
    ("GET", "api/label_links/"): anything,
    ("GET", "api/ml/"): anything,
    ("GET", "api/users/"): anything,
    ("GET", "api/tasks/"): anything,
    ("GET", "api/tasks/<int:pk>/"): anything,
    ("POST", "api/tasks/<int:pk>/annotations/"): first_answer,
    ("POST", "api/tasks/<int:pk>/drafts"): answer,
    ("POST", "api/tasks/<int:pk>/annotations/<int:annotation_id>/drafts"): answer,
    ("GET", "api/annotations/<int:pk>/"): own_annotation,
    ("PATCH", "api/annotations/<int:pk>/"): own_annotation,
    ("GET", "api/drafts/<int:pk>/"): own_draft,
    ("PATCH", "api/drafts/<int:pk>/"): own_draft,
    ("DELETE", "api/drafts/<int:pk>/"): own_draft,
    ("GET", "data/local-files/"): anything,
    ("GET", "data/upload/<path:filename>"): anything,
    ("GET", "tasks/<int:task_id>/resolve/"): anything,
    ("GET", "tasks/<int:task_id>/presign/"): anything,
}

PUBLIC: set[tuple[str, str]] = {
    ("GET", "health/"),
    ("GET", "rounds/health"),
    ("GET", "user/login/"),
    ("POST", "user/login/"),
    ("GET", "user/signup/"),
    ("POST", "user/signup/"),
    ("GET", "logout/?"),
    ("POST", "api/token/refresh/"),
    ("GET", ""),
    ("GET", r"favicon\.ico"),
    ("GET", r"sw\.js"),
    ("GET", r"sw-fallback\.js"),
    ("GET", r"static/fonts/roboto/roboto.css"),
    ("GET", r"static/(?P<path>.*)"),
    ("GET", r"react-app/(?P<path>.*)"),
    ("GET", r"label-studio-frontend/(?P<path>.*)"),
    ("GET", r"dm/(?P<path>.*)"),
}
"""For everybody, with an account or without."""


def instead(request: HttpRequest, route: str) -> HttpResponse | None:
    """What a volunteer gets where Label Studio would tell more than the page needs: the list of sessions, the ML backends."""
    if route == "api/ml/":
        return JsonResponse([], safe=False)
    if route == "api/tasks/":
        total = Task.objects.filter(project=request.GET["project"]).count() if request.GET.get("project", "").isdigit() else 0
        return JsonResponse({"tasks": [], "total": total, "total_annotations": 0, "total_predictions": 0})
    return None


def narrow(route: str, user: User, content: Any) -> Any:
    """What of an answer a volunteer may see: oneself among the users, one's own annotations of a session."""
    if route == "api/users/":
        return [item for item in content if item["id"] == user.pk]
    if route == "api/dm/actions/":
        return _unseen(content)
    if route == "api/tasks/<int:pk>/":
        own = [item for item in content.get("annotations") or [] if _author(item) == user.pk]
        kept = {key: content[key] for key in TASK if key in content}
        return {**_unseen(kept), "annotations": own, "total_annotations": len(own), "annotators": [user.pk] if own else []}
    return content


def _unseen(task: dict[str, Any]) -> dict[str, Any]:
    """A task without what may lead its annotator: why it was chosen, and, while a blind one waits, what a model says of it."""
    data = task.get("data") or {}
    waits = data.get("blind") is True and not task.get("is_labeled")
    kept = {key: value for key, value in data.items() if key not in UNSEEN}
    return {**task, "data": kept, **({"predictions": [], "total_predictions": 0} if waits else {})}


UNSEEN = {"blind", "plan", "look_again"}
NARROWED = {"api/users/", "api/tasks/<int:pk>/", "api/dm/actions/"}
TASK = (
    "id",
    "data",
    "meta",
    "created_at",
    "inner_id",
    "project",
    "overlap",
    "file_upload",
    "allow_skip",
    "is_labeled",
    "predictions",
    "total_predictions",
    "drafts",
)
"""What stays of a session's task, beside one's own annotations; `drafts` are one's own as Label Studio gives them."""


def _author(annotation: Mapping[str, Any]) -> Any:
    author = annotation.get("completed_by")
    return author.get("id") if isinstance(author, dict) else author


def _body(request: HttpRequest) -> dict[str, Any] | None:
    """The body, if it is a JSON object in UTF-8: a view must not read another one out of the same bytes."""
    if request.content_type != "application/json" or request.content_params.get("charset", "utf-8").lower() != "utf-8":
        return None
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
