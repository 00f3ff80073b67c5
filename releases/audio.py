"""A session's WAV, from where it lies into a release: the same bytes, checked on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from exporters.base import audio_address
from exporters.wav import check_digest, check_length
from podcast import audio, storage
from podcast.errors import InputError, StorageError
from releases.records import Record, wav_filename

BLOCK = 2**20
Open = Callable[[str], BinaryIO]


def with_digest(record: Record, folder: str | None, open_audio: Open) -> Record:
    """The record with the sha256 of its audio, which is read only if nobody has noted it; unchanged if it cannot be read."""
    recording = record.session.recording
    if recording.sha256:
        return record
    try:
        with open_audio(audio_address(record.session, folder)) as file:
            digest = audio.sha256(file)
    except (StorageError, InputError):
        return record
    return replace(record, session=replace(record.session, recording=replace(recording, sha256=digest)))


def copy_wav(record: Record, folder: str | None, to: str, open_audio: Open = storage.open_read) -> Record:
    """Copy the session's WAV into the folder `to`; the record with length and sha256 as they really are.

    The WAV is `<session id>.wav` in `folder`, or without one what the session itself says, as far as `open_audio` allows. Raises
    InputError, and copies nothing, if it is not there, is no WAV, is not the audio that was labelled (sha256, length), or ends
    before a box.
    """
    session, source = record.session, audio_address(record.session, folder)
    last_box_s = max((box.annotation.event.end_s for box in record.consensus.boxes), default=0.0)
    try:
        with open_audio(source) as file:
            duration_s = check_length(file, source, session, last_box_s)
    except StorageError as error:
        raise InputError(f"{error}; name the folder that holds {wav_filename(record)} with --audio") from error
    with open_audio(source) as file, storage.open_write(storage.join(to, wav_filename(record))) as copy:
        digest = hashlib.sha256()
        while block := file.read(BLOCK):
            digest.update(block)
            copy.write(block)
        check_digest(digest.hexdigest(), source, session)
    labelled_s = session.recording.duration_s
    length_s = duration_s if labelled_s is None else labelled_s
    recording = replace(session.recording, duration_s=length_s, sha256=digest.hexdigest())
    return replace(record, session=replace(session, recording=recording))
