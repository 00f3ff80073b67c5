"""An independent reading of the real archive: what a whole folder sounds like, decoded in one go."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from importers.hls import Archive
from tests.conftest import DATA

NODE = "rpi_orcasound_lab"
FOLDERS = (1601520000, 1601520080)
RATE = 48_000
ARCHIVE = DATA / "hls"


def whole_folder(folder: int) -> npt.NDArray[np.int16]:
    """(frames, channels) of all segments of a folder, as one stream."""
    base = ARCHIVE / NODE / "hls" / str(folder)
    names = [line for line in (base / "live.m3u8").read_text().splitlines() if not line.startswith("#")]
    stream = io.BytesIO(b"".join((base / name).read_bytes() for name in names))
    with av.open(stream, mode="r", format="mpegts") as container:
        decoded = np.concatenate([frame.to_ndarray().T for frame in container.decode(audio=0)])
    return np.clip(np.rint(decoded * 32768.0), -32768, 32767).astype(np.int16)


def extinf(folder: int) -> list[float]:
    """Lengths of a folder's segments in seconds, as the playlist has them."""
    text = (ARCHIVE / NODE / "hls" / str(folder) / "live.m3u8").read_text()
    return [float(line[8:].rstrip(",")) for line in text.splitlines() if line.startswith("#EXTINF:")]


def long_archive(folder: Path, repeats: int) -> tuple[Archive, str, float]:
    """The first real folder, played `repeats` times in one folder of a new archive; its node, and its length in seconds."""
    source = ARCHIVE / NODE / "hls" / str(FOLDERS[0])
    base = folder / NODE / "hls" / str(FOLDERS[0])
    base.mkdir(parents=True)
    # The last segment is a single block of audio; without it the rest follow each other.
    names = [line for line in (source / "live.m3u8").read_text().splitlines() if line.endswith(".ts")][:-1]
    lengths = extinf(FOLDERS[0])[:-1]
    lines = ["#EXTM3U"]
    for turn in range(repeats):
        for name, length in zip(names, lengths, strict=True):
            copy = f"live{turn:03}{name[4:]}"
            (base / copy).symlink_to(source / name)
            lines += [f"#EXTINF:{length:.6f},", copy]
    (base / "live.m3u8").write_text("\n".join(lines) + "\n")
    return Archive(str(folder)), NODE, repeats * sum(lengths)


@contextmanager
def held(archive: Archive, number: int) -> Iterator[Callable[[], bool]]:
    """One segment of a `long_archive` does not come, so that no job gets past it; tells whether one waits for it."""
    segment = sorted((Path(archive.uri) / NODE / "hls" / str(FOLDERS[0])).glob("*.ts"))[number]
    content = segment.readlink()
    segment.unlink()
    os.mkfifo(segment)
    writers: list[int] = []

    def awaited() -> bool:
        with suppress(OSError):  # nobody has opened it to read
            writers.append(os.open(segment, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writers)

    try:
        yield awaited
    finally:
        for writer in writers:
            os.close(writer)
        segment.unlink()
        segment.symlink_to(content)
