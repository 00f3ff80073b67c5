"""Listening copies: what the page plays in place of a recording, a seventh of its size (docs/adr/0095).

The recording itself stays what is hashed, detected, trained on and released.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO, cast

import av
import numpy as np
import soundfile

from podcast import audio, storage
from podcast.audio import Samples, Wave
from podcast.errors import InputError, PodcastError, Refusal
from podcast.model import Recording, Session
from podcast.parallel import cores, in_order
from podcast.report import Report

SAMPLE_RATE = 24_000
FOLDER = "listening"
RECIPE = 1
"""Raised when what a copy holds changes, so that copies of before are made anew."""
FILTER = "filter_size=256:cutoff=0.955"
"""Flat to 11 kHz, and nothing from 12 kHz on: the resampler's own default loses the top, and folds back what lies above."""
SHALLOW = ("PCM_U8", "PCM_16")
"""Samples that 16 bits hold. A quiet recording of 24 bits would drown in the noise of rounding to 16."""
RATES = (4_000, 1_000_000)
"""Sample rates in Hz that are copied. A header may say anything, and the resampler's memory grows with it."""
BLOCK = 2**18
"""Frames that are held at a time, so that an hour takes no more memory than a minute."""
MEMORY_BYTES = 2**25
WEB = ("http", "https")


def with_copies(
    sessions: Iterable[Session | Refusal], place: Callable[[Recording], str], report: Report
) -> Iterator[Session | Refusal]:
    """The sessions in their order, each recording with the address of its listening copy, which is made unless it is there.

    `place` gives that address, empty for a recording to be left alone; it may raise InputError. All cores work, and few sessions
    are taken ahead. A recording that cannot be copied stays without a copy. `report` counts both, and says why.
    """

    def attempt(item: Session | Refusal) -> tuple[Session | Refusal, bool, str]:
        if isinstance(item, Refusal):
            return item, False, ""
        folder = item.recording.audio_uri.rpartition("/")[0]
        try:
            if not (uri := place(item.recording)):
                return item, False, ""
        except InputError as error:
            return item, False, f"the page plays the originals in {folder or '.'}: {error}"
        try:
            made = make_copy(item.recording, uri)
        except PodcastError as error:
            return item, False, f"session {item.id}: the page plays the original, since it cannot be copied: {error}"
        return replace(item, recording=replace(item.recording, listening_uri=uri)), made, ""

    report.counts.update(copies_made=0, not_copied=0)
    for item, made, problem in in_order(attempt, sessions, cores(), 2 * cores()):
        report.counts["copies_made"] += made
        if problem:
            report.counts["not_copied"] += 1
            report.warn(problem)
        yield item


def copy_uri(recording: Recording) -> str:
    """Where the listening copy of a recording lies: beside its audio, under a name made of its hash.

    Raises InputError for audio that was not read, and for web addresses, beside which nothing can be written.
    """
    if not recording.sha256:
        raise InputError("they were not read, so they are not copied")
    path = storage.local_path(recording.audio_uri)
    uri = str(path.resolve()) if path else storage.page_address(recording.audio_uri)
    if storage.scheme(uri) in WEB:
        raise InputError("nothing can be written beside a web address")
    return storage.join(uri.rpartition("/")[0], FOLDER, f"{recording.sha256}-{RECIPE}.flac")


def make_copy(recording: Recording, uri: str) -> bool:
    """Write the listening copy of a recording to `uri`, whole or not at all; False if it is there already.

    Raises InputError for audio that is not what the session was read with, that is damaged, or that passes full scale, where a
    copy would be cut off; StorageError where it cannot be read or the copy not be written.
    """
    if storage.exists(uri):
        return False
    with _fetched(recording.audio_uri) as file:
        if audio.sha256(file) != recording.sha256:
            raise InputError(f"{recording.audio_uri} has changed since it was read")
        storage.write(uri, flac(file, recording.audio_uri))
    return True


def flac(file: BinaryIO, name: str) -> bytes:
    """A whole FLAC file of the mean over channels of an open file, at SAMPLE_RATE and in step with it to the sample.

    Errors, which name `name`, are those of `audio.decode`, and InputError for samples beyond full scale and for sample rates
    outside RATES.
    """
    buffer = io.BytesIO()
    with audio.opened(file, name) as sound:
        if not RATES[0] <= sound.samplerate <= RATES[1]:
            raise InputError(f"{name}: has {sound.samplerate} samples a second; copies are made of {RATES[0]} to {RATES[1]}")
        subtype = "PCM_16" if sound.subtype in SHALLOW else "PCM_24"
        left = max(1, round(sound.frames * SAMPLE_RATE / sound.samplerate))
        blocks = (_mono(block, name) for block in sound.blocks(BLOCK, dtype="float32", always_2d=True))
        with soundfile.SoundFile(buffer, "w", SAMPLE_RATE, 1, subtype, format="FLAC") as copy:
            for block in _resampled(blocks, sound.samplerate):
                copy.write(block[:left])
                left -= len(block[:left])
    return buffer.getvalue()


def _mono(block: Samples, name: str) -> Wave:
    mean = audio.mono(block)
    if not (np.abs(mean) <= 1).all():
        raise InputError(f"{name}: passes full scale, where a copy would be cut off")
    return mean


def _resampled(blocks: Iterator[Wave], sample_rate: int) -> Iterator[Wave]:
    """Blocks at SAMPLE_RATE, the first sample at the time of the first, and a second of silence after the last."""
    if sample_rate == SAMPLE_RATE:
        yield from blocks
        return
    graph = av.filter.Graph()
    source = graph.add("abuffer", f"sample_rate={sample_rate}:sample_fmt=flt:channel_layout=mono:time_base=1/{sample_rate}")
    sink = graph.add("abuffersink")
    graph.link_nodes(source, graph.add("aresample", f"{SAMPLE_RATE}:{FILTER}"), sink).configure()
    # At its ends the resampler makes up samples, or none where the audio is shorter than its filter: a second of silence each.
    silence, early, at = np.zeros(sample_rate, np.float32), SAMPLE_RATE, 0
    for block in chain([silence], blocks, [silence, None]):
        source.push(None if block is None else _frame(block, sample_rate, at))
        at += 0 if block is None else len(block)
        for found in _pulled(sink):
            yield found[early:]
            early = max(0, early - len(found))


def _frame(block: Wave, sample_rate: int, at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(block[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = sample_rate, at
    return frame


def _pulled(sink: av.filter.context.FilterContext) -> Iterator[Wave]:
    """What a filter has ready."""
    while True:
        try:
            yield cast(av.AudioFrame, sink.pull()).to_ndarray()[0]
        except (BlockingIOError, EOFError):  # it wants more, or has given all
            return


def _fetched(uri: str) -> BinaryIO:
    """The audio as a file that is read twice at no cost: what lies in a cloud is fetched once."""
    file = storage.open_read(uri)
    if storage.local_path(uri) is not None:
        return file
    with file:
        copy = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 (the caller closes it)
        shutil.copyfileobj(file, copy, 2**20)
        return cast(BinaryIO, copy)
