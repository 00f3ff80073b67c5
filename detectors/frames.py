"""What a detector heard moment by moment, and what can be said of a box from it: the features that its score is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from detectors.events import Strength

Numbers = npt.NDArray[np.float64]
SHAPE = ("weight", "octaves", "octaves squared", "bands", "top")
"""Of one frame: what stands out in it, summed over its bands; the same times the octaves above 1 kHz, and their squares; how many
bands stand out; and how much the foremost does."""

FEATURES = (
    *("strength", "peak", "length", "contrast", "roughness"),
    *("octaves", "octaves squared", "spread", "bands", "top"),
    *("beside", "gap", "level"),
)
BESIDE_S = 10.0
OUTSIDE_S = 1.0


@dataclass(frozen=True, slots=True)
class Frames:
    """`strength` of every `hop_s` seconds, in the detector's own unit, 0 and up, frame i centred on i * `hop_s` + `first_s`.

    `shape` is of shape (frames, 5), by `SHAPE`; without rows where the detector does not tell.
    """

    strength: Strength
    hop_s: float
    length_s: float
    shape: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, len(SHAPE)), np.float32))
    first_s: float = 0.0


def shape_of(standing_out: npt.NDArray[np.float32], hz: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """`Frames.shape` of what stands out, 0 and up, of shape (frames, bands), in bands centred on `hz`, of shape (bands,)."""
    octaves = np.log2(hz / 1000).astype(np.float32)
    moments = standing_out @ np.stack([np.ones_like(octaves), octaves, octaves**2], axis=1)
    bands = np.count_nonzero(standing_out, axis=1)
    top = standing_out.max(axis=1) if len(hz) else np.zeros(len(standing_out))
    shape: npt.NDArray[np.float32] = np.column_stack([moments, bands, top]).astype(np.float32)
    return shape


def features(found: list[tuple[int, int]], frames: Frames) -> Numbers:
    """The features of each event (first and last frame), of shape (events, 13), by `FEATURES`.

    Logarithms of strength, of its peak over its mean and of the length; contrast to the second before and after; how fast the
    strength changes (clicks do); where the sound lies, how far it spreads, in how many bands, and how much of it is one line; how
    many other events lie within 10 s, how far the nearest is; and how strong the whole recording is.
    """
    if not found:
        return np.zeros((0, len(FEATURES)))
    first, last = (np.array(side) for side in zip(*found, strict=True))
    strength = frames.strength.astype(np.float64)
    count = last - first + 1
    mean = np.maximum(_sums(strength, first, last) / count, 1e-6)
    peak = np.maximum.reduceat(np.append(strength, 0.0), np.column_stack([first, last + 1]).ravel())[::2]
    around = round(OUTSIDE_S / frames.hop_s)
    left, right = np.maximum(first - around, 0), np.minimum(last + around, len(strength) - 1)
    outside = (_sums(strength, left, right) - mean * count) / np.maximum(right - left + 1 - count, 1)
    change = np.abs(np.diff(strength, append=strength[-1:]))
    columns = [
        np.log(mean),
        np.log(np.maximum(peak / mean, 1.0)),
        np.log(count * frames.hop_s),
        np.log(mean / (np.maximum(outside, 0) + 0.02 * mean)),
        _sums(change, first, last) / (mean * count),
        *_spectral(first, last, frames),
        *_neighbours((first + last) / 2 * frames.hop_s),
        np.full(len(found), np.log(strength.mean() / mean.mean() + 1e-3)),
    ]
    return np.column_stack(columns)


def _spectral(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], frames: Frames) -> list[Numbers]:
    if not len(frames.shape):
        return [np.zeros(len(first))] * 5
    weight, octaves, squares, bands, top = (
        _sums(column, first, last) / (last - first + 1) for column in frames.shape.T.astype(np.float64)
    )
    weight = np.maximum(weight, 1e-6)
    middle = octaves / weight
    spread = np.sqrt(np.maximum(squares / weight - middle**2, 0))
    return [middle, middle**2, spread, np.log1p(bands), top / weight]


def _neighbours(middles_s: Numbers) -> list[Numbers]:
    apart = np.abs(middles_s[:, None] - middles_s)
    np.fill_diagonal(apart, np.inf)
    nearest = np.minimum(apart.min(axis=1), BESIDE_S)
    return [np.log1p((apart <= BESIDE_S).sum(axis=1)), np.log1p(nearest)]


def _sums(values: Numbers, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Numbers:
    """The sum of `values` from each `first` to each `last`, both included."""
    cumulated = np.concatenate([[0.0], np.cumsum(values)])
    sums: Numbers = cumulated[last + 1] - cumulated[first]
    return sums
