"""A .tar.gz whose bytes depend on nothing but its content."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping

from podcast import storage

BLOCK = 2**20


def write_archive(to: str, name: str, folder: str, files: Iterable[str], made: Mapping[str, bytes]) -> None:
    """Pack `files` (paths below `folder`, in the order given) under the top folder `name` into one .tar.gz at `to`.

    `made` holds the content of files that are not in the folder yet. No clock, owner or mode of this machine goes in. The
    compressed bytes also depend on zlib: another build of it may pack the same tar differently (docs/adr/0055).
    """
    with (
        storage.open_write(to) as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(mode="w|", fileobj=packed, bufsize=BLOCK, format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in files:
            with io.BytesIO(made[file]) if file in made else storage.open_read(storage.join(folder, file)) as content:
                entry = tarfile.TarInfo(f"{name}/{file}")
                entry.size = content.seek(0, io.SEEK_END)
                entry.mode = 0o644
                content.seek(0)
                archive.addfile(entry, content)
