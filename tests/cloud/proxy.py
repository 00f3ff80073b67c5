"""An HTTP proxy before a real server, which goes wrong when told to, and keeps a log of the requests it saw."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Fault:
    """Answer `status` in place of the server; or cut its body after `cut` bytes; or stay silent until `silent` is set."""

    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    silent: threading.Event | None = None
    method: str = "GET"


@dataclass
class Proxy:
    """`url` is where clients go; `faults` are used up one a request of their method; `log` holds (method, path)."""

    target: str
    url: str = ""
    faults: deque[Fault] = field(default_factory=deque)
    log: list[tuple[str, str]] = field(default_factory=list)

    def take(self, method: str) -> Fault | None:
        if self.faults and self.faults[0].method == method:
            return self.faults.popleft()
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _forward(self) -> None:
        body = self._body()
        self.proxy.log.append((self.command, self.path))
        fault = self.proxy.take(self.command)
        if fault and fault.silent:
            fault.silent.wait(30)
        if fault and fault.status:
            self._answer(fault.status, fault.headers, fault.body)
            return
        address = urlsplit(self.proxy.target)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
        dropped = ("transfer-encoding", "content-length", "connection", "expect")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        # No length is invented for a request without a body: Azure signs the header.
        if body or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        self._answer(response.status, dict(response.getheaders()), content, cut=fault.cut if fault else None)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        length = headers.pop("Content-Length", None) or headers.pop("content-length", None)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError, ConnectionResetError):  # a client that would not wait
                self.wfile.write(content if cut is None else content[:cut])
        if cut is not None:
            self.wfile.flush()
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

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


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
