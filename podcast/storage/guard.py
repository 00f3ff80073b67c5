"""Web addresses that strangers wrote: connections to public hosts alone, to the very address that was checked, in bounded time.

A name is resolved once a connection; all of its addresses are checked, and the one that is dialled is one of them. TLS and the
`Host` header keep the name. Proxies of the environment are not asked: they would resolve the name themselves (docs/adr/0065).
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from podcast.errors import InputError, StorageError

Resolve = Callable[[str, int], Iterable[str]]
Left = Callable[[], float]

NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24"),
            *(
                "::/96",
                "::ffff:0:0/96",
                "::ffff:0:0:0/96",
                "64:ff9b::/96",
                "64:ff9b:1::/48",
                "2001::/23",
                "2002::/16",
                "fec0::/10",
            ),
        ),
    )
)
"""Networks that Python's `is_global`, depending on its version, calls public: relays, IPv6 networks that lead to an IPv4 address
inside them, and what was private once."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to a host of the open internet."""
    ip = ipaddress.ip_address(address)
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_PUBLIC)


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host. Raises OSError for one that nobody knows."""
    return [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the transfer of `uri` has to be done."""

    uri: str
    timeout_s: float
    began: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds that are left. Raises StorageError if there are none."""
        left = self.began + self.timeout_s - time.monotonic()
        if left <= 0:
            raise StorageError(f"{self.uri}: not read within the {self.timeout_s:g} s that are allowed")
        return left


@dataclass(frozen=True, slots=True)
class Home:
    """A server of this set-up, wherever it stands, which alone gets `headers`; `check` raises InputError for a path of it that
    may not be asked for. That is asked again at each redirect."""

    url: httpx.URL
    headers: Mapping[str, str]
    check: Callable[[str], None]

    def holds(self, url: httpx.URL) -> bool:
        """Whether an address is this server's: the same host and port, or the same host over TLS."""
        if url.host != self.url.host:
            return False
        plain, tls = ("http", 80), ("https", 443)
        ours, theirs = _place(self.url), _place(url)
        return theirs == ours or (ours == plain and theirs == tls)


class Guard(httpx.BaseTransport):
    """Sends requests to public hosts alone, and to `home`, and ends at the deadline, however slowly the other side sends."""

    def __init__(self, deadline: Deadline, home: Home | None = None, resolve: Resolve = resolve) -> None:
        self._home = home
        self._public = _Transport(_Network(deadline.left, lambda host, port: _public(host, resolve(host, port))))
        self._direct = _Transport(_Network(deadline.left, lambda host, _: [host]))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx; called again for each redirect."""
        if self._home is None or not self._home.holds(request.url):
            response = self._public.handle_request(request)
        else:
            self._home.check(request.url.raw_path.decode("ascii"))
            request.headers.update(self._home.headers)
            response = self._direct.handle_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise StorageError(f"{request.url}: comes compressed, which was not asked for")
        return response

    def close(self) -> None:
        """See httpx."""
        self._public.close()
        self._direct.close()


def client(deadline: Deadline, home: Home | None = None, resolve: Resolve = resolve) -> httpx.Client:
    """An HTTP client that reads what strangers' addresses name. Its requests raise InputError for hosts that are not public."""
    return httpx.Client(
        transport=Guard(deadline, home, resolve),
        headers={"Accept-Encoding": "identity"},
        timeout=deadline.timeout_s,
        follow_redirects=True,
        trust_env=False,
    )


def _public(host: str, addresses: Iterable[str]) -> list[str]:
    found = list(addresses)
    for address in found:
        if not is_public(address):
            raise InputError(f"{host} is not a public host")
    return found


def _place(url: httpx.URL) -> tuple[str, int | None]:
    return url.scheme, url.port or {"http": 80, "https": 443}.get(url.scheme)


class _Transport(httpx.HTTPTransport):
    def __init__(self, network: httpcore.NetworkBackend) -> None:
        super().__init__(verify=_tls())
        # httpx has no argument for the network below its connections.
        self._pool = httpcore.ConnectionPool(ssl_context=_tls(), network_backend=network)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


class _Network(httpcore.NetworkBackend):
    """Dials the addresses that `find` gives for a host, each try and each read within what is left of the time."""

    def __init__(self, left: Left, find: Resolve) -> None:
        self._left, self._find, self._inner = left, find, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = list(self._find(host, port))
        except (OSError, UnicodeError) as error:
            if isinstance(error, InputError):
                raise
            raise StorageError(f"the host {host} is not known") from error
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(address, port, self._left(), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Stream(stream, self._left)
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends with the time that is left for all of them."""

    def __init__(self, stream: httpcore.NetworkStream, left: Left) -> None:
        self._stream, self._left = stream, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._left()), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
