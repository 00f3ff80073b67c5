"""`orcahello-v1` alone: weights from a hub over HTTP, their commit and content in the version, then from the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import save

from detectors import load_detector
from detectors.resnet import OrcaHelloNet
from podcast.errors import ServiceError

REPOSITORY = "orcasound/orcahello-srkw-detector-v1"
OLD, NEW = "0123456789" * 4, "abcdef0123" * 4


class Hub(BaseHTTPRequestHandler):
    """What huggingface_hub asks of a hub for one file: where it is, of which commit, and its bytes."""

    main = OLD
    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        _, _, path = self.path.partition(f"/{REPOSITORY}/resolve/")
        revision, _, file = path.partition("/")
        commit = self.main if revision == "main" else revision
        if commit not in self.files or file != "model.safetensors":
            self.send_error(404)
            return
        content = self.files[commit]
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path, kind: type[Hub]) -> Iterator[None]:
    """A hub on this machine, as HF_ENDPOINT and HF_HUB_CACHE would name it to another process; away when the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_the_hub_is_asked_once_and_the_version_says_which_weights_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    state = OrcaHelloNet().state_dict()
    old = save(state)
    state["model.conv1.weight"] += 1
    new = save(state)

    class Both(Hub):
        files = {OLD: old, NEW: new}  # noqa: RUF012
        asked: list[str] = []  # noqa: RUF012

    def version(spec: str) -> str:
        return load_detector(f"{spec},precision=fp32").model_run.version

    first = f"{OLD[:12]}-{hashlib.sha256(old).hexdigest()[:12]}-fp32-0.5"
    with hub(monkeypatch, tmp_path / "one", Both):
        assert version("orcahello-v1") == first
        assert Both.asked
    Both.asked.clear()
    assert version("orcahello-v1") == version(f"orcahello-v1:hub@{OLD}") == first  # the hub is away
    Both.main = NEW
    with hub(monkeypatch, tmp_path / "one", Both):
        assert version("orcahello-v1") == first and not Both.asked  # what this machine began with stays
        assert version(f"orcahello-v1:hub@{NEW}") == f"{NEW[:12]}-{hashlib.sha256(new).hexdigest()[:12]}-fp32-0.5"
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "two"))
        assert version("orcahello-v1").startswith(NEW[:12])
        Both.files = {}
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "three"))
        with pytest.raises(ServiceError, match=f"hf download {REPOSITORY} model.safetensors"):
            load_detector("orcahello-v1")
