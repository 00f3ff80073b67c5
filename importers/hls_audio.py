"""Samples of one session from HLS segments: decoded in process, cut to the sample, the same bytes whatever was cut before."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from importers.hls import JOINED_US, PRIME_US, SECOND, Cut, Segment, needs
from podcast.errors import InputError, NotFoundError

Pcm = npt.NDArray[np.int16]

DRIFT_US = 50_000
"""What a session's samples may run ahead of the playlist's clock or lag behind it before the session is split."""


@dataclass(slots=True)
class Piece:
    """Audio without a hole: the clock time of its first sample, and its samples, (frames, channels) a part."""

    start_us: int
    sample_rate: int
    parts: list[Pcm] = field(default_factory=list)

    @property
    def samples(self) -> Pcm:
        """All parts as one array."""
        return np.concatenate(self.parts)

    @property
    def frames(self) -> int:
        """Length in frames."""
        return sum(len(part) for part in self.parts)

    @property
    def end_us(self) -> int:
        """Clock time of the end, by the samples."""
        return self.start_us + round(Fraction(self.frames, self.sample_rate) * SECOND)


def cut_session(cut: Cut, segments: tuple[Segment, ...], fetch: Callable[[Segment], bytes]) -> tuple[list[Piece], list[str]]:
    """The audio of one cut, in one piece unless segments are missing or damaged, and what was wrong, in words.

    A sample belongs to the cut if its time, the segment's start plus its position, lies in it; so neighbouring cuts share none
    and lose none. The decoder begins anew for each cut, a few blocks before it.
    """
    pieces: list[Piece] = []
    problems: list[str] = []
    decoder: _Decoder | None = None
    for segment in segments:
        if not needs(cut, segment):
            continue
        if decoder is None or segment.start_us > decoder.end_us + SECOND // 2:
            decoder = _Decoder()
        try:
            start_us, part, rate = decoder.decode(fetch(segment), segment, cut)
        except (NotFoundError, InputError) as error:
            problems.append(str(error))
            decoder = None
            continue
        if not len(part):
            continue
        if not pieces or pieces[-1].sample_rate != rate or abs(pieces[-1].end_us - start_us) > DRIFT_US:
            # A border falls between two samples; the session is said to begin at the border.
            pieces.append(Piece(cut.start_us if abs(start_us - cut.start_us) < JOINED_US else start_us, rate))
        pieces[-1].parts.append(part)
    return pieces, problems


class _Decoder:
    """Decodes segments that follow each other with one state, so that their borders are not heard."""

    def __init__(self) -> None:
        self._codec: AudioCodecContext | None = None
        self.end_us = 0

    def decode(self, content: bytes, segment: Segment, cut: Cut) -> tuple[int, Pcm, int]:
        """Clock time of the first sample, the samples of `segment` that belong to `cut`, and the sample rate in Hz.

        Raises InputError naming the segment if it is damaged.
        """
        try:
            with av.open(io.BytesIO(content), mode="r", format="mpegts") as container:
                stream = container.streams.audio[0]
                packets = [packet for packet in container.demux(stream) if packet.size]
                if self._codec is None:
                    self._codec = cast(AudioCodecContext, AudioCodecContext.create(stream.codec_context.name, "r"))
                rate = stream.codec_context.sample_rate
                return self._frames(packets, rate, segment, cut)
        except (av.error.FFmpegError, IndexError, ValueError) as error:
            raise InputError(f"{segment.uri}: damaged, or no audio ({error})") from error

    def _frames(self, packets: list[Any], rate: int, segment: Segment, cut: Cut) -> tuple[int, Pcm, int]:
        ticks = Fraction(rate) * packets[0].time_base
        lengths = [round((packet.duration or 0) * ticks.numerator / ticks.denominator) for packet in packets]
        total = sum(lengths)
        first, last = _position(cut.start_us, segment, rate, total), _position(cut.end_us, segment, rate, total)
        lead = round(PRIME_US * rate / SECOND)
        self.end_us = segment.end_us
        planes: list[list[npt.NDArray[np.float32]]] = []
        begin = at = 0
        for packet, length in zip(packets, lengths, strict=True):
            if at >= last:
                break
            if at + length > first - lead:
                for frame in self._codec.decode(packet):  # type: ignore[union-attr]
                    if frame.samples != length or frame.format.name != "fltp":
                        raise InputError(f"{segment.uri}: a block of {frame.samples} samples in place of {length}")
                    if not planes:
                        planes, begin = [[] for _ in frame.planes], at
                    for plane, samples in zip(planes, frame.planes, strict=True):
                        plane.append(np.frombuffer(samples, np.float32, length))
            at += length
        wanted = slice(max(0, first - begin), max(0, last - begin))
        pcm = to_pcm([np.concatenate(plane)[wanted] for plane in planes])
        if len(pcm) != max(0, last - first):
            raise InputError(f"{segment.uri}: {len(pcm)} samples could be decoded of {last - first}")
        return segment.start_us + round(Fraction(first, rate) * SECOND), pcm, rate


def _position(moment_us: int, segment: Segment, rate: int, total: int) -> int:
    """The first sample of a segment at or after a clock time; samples beyond its length in the playlist belong to its end."""
    if moment_us >= segment.end_us:
        return total
    return min(total, max(0, round((moment_us - segment.start_us) * rate / SECOND)))


def to_pcm(channels: list[npt.NDArray[np.float32]]) -> Pcm:
    """Floats, full scale at 1.0, one array a channel, as 16-bit samples of shape (frames, channels); louder ones are clipped."""
    pcm = np.empty((len(channels[0]) if channels else 0, len(channels) or 1), np.int16)
    for number, channel in enumerate(channels):
        pcm[:, number] = np.clip(np.rint(channel * np.float32(32768)), -32768, 32767)
    return pcm
