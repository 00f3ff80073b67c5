"""An HTTP proxy before a real server, which goes wrong when told to, and keeps a log of the requests it saw."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.conftest import TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Hold:
    """A request stands still, which `reached` tells, until `release`."""

    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls a request of this `method` whose address holds `path`; every such request if it is `lasting`.

    Answer `status` in place of the server; or cut its body after `cut` bytes; and `hold` the request, or, where the server has
    `answered`, its answer.
    """

    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: Hold | None = None
    answered: bool = False
    method: str = "GET"
    path: str = ""
    lasting: bool = False


@dataclass
class Proxy:
    """`url` is where clients go; a request gets the first of the `faults` that is meant for it; `log` holds (method, path)."""

    target: str
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str) -> Fault:
        with self._lock:
            self.log.append((method, path))
            for fault in self.faults:
                if fault.method == method and fault.path in path:
                    if not fault.lasting:
                        self.faults.remove(fault)
                    return fault
        return Fault()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _forward(self) -> None:
        body = self._body()
        fault = self.proxy.take(self.command, self.path)
        if not fault.answered:
            _wait(fault.hold)
        if fault.status:
            self._answer(fault.status, dict(fault.headers), fault.body)
            return
        address = urlsplit(self.proxy.target)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT_S)
        dropped = ("transfer-encoding", "content-length", "connection", "expect")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        # No length is invented for a request without a body: Azure signs the header.
        if body or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if fault.answered:
            _wait(fault.hold)
        self._answer(response.status, dict(response.getheaders()), content, cut=fault.cut)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: int | None = None) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that would not wait, or was killed
            self.send_response_only(status)
            length = headers.pop("Content-Length", None) or headers.pop("content-length", None)
            for name, value in headers.items():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content if cut is None else content[:cut])
        if cut is not None:
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    do_GET = do_PUT = do_POST = do_PATCH = do_HEAD = do_DELETE = _forward  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _wait(hold: Hold | None) -> None:
    if hold:
        hold.reached.set()
        hold.release.wait(TIMEOUT_S)


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    state = Proxy(target)
    handler = type("Handler", (_Handler,), {"proxy": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
