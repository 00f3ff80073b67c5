"""What a run needs again and again and does not hold in memory: the sound and the frames of its sessions, in a folder of its own.

The folder lies below the run's and is gone when the run ends. A sound takes 5.3 MB a minute there, frames 0.2 MB.
"""

from __future__ import annotations

import io
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from podcast import storage
from podcast.audio import Samples, Wave
from training.reviewed import Reviewed
from training.rules import Example

Read = Callable[[Reviewed], tuple[Samples, int]]
NOTHING = np.zeros(0, np.float32)
MOST_BYTES = 20 * 10**9
"""Of sound on the disk: about 3,800 minutes. What was asked for longest ago makes room, and is decoded again."""


class Scratch:
    """A folder for the time of a `with` block. What a run that was killed left there is removed first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class OnDisk:
    """The sound of one session, mono, as an array of which slices are read: `wave[first:last]`."""

    waves: Waves
    session: Reviewed
    frames: int

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, part: slice) -> Wave:
        first, last, _ = part.indices(self.frames)
        return self.waves.read(self.session, first, last - first)


class Waves(Scratch):
    """The sound of sessions, as `decoded` makes it of their samples and rate: mono, shape (frames,)."""

    def __init__(self, folder: Path, read: Read, decoded: Callable[[Samples, int], Wave], most_bytes: int = MOST_BYTES) -> None:
        super().__init__(folder)
        self._read, self._decoded, self._most = read, decoded, most_bytes
        self._kept: OrderedDict[str, tuple[Path, int]] = OrderedDict()
        self._bytes = self._written = 0

    def of(self, session: Reviewed) -> OnDisk:
        """The sound of a session, which is read and decoded here; the errors are those of `read`."""
        return OnDisk(self, session, self._keep(session))

    def read(self, session: Reviewed, first: int, frames: int) -> Wave:
        """Some frames of it."""
        if session.name not in self._kept:
            self._keep(session)
        self._kept.move_to_end(session.name)
        path, _ = self._kept[session.name]
        return np.frombuffer(storage.read(str(path), 4 * first, 4 * frames), np.float32) if frames else NOTHING

    def _keep(self, session: Reviewed) -> int:
        wave = self._decoded(*self._read(session)).astype(np.float32)
        while self._kept and self._bytes + wave.nbytes > self._most:
            _, (path, size) = self._kept.popitem(last=False)
            path.unlink()
            self._bytes -= size
        path = self.folder / f"{self._written}.f32"  # a session's name need not be a file's
        self._written += 1
        storage.write(str(path), wave.tobytes())
        self._kept[session.name] = path, wave.nbytes
        self._bytes += wave.nbytes
        return len(wave)


class Examples(Scratch):
    """Examples of which each has its frames read from the disk when its turn comes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._kept: list[tuple[Path, Example]] = []

    def add(self, example: Example) -> None:
        """One more."""
        path, content = self.folder / f"{len(self._kept)}.npz", io.BytesIO()
        np.savez(content, strength=example.frames.strength, shape=example.frames.shape)
        storage.write(str(path), content.getvalue())
        self._kept.append((path, replace(example, frames=replace(example.frames, strength=NOTHING, shape=NOTHING))))

    def __iter__(self) -> Iterator[Example]:
        for path, example in self._kept:
            with np.load(io.BytesIO(storage.read(str(path))), allow_pickle=False) as arrays:
                yield replace(example, frames=replace(example.frames, strength=arrays["strength"], shape=arrays["shape"]))
