"""A session's WAV, from where it lies into a release: the same bytes, checked on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from podcast import audio, storage
from podcast.errors import InputError, StorageError
from podcast.model import EDGE_S, Session
from releases.records import Record, wav_filename

BLOCK = 2**20
Open = Callable[[str], BinaryIO]


def with_digest(record: Record, folder: str | None, open_audio: Open) -> Record:
    """The record with the sha256 of its audio, which is read only if nobody has noted it; unchanged if it cannot be read."""
    recording = record.session.recording
    if recording.sha256:
        return record
    try:
        with _opened(record, folder, open_audio) as file:
            digest = audio.sha256(file)
    except (StorageError, InputError):
        return record
    return replace(record, session=replace(record.session, recording=replace(recording, sha256=digest)))


def copy_wav(record: Record, folder: str | None, to: str, open_audio: Open = storage.open_read) -> Record:
    """Copy the session's WAV into the folder `to`; the record with length and sha256 as they really are.

    The WAV is `<session id>.wav` in `folder`, or without one what the recording's `audio_uri` names. Raises InputError, and
    copies nothing, if it is not there, is no WAV, is not the audio that was labelled (sha256, length), or ends before a box.
    """
    recording = record.session.recording
    source = _source(record, folder)
    try:
        with _opened(record, folder, open_audio) as file:
            duration_s = audio.probe_file(file, source).duration_s
    except StorageError as error:
        raise InputError(f"{error}; name the folder that holds {wav_filename(record)} with --audio") from error
    if recording.duration_s is not None and abs(recording.duration_s - duration_s) > EDGE_S:
        raise InputError(f"{source} lasts {duration_s} s, but the session that was labelled {recording.duration_s} s")
    last_s = max((box.annotation.event.end_s for box in record.consensus.boxes), default=0.0)
    if last_s > duration_s + EDGE_S:
        raise InputError(f"a box ends at {last_s} s, past the end of {source} at {duration_s} s")
    with _opened(record, folder, open_audio) as file:
        digest = _copy(file, source, storage.join(to, wav_filename(record)), recording.sha256)
    length_s = duration_s if recording.duration_s is None else recording.duration_s
    session: Session = replace(record.session, recording=replace(recording, duration_s=length_s, sha256=digest))
    return replace(record, session=session)


def _source(record: Record, folder: str | None) -> str:
    return storage.join(folder, wav_filename(record)) if folder is not None else record.session.recording.audio_uri


def _opened(record: Record, folder: str | None, open_audio: Open) -> BinaryIO:
    """Audio of a folder that the maintainer named, or by the session's own address, as far as `open_audio` allows."""
    source = _source(record, folder)
    return storage.open_read(source) if folder is not None else open_audio(source)


def _copy(file: BinaryIO, source: str, to: str, expected: str) -> str:
    digest = hashlib.sha256()
    with storage.open_write(to) as copy:
        if file.read(4) not in (b"RIFF", b"RF64"):
            raise InputError(f"{source} is no WAV")
        file.seek(0)
        while block := file.read(BLOCK):
            digest.update(block)
            copy.write(block)
        if expected not in ("", digest.hexdigest()):
            raise InputError(f"{source} is not the audio that was labelled: its sha256 is {digest.hexdigest()}, not {expected}")
    return digest.hexdigest()
