"""`podcast doctor`: what is wrong with this set-up, and how to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import click
import httpx

from cli.models import words_of
from cli.output import json_option, print_json, say
from detectors import known_detector
from detectors.registry import Registry, spec_in_service
from labelstudio.client import Server
from labelstudio.health import Finding, examine_addon, examine_round, examine_server, reached_by_label_studio
from podcast.errors import InputError, PodcastError
from podcast.settings import Settings, load_settings

ML_HEALTH_S = 1.0
"""Label Studio gives an ML backend this long to answer `/health`."""


@click.command("doctor")
@click.option("--round", "round_name", help="Look at this round only.")
@click.option("--mend", is_flag=True, help="Remove second tasks of a session that nobody has touched; nothing else.")
@json_option
def doctor_command(round_name: str | None, mend: bool, as_json: bool) -> None:
    """Look at settings, servers and rounds; exits with status 1 if something needs mending."""
    findings = []
    for finding in _examine(load_settings(), round_name, mend=mend):
        findings.append(finding)
        if not as_json:
            say(f"{'ok  ' if finding.good else 'MEND'}  {finding.what}: {finding.detail}")
            if finding.mend:
                say(f"      → {finding.mend}")
    good = all(finding.good for finding in findings)
    if as_json:
        print_json({"ok": good, "findings": [asdict(finding) for finding in findings]})
    raise SystemExit(0 if good else 1)


def _examine(settings: Settings, round_name: str | None, *, mend: bool) -> Iterator[Finding]:
    root = settings.label_studio_local_files_document_root
    if root is None:
        yield Finding("document root", True, "not set: audio must have web or cloud addresses")
    else:
        good = root.is_dir()
        detail = f"{root}; whether it is Label Studio's is told by each round that plays a file below it"
        yield Finding("document root", good, detail if good else str(root), "" if good else "make the folder, or set another")
    yield _in_service(settings)
    try:
        server = Server(settings.label_studio_url, settings.label_studio_api_key)
    except InputError as error:
        yield Finding("key", False, str(error), "set LABEL_STUDIO_API_KEY in the environment or in .env")
        return
    found = examine_server(server)
    yield found
    if settings.ml_backend_url:
        yield _ml_backend(settings.ml_backend_url, server if found.good else None)
    if not found.good:
        return
    yield examine_addon(server)
    projects = [project for project in server.rounds() if round_name in (None, project["title"])]
    if round_name and not projects:
        yield Finding(f"round {round_name}", False, "not in Label Studio", "`podcast rounds` lists the rounds")
    for project in projects:
        try:
            yield from examine_round(server, project, root, mend=mend)
        except PodcastError as error:
            yield Finding(f"round {project['title']}", False, str(error), "try again")


def _in_service(settings: Settings) -> Finding:
    """Which model serves, and by which promotion."""
    try:
        last = Registry(settings.ml_registry).last_promotion()
        known_detector(spec_in_service(settings))
    except PodcastError as error:
        return Finding(
            "model in service", False, str(error), "`podcast models` shows the registry; promote another, or roll back"
        )
    return Finding(
        "model in service", True, words_of(last) if last else f"{settings.ml_detector}, ML_DETECTOR: nothing is promoted"
    )


def _ml_backend(url: str, server: Server | None) -> Finding:
    """Whether the ML backend answers in time. One in a network of its own (docker compose) need answer Label Studio alone."""
    began = time.monotonic()
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=10)
        answer.raise_for_status()
        version = answer.json().get("model_version")
    except (httpx.HTTPError, ValueError) as error:
        if server and reached_by_label_studio(server, url):
            return Finding("ML backend", True, f"{url} does not answer here, but Label Studio is connected to it")
        return Finding("ML backend", False, f"{url} does not answer ({error})", "start it, or set ML_BACKEND_URL")
    took = time.monotonic() - began
    good = took < ML_HEALTH_S
    return Finding(
        "ML backend", good, f"{version} at {url}, {took * 1000:.0f} ms", "" if good else "Label Studio waits 1 s alone"
    )
