"""Addresses in tasks, written by whoever may add a task: nothing of ours is read, asked or told through them.

What is public cannot be reached from here: where a test needs a public host, it declares an address of this machine to be one,
and where it needs names, it gives the resolver.
"""

from __future__ import annotations

import datetime
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from labelstudio.audio import TaskAudio
from labelstudio.client import Server
from labelstudio.cloud import audio_problem
from podcast import storage
from podcast.errors import InputError, PodcastError, StorageError
from podcast.storage import guard
from tests.attacks.web import Web, redirect, say, web
from tests.conftest import TIMEOUT_S
from tests.ports import own_port

KEY = "0123456789abcdef0123456789abcdef01234567"
SECRET = b"what only an account may see"


@pytest.fixture
def elsewhere() -> Iterator[Web]:
    """Another server of this machine: a private host."""
    with web(lambda handler: say(handler, b"private")) as found:
        yield found


@pytest.fixture
def studio(elsewhere: Web) -> Iterator[Web]:
    """What stands in for Label Studio: serves audio, an API, and uploads that send elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        target = {"/data/upload/1/api.wav": "/api/users/", "/data/upload/1/port.wav": f"{elsewhere.url}/"}.get(handler.path)
        if target:
            redirect(handler, target)
        elif handler.path.startswith("/data/"):
            say(handler, b"audio")
        else:
            say(handler, SECRET)

    with web(answer) as found:
        yield found


def audio_of(studio: Web, **more: object) -> TaskAudio:
    return TaskAudio(None, studio.url, lambda: Server(studio.url, KEY), timeout_s=TIMEOUT_S, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        "/data/../api/users/",
        "/data/upload/../../api/users/",
        "/data/upload/%2e%2e/%2E%2e/api/users/",
        "/data/upload/1/..%2f..%2f..%2fapi/users/",
        "/data/upload/1/%252e%252e/%252e%252e/api/users/",
        "/data/upload/1/..\\..\\..\\api\\users",
        "/data/upload//1/a.wav",
        "/data/upload/1/./a.wav",
        "/data/local-files/../../api/users/?d=audio/a.wav",
        "/data/local-files/?d=../../etc/passwd",
        "/data/local-files/?d=audio/a.wav&d=../secret",
        "/data/local-files/?d=/etc/passwd",
        "/data/local-files/?d=audio/%00.wav",
        "/data/local-files/?d=" + "a" * 5000,
        "/data/local-files/",
        "/data/avatars/1.png",
        "/data/",
        "{url}/api/users/",
        "{url}/data/../api/users/",
        "/data/upload/1/a\nb.wav",
        "http://[::1",
        "http://[::1]:port/",
        "https://user@[fe80::1",
        "http://",
        "http://exa mple/",
        "http://a\ud800/",
    ],
)
def test_only_audio_is_asked_for_with_the_key(studio: Web, address: str) -> None:
    with pytest.raises(PodcastError):
        audio_of(studio).open(address.replace("{url}", studio.url))
    assert studio.requests == []


@pytest.mark.parametrize(
    "address", ["/data/upload/1/a b.wav", "/data/local-files/?d=audio/a%2B%25.wav", "{url}/data/upload/1/a.wav"]
)
def test_audio_of_label_studio_is_read_with_the_key(studio: Web, address: str) -> None:
    with audio_of(studio).open(address.replace("{url}", studio.url)) as file:
        assert file.read() == b"audio"
    [(_, headers)] = studio.requests
    assert headers["authorization"] == f"Token {KEY}"


def test_a_redirect_to_label_studio_s_api_is_not_followed(studio: Web) -> None:
    with pytest.raises(InputError, match="serves audio at"):
        audio_of(studio).open("/data/upload/1/api.wav")
    assert studio.paths == ["/data/upload/1/api.wav"]


def test_a_redirect_to_a_private_port_is_not_followed(studio: Web, elsewhere: Web) -> None:
    with pytest.raises(InputError, match="not a public host"):
        audio_of(studio).open("/data/upload/1/port.wav")
    assert elsewhere.requests == []


def test_a_redirect_to_a_cloud_is_followed_without_the_key(studio: Web, elsewhere: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "is_public", lambda _: True)
    with audio_of(studio).open("/data/upload/1/port.wav") as file:
        assert file.read() == b"private"
    [(_, headers)] = elsewhere.requests
    assert "authorization" not in headers
    assert KEY not in str(headers)


def test_a_web_address_does_not_redirect_to_private_hosts(elsewhere: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.2")
    with web(lambda handler: redirect(handler, elsewhere.url), "127.0.0.2") as outside, pytest.raises(InputError, match="public"):
        storage.fetch(outside.url, max_bytes=1000, timeout_s=TIMEOUT_S)
    assert len(outside.requests) == 1
    assert elsewhere.requests == []


def test_the_doctor_asks_as_the_ml_backend_does(studio: Web, elsewhere: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def problem(address: str) -> str:
        return audio_problem(Server(studio.url, KEY), 1, address)

    assert problem(f"{elsewhere.url}/a.wav") == "127.0.0.1 is not a public host"
    assert "not a public host" in problem("/data/upload/1/port.wav")
    assert "serves audio at" in problem("/data/upload/1/api.wav")
    assert "serves audio at" in problem(f"{studio.url}/api/users/")
    assert (elsewhere.requests, studio.paths) == ([], ["/data/upload/1/port.wav", "/data/upload/1/api.wav"])
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.2")
    with web(lambda handler: redirect(handler, elsewhere.url), "127.0.0.2") as outside:
        assert "127.0.0.1 is not a public host" in problem(f"{outside.url}/a.wav")
    assert (len(outside.requests), elsewhere.requests) == (1, [])
    with web(lambda handler: say(handler, b"RI", 206), "127.0.0.2") as outside:
        assert "no Access-Control-Allow-Origin" in problem(f"{outside.url}/a.wav")
    [(_, headers)] = outside.requests
    assert (headers["range"], headers["origin"], "authorization" in headers) == ("bytes=0-1", studio.url, False)
    with web(lambda handler: say(handler, b"RI", 206, Access_Control_Allow_Origin="*"), "127.0.0.2") as outside:
        assert problem(f"{outside.url}/a.wav") == ""
    with web(lambda handler: say(handler, b"whole"), "127.0.0.2") as outside:
        assert "answered with 200, not 206" in problem(f"{outside.url}/a.wav")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.0.0.8"),
        *("::", "::1", "::127.0.0.1", "::ffff:169.254.169.254", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fe80::1", "fc00::1"),
        *("ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1", "fec0::1", "2001:db8::1"),
    ],
)
def test_what_is_not_a_public_host(address: str) -> None:
    assert not guard.is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001::8"]
)
def test_what_is_a_public_host(address: str) -> None:
    assert guard.is_public(address)


def test_every_address_of_a_host_must_be_public() -> None:
    deadline = guard.Deadline("http://two.test/", TIMEOUT_S)
    client = guard.client(deadline, resolve=lambda *_: ["8.8.8.8", "10.0.0.1"])
    with client, pytest.raises(InputError, match=r"two\.test is not a public host"):
        client.get("http://two.test/")


def test_dns_that_answers_twice_reaches_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]]
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.2")
    with web(lambda handler: say(handler, b"checked"), "127.0.0.2", own_port()) as outside:
        with web(lambda handler: say(handler, SECRET), "127.0.0.1", outside.port) as inside:
            deadline = guard.Deadline("http://twice.test/", TIMEOUT_S)
            with guard.client(deadline, resolve=lambda *_: answers.pop(0)) as client:
                assert client.get(f"http://twice.test:{outside.port}/a.wav").content == b"checked"
        [(path, headers)] = outside.requests
    assert (path, headers["host"]) == ("/a.wav", f"twice.test:{outside.port}")
    assert inside.requests == []
    assert len(answers) == 2


def test_tls_asks_for_the_name_at_the_address_that_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "is_public", lambda _: True)
    monkeypatch.setattr(guard, "_tls", lambda: ssl.create_default_context(cafile=str(tmp_path / "cert.pem")))
    _certificate(tmp_path, "named.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    deadline = guard.Deadline("https://named.test/", TIMEOUT_S)
    client = guard.client(deadline, resolve=lambda *_: ["127.0.0.1"])
    with web(lambda handler: say(handler, b"named"), tls=context) as found, client:
        assert client.get(f"https://named.test:{found.port}/").content == b"named"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get(f"https://other.test:{found.port}/")


def test_a_server_that_drips_is_left_at_the_deadline() -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()

    with web(drip) as found:
        home = guard.Home(httpx.URL(found.url), {}, lambda _: None)
        began = time.monotonic()
        try:
            with pytest.raises(StorageError, match=r"not read within the 0\.5 s"):
                storage.fetch(found.url, max_bytes=1000, timeout_s=0.5, home=home)
        finally:
            stop.set()
    assert time.monotonic() - began < TIMEOUT_S  # it drips for ever


def test_compressed_answers_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "is_public", lambda _: True)
    bomb = web(lambda handler: say(handler, b"\x1f\x8b bomb", Content_Encoding="gzip"))
    with bomb as found, pytest.raises(StorageError, match="compressed"):
        storage.fetch(found.url, max_bytes=1000, timeout_s=TIMEOUT_S)
    assert found.requests[0][1]["accept-encoding"] == "identity"


def test_local_files_are_files_below_the_document_root(tmp_path: Path) -> None:
    (tmp_path / "root" / "audio").mkdir(parents=True)
    os.mkfifo(tmp_path / "root" / "audio" / "pipe.wav")
    (tmp_path / "root" / "audio" / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "root" / "audio" / "large.wav").write_bytes(bytes(1001))
    opened = TaskAudio(tmp_path / "root", "http://127.0.0.1:1", lambda: Server("", ""), max_bytes=1000)
    for name, words in {
        "pipe.wav": "not a file",
        "loop.wav": "loop",
        "large.wav": "larger than the 1000 bytes",
        "a" * 300 + ".wav": "cannot be read",
        "": "serves audio at",
    }.items():
        with pytest.raises(PodcastError, match=words):
            opened.open(f"/data/local-files/?d={'audio/' * bool(name)}{name}")


def _certificate(folder: Path, name: str) -> None:
    """A certificate for one host name that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
