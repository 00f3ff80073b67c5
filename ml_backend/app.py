"""The HTTP side of the ML backend, as Label Studio 1.23 speaks it: stateless, one model version everywhere."""

from __future__ import annotations

import hmac
import time
from functools import cache
from typing import Any, TypeVar

from flask import Flask, Response, g, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from ml_backend.metrics import LATENCY, REQUESTS, exposition
from ml_backend.service import parse_config
from ml_backend.serving import load_service, serving
from podcast import reading, redact
from podcast.errors import InputError, PodcastError
from podcast.jobs import Job, Queue
from podcast.settings import load_settings

Field = TypeVar("Field")

MAX_REQUEST_BYTES = 64 * 2**20
OPEN_VIEWS = ("health", "webhook")
"""Views that need no login: health checks and Label Studio's events carry none, and nothing is told or done for them."""
START_TRAINING = "START_TRAINING"
LONGEST_NAME = 100
"""Letters of a round's name that are kept: Label Studio takes half as many."""


def create_app() -> Flask:
    """The application, its detector loaded. Settings come from the environment."""
    settings = load_settings()
    redact.install()
    serving()  # before workers are forked, which then share what is loaded
    app = Flask(__name__)
    app.json = _Json(app)
    queue = cache(lambda: Queue(settings.ml_queue))  # opened when a training is asked for: predictions need none
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    login = (settings.ml_basic_auth_user, settings.ml_basic_auth_password)

    @app.before_request
    def check_login() -> Response | None:
        g.started = time.monotonic()
        return None if request.endpoint in OPEN_VIEWS else refused()

    def refused() -> Response | None:
        """The answer to a request without the login; None for one that has it."""
        if not login[0]:
            return None
        given = request.authorization
        pair = (given.username or "", given.password or "") if given and given.type == "basic" else ("", "")
        if all(hmac.compare_digest(ours.encode(), theirs.encode()) for ours, theirs in zip(login, pair, strict=True)):
            return None
        answer = jsonify(error="a login is needed: set user and password of the model connection in Label Studio")
        answer.status_code, answer.headers["WWW-Authenticate"] = 401, 'Basic realm="ml-backend"'
        return answer

    @app.after_request
    def count(response: Response) -> Response:
        view = request.endpoint or "none"
        REQUESTS.labels(view, response.status_code).inc()
        LATENCY.labels(view).observe(time.monotonic() - g.get("started", time.monotonic()))
        return response

    @app.errorhandler(PodcastError)
    def refuse(error: PodcastError) -> tuple[Response, int]:
        return jsonify(error=redact.redact(str(error))), 400 if isinstance(error, InputError) else 502

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=f"{error.name}: {error.description}"), error.code or 500

    @app.get("/")
    @app.get("/health")
    def health() -> Response:
        detector, problem = load_service().detector, serving().problem
        told = {"problem": problem} if problem else {}
        return jsonify(status="UP", model_class=type(detector).__name__, model_version=str(detector.model_run), **told)

    @app.post("/setup")
    def setup() -> Response:
        schema = _field(_body(), "schema", str, "the project's labeling configuration")
        if schema:
            parse_config(schema)
        return jsonify(model_version=str(load_service().detector.model_run))

    @app.route("/versions", methods=["GET", "POST"])
    def versions() -> Response:
        return jsonify(versions=[str(load_service().detector.model_run)])

    @app.post("/predict")
    def predict() -> Response:
        body = _body()
        tasks = body.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise InputError("tasks: expected a list of tasks")
        if body.get("label_config") is None:
            raise InputError("label_config: expected the project's labeling configuration")
        config = parse_config(_field(body, "label_config", str, "the project's labeling configuration") or "")
        _field(body, "params", dict, "an object")
        return jsonify(results=load_service().predict(tasks, config, _project(body)))

    @app.post("/webhook")
    def webhook() -> Response:
        body = _body()
        if body.get("action") != START_TRAINING:
            return jsonify(status="ok")
        return refused() or jsonify(status="ok", queued=queue().ask(_training(body)))

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(settings), mimetype="text/plain; version=0.0.4")

    return app


def _training(body: dict[str, Any]) -> Job:
    """What the button "Start training" asks for. Raises InputError for a request that names no project."""
    project = _field(body, "project", dict, "the project, as Label Studio describes it") or {}
    number = project.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError("project.id: expected the project's number")
    return Job((number,), names=(str(project.get("title") or number)[:LONGEST_NAME],))


class _Json(DefaultJSONProvider):
    """JSON as other programs read it: no NaN, no Infinity."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """See Flask. Raises ValueError for a number that is none."""
        return super().dumps(obj, allow_nan=False, **kwargs)


def _body() -> dict[str, Any]:
    body = reading.parse_json(request.get_data(), "the request's body", surrogates="replace")
    if not isinstance(body, dict):
        raise InputError("the request's body must be a JSON object")
    return body


def _field(body: dict[str, Any], name: str, kind: type[Field], expected: str) -> Field | None:
    """A field of the body, None if it is not there. Raises InputError for one of another type."""
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{name}: expected {expected}, not {type(value).__name__}")
    return value


def _project(body: dict[str, Any]) -> int | None:
    """The project's number, which Label Studio gives with the moment of its creation: "1.1795360795"."""
    value = body.get("project")
    number = str(value).partition(".")[0]
    if value in (None, ""):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not (number.isascii() and number.isdigit()):
        raise InputError("project: expected the project's number")
    return int(number[:18])
