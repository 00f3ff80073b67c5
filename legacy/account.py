"""An existing Pod.Cast account: its credentials file, its rounds, and annotations both ways without overwriting anybody's."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from exporters.base import WriteOptions
from exporters.podcast_json import as_text
from exporters.selection import SIDECAR, Selection
from importers.base import ReadOptions
from importers.podcast_json import Kind, parse, to_session
from importers.recordings import AudioFolder
from podcast import storage
from podcast.errors import InputError, NotFoundError, PodcastError, Refusal
from podcast.model import Recording, Review, Round, Session
from podcast.reading import parse_json, parse_yaml
from podcast.report import Report
from podcast.rounds import parse_rounds
from podcast.times import SessionName, parse_session_name

FIELDS = ("blobaccount", "blobaccountkey", "getcontainer", "postcontainer", "audiocontainer", "roundinfoconfig")
PLACEHOLDERS = ("PLACEHOLDER", "CONTAINER/FILENAME")
MANIFEST = "podcast-manifest.jsonl"
"""Beside the annotations: the sha256 of each file as it was when it was last brought in or written back."""
DEFAULT_CARD = "default"
ACCOUNT = re.compile(r"[a-z0-9]{3,24}")


@dataclass(frozen=True, slots=True)
class Account:
    """A credentials file as it is. `root` is where the containers lie; the rest are their names, and the rounds file."""

    root: str
    predictions: str
    annotations: str
    audio: str
    rounds_file: str
    name: str = ""
    key: str = ""

    def place(self, container: str, round_name: str = "") -> str:
        """The address of a container, of one round if one is named. Azure's containers have lower-case names alone."""
        full = f"{container}-{round_name}" if round_name else container
        return storage.join(self.root, full.lower() if self.root.startswith("https://") else full)

    def rounds(self) -> dict[str, Round]:
        """The rounds of the rounds file, without its `default` card."""
        container, _, name = self.rounds_file.partition("/")
        uri = storage.join(self.place(container), name)
        found = parse_rounds(storage.read(uri), uri)
        return {name: round_ for name, round_ in found.items() if name != DEFAULT_CARD}


def read_account(uri: str, root: str | None = None) -> Account:
    """Read CREDS.yaml. `root` stands in for the account itself: a copy of its containers as folders.

    Raises InputError naming the field that is missing, or still a placeholder.
    """
    content = parse_yaml(storage.read(uri), uri)
    if not isinstance(content, Mapping):
        raise InputError(f"{uri}: expected fields {', '.join(FIELDS)}")
    values = {name: str(content.get(name) or "").strip() for name in FIELDS}
    for name, value in values.items():
        if not value or (value in PLACEHOLDERS and not (root and name.startswith("blob"))):
            raise InputError(f"{uri}: {name} must be filled in, not {value or 'empty'}")
    # What the file says is not repeated: keys slip into the wrong field.
    if not root and not ACCOUNT.fullmatch(values["blobaccount"]):
        raise InputError(f"{uri}: blobaccount must be the name of a storage account: 3 to 24 lower-case letters and digits")
    address = root or f"https://{values['blobaccount']}.blob.core.windows.net"
    return Account(
        address,
        values["getcontainer"],
        values["postcontainer"],
        values["audiocontainer"],
        values["roundinfoconfig"],
        values["blobaccount"],
        values["blobaccountkey"],
    )


class AccountRound:
    """One round of an account: its sessions in, its annotations back."""

    def __init__(self, account: Account, name: str) -> None:
        self._predictions, self._annotations = account.place(account.predictions, name), account.place(account.annotations, name)
        self._audio = account.place(account.audio)
        self._known = self._read_manifest()
        self._seen: dict[str, str] = {}

    def sessions(self) -> Iterator[Session | Refusal]:
        """Every session with its predictions, and with its submitted annotation where there is one, in order of file names.

        Raises NotFoundError, before the first session is taken, if the round has no files.
        """
        submitted = {storage.stem(uri): uri for uri in _files(self._annotations)}
        predicted = {storage.stem(uri): uri for uri in _files(self._predictions)}
        if not submitted and not predicted:
            raise NotFoundError(f"neither {self._predictions} nor {self._annotations} holds any session")
        return self._sessions(submitted, predicted)

    def _sessions(self, submitted: dict[str, str], predicted: dict[str, str]) -> Iterator[Session | Refusal]:
        folder = AudioFolder(self._audio, self._audio, required=True)
        sources = {**submitted, **predicted}
        both = [name for name in sorted(predicted) if name in submitted]
        reviews = storage.read_all(submitted[name] for name in both)
        for name, content in zip(sorted(sources), storage.read_all(sources[name] for name in sorted(sources)), strict=True):
            kind: Kind = "predictions" if name in predicted else "annotations"
            session = self._session(sources[name], content, folder, kind)
            if name in predicted and name in submitted:
                # Read even if the predictions were refused: the two streams go in step.
                review = next(reviews)
                if isinstance(session, Session):
                    reviewed = self._session(submitted[name], review, _Known(session), "annotations")
                    session = replace(session, reviews=reviewed.reviews) if isinstance(reviewed, Session) else reviewed
            yield session

    def _session(self, uri: str, content: bytes | PodcastError, folder: AudioFolder, kind: Kind) -> Session | Refusal:
        try:
            if isinstance(content, PodcastError):
                raise content
            session = to_session(parse(content, uri), uri, ReadOptions(), folder, kind)
        except PodcastError as error:
            return Refusal(uri, str(error).removeprefix(f"{uri}: "))
        if kind == "annotations":
            self._seen[session.id] = hashlib.sha256(content).hexdigest()
        return session

    def remember(self, report: Report) -> None:
        """After an import: note the annotation files that are now in Label Studio, but those whose import was refused."""
        refused = {refusal.where.removeprefix("session ") for refusal in report.refusals}
        self._known |= {name: digest for name, digest in self._seen.items() if name not in refused}
        self._write_manifest()

    def give_back(self, sessions: Iterable[Session | Refusal], annotator: str = "latest") -> Report:
        """Write completed sessions to the annotations container, one JSON each.

        A file is written if there is none, and replaced if it is as this project last saw it. One that was changed by somebody
        else in the meantime is kept, and refused as a conflict, unless it says the same.
        """
        selection = Selection(sessions, WriteOptions(annotator))
        selection.report.counts.update(unchanged=0)
        report = selection.run(self._put, self._keep)
        self._write_manifest()
        return report

    def _keep(self, _: str, lines: Iterator[str]) -> None:
        """The sidecar; the last one is emptied if there is nothing to say any more."""
        uri, content = storage.join(self._annotations, SIDECAR), "".join(lines).encode()
        if content or storage.exists(uri):
            storage.write(uri, content)

    def _put(self, _: str, session: Session, review: Review) -> str | None:
        uri = storage.join(self._annotations, f"{session.id}.json")
        content = as_text(session, review).encode()
        try:
            present = storage.read(uri)
        except NotFoundError:
            present = None
        if present is not None and _says(present, uri) == _says(content, uri):
            self._known[session.id] = hashlib.sha256(present).hexdigest()
            return "unchanged"
        ours = present is None or hashlib.sha256(present).hexdigest() == self._known.get(session.id)
        if not (ours and storage.replace(uri, present, content)):
            raise InputError(f"{uri} was changed by somebody else in the meantime; it was kept as it is")
        self._known[session.id] = hashlib.sha256(content).hexdigest()
        return None

    def _read_manifest(self) -> dict[str, str]:
        uri = storage.join(self._annotations, MANIFEST)
        try:
            content = storage.read(uri)
        except NotFoundError:
            return {}
        return dict(_noted(line, f"{uri}, line {number}") for number, line in enumerate(io.BytesIO(content), 1) if line.strip())

    def _write_manifest(self) -> None:
        rows = (json.dumps({"session_id": name, "sha256": digest}) for name, digest in sorted(self._known.items()))
        if self._known:
            storage.write(storage.join(self._annotations, MANIFEST), "".join(f"{row}\n" for row in rows).encode())


class _Known(AudioFolder):
    """In place of the audio: what was found out about it when the predictions were read."""

    def __init__(self, session: Session) -> None:
        super().__init__(None, "", required=False)
        self._session = session

    def recording(self, session_id: str, uri: str, source_guid: str) -> tuple[Recording, SessionName]:  # noqa: ARG002
        """See `AudioFolder`."""
        return self._session.recording, parse_session_name(session_id)


def _noted(line: bytes, where: str) -> tuple[str, str]:
    """Session and sha256 of one line of the manifest. Raises InputError for a line that was not written by this project."""
    row = parse_json(line, where)
    found = (row.get("session_id"), row.get("sha256")) if isinstance(row, Mapping) else (None, None)
    if not (isinstance(found[0], str) and isinstance(found[1], str)):
        raise InputError(f"{where}: expected session_id and sha256; without the line its file counts as changed by somebody else")
    return found[0], found[1]


def _files(container: str) -> list[str]:
    try:
        return list(storage.list_files(container, ".json"))
    except NotFoundError:
        return []


def _says(content: bytes, uri: str) -> object:
    """What a submit file says, whatever its notation: session, and boxes on the millisecond grid. None if it says nothing."""
    try:
        value = parse(content, uri)
        boxes = [
            (round(float(box.get("start_s", box.get("start_time_s"))), 3), round(float(box["duration_s"]), 3))
            for box in value["annotations"]
        ]
        return sorted(boxes)
    except (InputError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
