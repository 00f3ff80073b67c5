"""From a session's name and its audio folder to its Recording; what all importers share."""

from __future__ import annotations

from podcast import audio, storage
from podcast.errors import InputError, StorageError
from podcast.model import Recording, check_name
from podcast.times import SessionName, parse_session_name


class AudioFolder:
    """The folder with the WAVs of one source, `<session id>.wav` each.

    That is `given`, the folder that the user named, or else `beside`, where the source itself lies. Without `given`, a session
    whose WAV is not there plays from the web or cloud address in the source, which is not fetched.
    """

    def __init__(self, given: str | None, beside: str, *, required: bool) -> None:
        self._uri, self._given, self._required = given or beside, given is not None, required
        self._siblings: dict[str, list[str]] | None = None
        self._lengths: dict[str, float] = {}

    def recording(self, session_id: str, uri: str, source_guid: str) -> tuple[Recording, SessionName]:
        """The recording of a session and what its name tells.

        `uri` is the address in the source, `source_guid` the node if the source tells it. Raises InputError if the audio is
        damaged or no WAV, or is nowhere although it is required.
        """
        check_name(session_id)
        name = parse_session_name(session_id)
        guid = source_guid or name.source_guid
        audio_uri = storage.join(self._uri, f"{session_id}.wav")
        if not storage.exists(audio_uri):
            remote = not self._given and "://" in uri
            if self._required and not remote:
                raise InputError(f"its audio is not at {audio_uri}; name the folder that holds it with --audio")
            return Recording(uri, guid, name.start(None), audio_uri=uri if remote else audio_uri), name
        with storage.open_read(audio_uri) as file:
            audio.check_wav(file, audio_uri)
            digest = audio.sha256(file)
        duration_s = audio.probe(audio_uri).duration_s
        start = name.start(self._session_length(name, duration_s))
        return Recording(uri, guid, start, duration_s, digest, audio_uri), name

    def _session_length(self, name: SessionName, duration_s: float) -> float:
        """Length in seconds of a full session of the parent: the longest of its sessions here, for the last one is shorter."""
        if name.chunk is None:
            return duration_s
        if name.parent not in self._lengths:
            if self._siblings is None:
                self._siblings = {}
                for uri in storage.list_files(self._uri, ".wav"):
                    self._siblings.setdefault(_parent(uri), []).append(uri)
            self._lengths[name.parent] = max((_length(uri) for uri in self._siblings[name.parent]), default=duration_s)
        return self._lengths[name.parent]


def _parent(uri: str) -> str:
    try:
        return parse_session_name(storage.stem(uri)).parent
    except InputError:
        return ""


def _length(uri: str) -> float:
    try:
        return audio.probe(uri).duration_s
    except (InputError, StorageError):
        return 0.0
