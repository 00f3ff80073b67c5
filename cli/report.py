"""`podcast rounds --report`: the coordinator's page about all rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labelstudio.client import Server
from labelstudio.round_out import Round
from podcast import storage
from podcast.errors import InputError
from podcast.report import Report

if TYPE_CHECKING:
    from planning.report import RoundFacts

PAGE = "index.html"


def write_report(server: Server, projects: list[dict[str, Any]], to: str, advance: Callable[[int], None]) -> dict[str, Any]:
    """Write the page below the folder `to`; gives its address and what could not be read, in numbers by round.

    Projects with pages that are not this project's are left out, and counted.
    """
    # Imported here since matplotlib and scikit-learn take seconds that no other command should wait for.
    from planning.report_page import page

    found, foreign = [], 0
    for project in projects:
        facts = _facts(server, project)
        advance(1)
        if facts is None:
            foreign += 1
        else:
            found.append(facts)
    address = storage.join(to, PAGE)
    storage.write(address, page(found).encode())
    return {"page": address, "rounds": len(found), "foreign": foreign, "refused": sum(facts.refused for facts in found)}


def _facts(server: Server, project: dict[str, Any]) -> RoundFacts | None:
    from planning.report import RoundFacts

    facts = RoundFacts(str(project["title"]), f"{server.url}/projects/{project['id']}")
    addresses: dict[tuple[str, str], str] = {}
    report = Report()
    try:
        sessions = Round(server, project).all(addresses)
    except InputError:  # its labeling configuration is not one of ours
        return None
    for session in report.accepted(sessions):
        facts.add(session, addresses.get((session.round, session.id), ""))
    facts.refused = report.counts["refused"]
    return facts
