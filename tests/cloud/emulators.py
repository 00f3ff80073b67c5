"""Real servers that speak S3 (moto's) and Azure's blob protocol (Azurite), each on a free port, stopped whatever happens."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import TIMEOUT_S
from tests.ports import own_port

AZURITE = "azurite@3"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own account, the same on every machine; it opens nothing else."""


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a running moto server."""
    port = own_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, f"http://127.0.0.1:{port}/moto-api/") as url:
        yield url.removesuffix("/moto-api/")


@contextmanager
def azure_server(folder: Path) -> Iterator[str]:
    """The address of a running Azurite, with its account. Skips the test where there is neither Azurite nor npm."""
    port = own_port()
    command = [
        *_azurite(),
        *("--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)),
        *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
    ]
    with running(command, f"http://127.0.0.1:{port}/{ACCOUNT}") as url:
        yield url


def connection_string(url: str) -> str:
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"


def _azurite() -> list[str]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orcasound-podcast" / "azurite"
    program = cache / "node_modules" / ".bin" / "azurite-blob"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:  # another run of the tests may be installing it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("needs Azurite, and there is no npm to install it with")
            command = [npm, "install", "--prefix", str(cache), "--no-audit", "--no-fund", AZURITE]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"needs Azurite, which npm could not install: {done.stderr.strip().splitlines()[-1:]}")
    return [str(program)]


@contextmanager
def running(command: list[str], health: str) -> Iterator[str]:
    """A process for as long as the block lasts, once `health` answers anything below 500."""
    # A file, not a pipe: a server that writes a line a request would stand still once nobody empties the pipe.
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                if httpx.get(health, timeout=20).status_code < 500:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None:
                complaints.seek(0)
                raise RuntimeError(f"{command[0]} ended: {complaints.read().decode()[-500:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not answer at {health} within {TIMEOUT_S:.0f} s")
            time.sleep(0.05)
        yield health
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        complaints.close()
