"""Samples of one session from HLS segments: decoded in process, cut to the sample, the same bytes whatever was cut before."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet

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


@dataclass(frozen=True, slots=True)
class Packets:
    """A segment taken apart, not yet decoded: its packets, their lengths in samples, the codec's name, the sample rate in Hz."""

    packets: list[Packet[Any]]
    lengths: list[int]
    codec: str
    sample_rate: int


def take_apart(content: bytes, uri: str) -> Packets:
    """The packets of an MPEG transport stream. Raises InputError naming `uri` if it is damaged or holds no audio."""
    try:
        with av.open(io.BytesIO(content), mode="r", format="mpegts", buffer_size=len(content)) as container:
            stream = container.streams.audio[0]
            packets = [packet for packet in container.demux(stream) if packet.size]
            rate, codec = stream.codec_context.sample_rate, stream.codec_context.name
        ticks = Fraction(rate) * packets[0].time_base
        lengths = [round((packet.duration or 0) * ticks.numerator / ticks.denominator) for packet in packets]
        return Packets(packets, lengths, codec, rate)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise InputError(f"{uri}: damaged, or no audio ({error})") from error


def cut_session(cut: Cut, segments: tuple[Segment, ...], take: Callable[[Segment], Packets]) -> tuple[list[Piece], list[str]]:
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
            packets = take(segment)
            start_us, part = decoder.decode(packets, segment, cut)
        except (NotFoundError, InputError) as error:
            problems.append(str(error))
            decoder = None
            continue
        if not len(part):
            continue
        if not pieces or pieces[-1].sample_rate != packets.sample_rate or abs(pieces[-1].end_us - start_us) > DRIFT_US:
            # A border falls between two samples; the session is said to begin at the border.
            begin_us = cut.start_us if abs(start_us - cut.start_us) < JOINED_US else start_us
            pieces.append(Piece(begin_us, packets.sample_rate))
        pieces[-1].parts.append(part)
    return pieces, problems


class _Decoder:
    """Decodes segments that follow each other with one state, so that their borders are not heard."""

    def __init__(self) -> None:
        self._codec: AudioCodecContext | None = None
        self.end_us = 0

    def decode(self, segment_packets: Packets, segment: Segment, cut: Cut) -> tuple[int, Pcm]:
        """Clock time of the first sample, and the samples of `segment` that belong to `cut`.

        Raises InputError naming the segment if it is damaged.
        """
        if self._codec is None:
            self._codec = cast(AudioCodecContext, AudioCodecContext.create(segment_packets.codec, "r"))
        self.end_us = segment.end_us
        lengths, rate = segment_packets.lengths, segment_packets.sample_rate
        starts = [0, *itertools.accumulate(lengths)]
        total = starts[-1]
        first, last = _position(cut.start_us, segment, rate, total), _position(cut.end_us, segment, rate, total)
        begin = first - round(PRIME_US * rate / SECOND)
        # The packets that hold any sample from `begin` to `last`.
        needed = slice(max(0, bisect.bisect_right(starts, begin) - 1), bisect.bisect_left(starts, last))
        try:
            channels = _samples(self._codec, segment_packets.packets[needed], lengths[needed])
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(f"{segment.uri}: damaged ({error})") from error
        at = starts[needed.start]
        pcm = to_pcm(channels[:, first - at : last - at])
        if len(pcm) != last - first:
            raise InputError(f"{segment.uri}: {len(pcm)} samples could be decoded of {last - first}")
        return segment.start_us + round(Fraction(first, rate) * SECOND), pcm


def _samples(codec: AudioCodecContext, packets: list[Packet[Any]], lengths: list[int]) -> npt.NDArray[np.float32]:
    """Decoded samples of shape (channels, frames). Raises ValueError for a packet that does not hold what its header says."""
    samples = np.empty((0, sum(lengths)), np.float32)
    at = 0
    for packet, length in zip(packets, lengths, strict=True):
        for frame in codec.decode(packet):
            if frame.samples != length or frame.format.name != "fltp":
                raise ValueError(f"a block of {frame.samples} samples in place of {length}")
            planes = frame.planes
            if not len(samples):
                samples = np.empty((len(planes), samples.shape[1]), np.float32)
                # Copied as bytes, four a sample: for blocks of 1,024 samples numpy takes three times as long.
                channels = [channel.data.cast("B") for channel in samples]
            for channel, plane in zip(channels, planes, strict=True):
                channel[4 * at : 4 * (at + length)] = memoryview(plane)[: 4 * length]
            at += length
    return samples[:, :at]


def _position(moment_us: int, segment: Segment, rate: int, total: int) -> int:
    """The first sample of a segment at or after a clock time; samples beyond its length in the playlist belong to its end."""
    if moment_us >= segment.end_us:
        return total
    return min(total, max(0, round((moment_us - segment.start_us) * rate / SECOND)))


def to_pcm(samples: npt.NDArray[np.float32]) -> Pcm:
    """Floats of shape (channels, frames), full scale at 1.0, as 16-bit samples (frames, channels); louder ones are clipped."""
    pcm = np.empty(samples.shape[::-1], np.int16)
    for number, channel in enumerate(samples):
        scaled = channel * np.float32(32768)
        pcm[:, number] = np.clip(np.rint(scaled, out=scaled), -32768, 32767, out=scaled)
    return pcm
