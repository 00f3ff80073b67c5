"""Pod.Cast's three HTTP addresses in front of Label Studio, so that the page of 2019 still works. Docs: docs/legacy.md.

Stateless: every request asks Label Studio. The JSON is the original's to the letter (orcasound/aifororcas-podcast,
podcast_server.py): its keys, their order, its status codes. What is different: a submission never overwrites anybody's.
"""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from flask import Flask, Response, jsonify, request, send_file
from werkzeug.wrappers import Response as WerkzeugResponse

from labelstudio.audio import TaskAudio
from labelstudio.client import Server
from labelstudio.one_session import OneRound
from podcast.errors import InputError, NotFoundError, PodcastError, ServiceError, StorageError
from podcast.model import CALL, EDGE_S, Annotation, Certainty, Outcome, Review, ReviewState, Session, SoundEvent
from podcast.reading import parse_json
from podcast.redact import redact
from podcast.reviews import calls_of, latest

MAX_REQUEST_BYTES = 2**20

logger = logging.getLogger(__name__)


def create_app(server: Server, audio: TaskAudio, origin: str = "") -> Flask:
    """The application. A page at another `origin` (`https://host`) may call it if it is named here."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES

    @app.after_request
    def allow_origin(response: Response) -> Response:
        if origin:
            response.headers.update({"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Headers": "Content-Type"})
        return response

    @app.errorhandler(PodcastError)
    def refuse(error: PodcastError) -> tuple[Response, int]:
        logger.warning("%s: %r", request.path, str(error))
        ours = isinstance(error, ServiceError | StorageError) and not isinstance(error, NotFoundError)
        return jsonify(error=redact(str(error))), 502 if ours else 400  # the original knows 400 alone

    @app.get("/fetch/session/<round_name>")
    def fetch(round_name: str) -> Response:
        return _json({"sessionid": OneRound(server, round_name).pick()})

    @app.get("/load/session/<round_name>/<session_id>")
    def load(round_name: str, session_id: str) -> Response:
        found = OneRound(server, round_name)
        session, progress = found.session(session_id), found.progress
        review = latest(session.reviews)
        # Like the original, which shows what was submitted once a round is complete.
        boxes = _predicted(session) if progress.left or not review else _submitted(review)
        recording = session.recording
        uri = recording.uri if recording.uri.startswith(("https://", "http://")) else _audio_address(round_name, session_id)
        return _json(
            {
                "uri": uri,
                "absolute_time": session.absolute_time,
                "source_guid": recording.source_guid,
                "annotations": boxes,
                "backend_state": {"written": progress.done, "remaining": progress.left},
            }
        )

    @app.post("/submit/session/<round_name>/<session_id>")
    def submit(round_name: str, session_id: str) -> tuple[Response, int]:
        found = OneRound(server, round_name)
        found.submit(session_id, review_of(request.get_data(), found.session(session_id)))
        return jsonify(task=f"{session_id}.json"), 201

    @app.get("/audio/session/<round_name>/<session_id>.wav")
    def play(round_name: str, session_id: str) -> WerkzeugResponse:
        """Audio that has no web address of its own."""
        found = OneRound(server, round_name)
        file: BinaryIO = audio.open(found.session(session_id).recording.audio_uri, found.project)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        answer = send_file(file, mimetype="audio/wav", download_name=f"{session_id}.wav")
        answer.content_length = size
        return answer.make_conditional(request.environ, accept_ranges=True, complete_length=size)

    return app


def review_of(content: bytes, session: Session) -> Review:
    """What the page of 2019 sends when somebody submits: `annotations` with `start_s` and `duration_s` in seconds.

    A box at the very times of a prediction was accepted; the page does not say which box was moved, so any other was added.
    Raises InputError naming the field that is missing or wrong.
    """
    value = parse_json(content, "the submission")
    boxes = value.get("annotations") if isinstance(value, Mapping) else None
    if not isinstance(boxes, list):
        raise InputError("the submission: expected an object with annotations, a list of boxes")
    predicted = {(item.event.start_s, item.event.end_s): item for item in session.detections}
    annotations = []
    for number, box in enumerate(boxes):
        event = _event(box, f"the submission: annotations[{number}]", session.recording.duration_s)
        origin = predicted.pop((event.start_s, event.end_s), None)
        outcome = Outcome.ACCEPTED if origin else Outcome.ADDED
        annotations.append(Annotation(origin.event if origin else event, CALL, Certainty.CERTAIN, "", outcome, origin))
    state = ReviewState.CALLS if annotations else ReviewState.NO_CALLS
    return Review("", state, tuple(sorted(annotations, key=lambda item: item.event)))


def _event(box: Any, where: str, length_s: float | None) -> SoundEvent:
    times = [box.get(name) if isinstance(box, Mapping) else None for name in ("start_s", "duration_s")]
    if any(isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time) for time in times):
        raise InputError(f"{where}: expected start_s and duration_s, numbers of seconds, not {box!r}")
    start_s, end_s = float(times[0] or 0.0), float(times[0] or 0.0) + float(times[1] or 0.0)
    if length_s is not None and end_s > length_s + EDGE_S:
        raise InputError(f"{where}: ends at {end_s} s, past the end of the recording at {length_s} s")
    try:
        return SoundEvent(max(start_s, 0.0) if start_s > -EDGE_S else start_s, min(end_s, length_s or end_s))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _predicted(session: Session) -> list[dict[str, float]]:
    return [
        {"start_time_s": item.event.start_s, "duration_s": item.event.duration_s, "confidence": item.confidence}
        for item in session.detections
    ]


def _submitted(review: Review) -> list[dict[str, float]]:
    return [{"start_s": item.event.start_s, "duration_s": item.event.duration_s} for item in calls_of(review.annotations)]


def _audio_address(round_name: str, session_id: str) -> str:
    return f"{request.url_root}audio/session/{quote(round_name, safe='')}/{quote(session_id, safe='')}.wav"


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dumps(value, allow_nan=False), mimetype="application/json")
