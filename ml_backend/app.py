"""The HTTP side of the ML backend, as Label Studio 1.23 speaks it: stateless, one model version everywhere."""

from __future__ import annotations

import hmac
import time
from typing import Any

from flask import Flask, Response, g, jsonify, request

from ml_backend.metrics import LATENCY, MODEL, REQUESTS, exposition
from ml_backend.service import load_service, parse_config
from podcast.errors import InputError
from podcast.settings import load_settings

MAX_REQUEST_BYTES = 64 * 2**20
OPEN_VIEWS = ("health", "webhook")
"""Views without a login: health checks and Label Studio's webhooks carry none, and neither view tells or does anything."""


def create_app() -> Flask:
    """The application, its detector loaded. Settings come from the environment."""
    settings = load_settings()
    service = load_service()
    model_version = str(service.detector.model_run)
    MODEL.labels(model_version).set(1)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    login = (settings.ml_basic_auth_user, settings.ml_basic_auth_password)

    @app.before_request
    def check_login() -> Response | None:
        g.started = time.monotonic()
        if not login[0] or request.endpoint in OPEN_VIEWS:
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

    @app.errorhandler(InputError)
    def refuse(error: InputError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.get("/")
    @app.get("/health")
    def health() -> Response:
        return jsonify(status="UP", model_class=type(service.detector).__name__, model_version=model_version)

    @app.post("/setup")
    def setup() -> Response:
        body = _body()
        if schema := body.get("schema"):
            parse_config(str(schema))
        return jsonify(model_version=model_version)

    @app.route("/versions", methods=["GET", "POST"])
    def versions() -> Response:
        return jsonify(versions=[model_version])

    @app.post("/predict")
    def predict() -> Response:
        body = _body()
        tasks = body.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise InputError(f"tasks: expected a list of tasks, not {tasks!r}")
        if not isinstance(body.get("label_config"), str):
            raise InputError("label_config: expected the project's labeling configuration")
        return jsonify(results=service.predict(tasks, parse_config(body["label_config"])))

    @app.post("/webhook")
    def webhook() -> Response:
        return jsonify(status="ok")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(), mimetype="text/plain; version=0.0.4")

    return app


def _body() -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise InputError("the request's body must be a JSON object")
    return body
