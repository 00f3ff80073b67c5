"""What rounds in Label Studio hold for a training: what people said of their sessions, and the sessions' audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

from labelstudio.audio import TaskAudio
from labelstudio.client import Server
from labelstudio.round_out import Round
from podcast import audio
from podcast.audio import Samples
from podcast.errors import InputError, NotFoundError, Refusal, StorageError
from podcast.heard import HeardEnough
from podcast.model import Session
from podcast.report import Report
from training.reviewed import Reviewed, reviewed

SOMETHING = 1e-3
"""The least share of a recording that must have been heard for an answer to count."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the audio of a session is, and what its import says that it is."""

    project: int
    address: str
    sha256: str


class UnheardError(InputError):
    """The audio of a session cannot be had, whatever is tried."""

    def __init__(self, session: str, why: str) -> None:
        super().__init__(f"session {session}: {why}")
        self.session = session


@dataclass(slots=True)
class Rounds:
    """The reviewed sessions of rounds, and where their audio is: those that may be learned from, and others.

    A session that is in several rounds counts once, as the last of those has it that are learned from.
    """

    server: Server
    audio: TaskAudio
    learned: dict[str, Reviewed] = field(default_factory=dict)
    others: dict[str, Reviewed] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """Of the rounds that are learned from."""
    left_out: list[UnheardError] = field(default_factory=list)
    _places: dict[str, Place] = field(default_factory=dict)

    def read(self, project: dict[str, Any], *, learn: bool) -> None:
        """Take up what somebody reviewed and heard of a round. Raises InputError if it is no round of ours."""
        number = int(project["id"])
        self.audio.projects.add(number)
        if learn:
            self.names.append(str(project["title"]))
        heard = HeardEnough(SOMETHING)
        for found in reviewed(heard.of(self._noted(number, Round(self.server, project).submitted())), Report()):
            (self.learned if learn else self.others)[found.name] = found

    def leave_out(self, error: UnheardError) -> None:
        """Go on without a session that cannot be heard."""
        self.learned.pop(error.session, None)
        self.others.pop(error.session, None)
        self.left_out.append(error)

    @property
    def unheard(self) -> str:
        """What was left out, for the end of a sentence; empty if nothing was."""
        more = f", and {len(self.left_out) - 1} more" if len(self.left_out) > 1 else ""
        return f"; left out, since it cannot be heard: {self.left_out[0]}{more}" if self.left_out else ""

    def samples(self, session: Reviewed) -> tuple[Samples, int]:
        """The recording of a session, as `podcast.audio.decode` gives it.

        Raises UnheardError if it is gone, damaged, or not what the round was made with; UnavailableError if Label Studio is away.
        """
        try:
            return self._heard(session.name)
        except (InputError, NotFoundError) as error:
            raise UnheardError(session.name, str(error)) from error
        except StorageError as error:
            self.server.version()  # if Label Studio is away, it is that, and no fault of the session
            raise UnheardError(session.name, str(error)) from error

    @retry(
        retry=retry_if_exception(lambda error: isinstance(error, StorageError) and not isinstance(error, NotFoundError)),
        stop=stop_after_attempt(3),
        wait=wait_exponential(multiplier=0.5, max=5),
        reraise=True,
    )
    def _heard(self, name: str) -> tuple[Samples, int]:
        place = self._places[name]
        with self.audio.open(place.address, place.project) as file:
            if place.sha256 and audio.sha256(file) != place.sha256:
                raise InputError("the audio is not what the round was made with (sha256 differs)")
            return audio.decode(file, name)

    def _noted(self, project: int, sessions: Iterator[Session | Refusal]) -> Iterator[Session | Refusal]:
        for session in sessions:
            if isinstance(session, Session):
                recording = session.recording
                self._places[session.id] = Place(project, recording.audio_uri, recording.sha256)
            yield session
