"""The pages that the add-on shows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from projects.models import Project

from label_studio_addon import TESTED_VERSION
from label_studio_addon.examples import EXAMPLES
from label_studio_addon.people import is_maintainer
from label_studio_addon.rounds import look, rounds_of

NO_REPORT = "There is no report yet: podcast rounds --report FOLDER writes it into the folder that PODCAST_REPORT names."
REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox allow-same-origin allow-top-navigation"
"""The page shows itself, and does nothing."""


@require_safe
def health(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 (a view takes a request)
    """Say that the add-on is there, and whether this is the Label Studio that it was tested with."""
    return JsonResponse({"tested": TESTED_VERSION, "label_studio": settings.ADDON_LABEL_STUDIO, "sure": settings.ADDON_SURE})


@require_safe
@login_required
def rounds(request: HttpRequest) -> HttpResponse:
    """Where people land: the open rounds, and how calls look and sound."""
    maintainer = is_maintainer(request.user)
    found = rounds_of(request.user, maintainer=maintainer)
    context = {
        "open": [item for item in found if not item.finished],
        "finished": [item for item in found if item.finished],
        "examples": EXAMPLES,
        "maintainer": maintainer,
    }
    return render(request, "label_studio_addon/rounds.html", context)


@require_safe
@login_required
def one_round(request: HttpRequest, pk: int) -> JsonResponse:
    """One round for the labelling page: its card, and how far it and this person are."""
    project = get_object_or_404(Project, pk=pk, organization=request.user.active_organization)
    view = look(project, request.user)
    answer = {key: getattr(view, key) for key in ("title", "total", "done", "mine", "share")}
    return JsonResponse({**answer, "card": [[asdict(piece) for piece in paragraph] for paragraph in view.card]})


@require_safe
@login_required
def report(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 (a view takes a request)
    """The coordinator's page as `podcast rounds --report` wrote it last. Volunteers never get here (`guard.py`)."""
    try:
        content = (Path(settings.ADDON_REPORT) / "index.html").read_bytes() if settings.ADDON_REPORT else None
    except OSError:
        content = None
    if content is None:
        raise Http404(NO_REPORT)
    return HttpResponse(content, headers={"Content-Security-Policy": REPORT_POLICY})


def files(request: HttpRequest) -> dict[str, str]:  # noqa: ARG001 (Django calls it with a request)
    """For templates: where the add-on's own files are, and whether there is a place for the coordinator's page."""
    return {"files": settings.ADDON_FILES_URL, "report": bool(settings.ADDON_REPORT)}
