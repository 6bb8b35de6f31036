from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.base.errors import CollateralUnavailable, MalformedCollateral, Misconfigured
from strongroom.collateral.fetching import Answer, Fetcher, check_address, tls_context
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.testing.loopback import Loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with each connection whatever the test wants, below HTTP."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=handle, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(4096)
                answer(connection)
            except OSError:
                return

    acceptor = threading.Thread(target=serve, daemon=True)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)


def get(url: str, *, seconds: float = 5.0, max_bytes: int = 1000) -> Answer:
    with Fetcher(tls=tls_context(), seconds=seconds) as fetcher:
        return fetcher.get(url, resource="the thing", max_bytes=max_bytes, at=AT)


def saying(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def answer_with(status: str, *headers: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return saying("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def test_an_answer_comes_with_its_headers() -> None:
    with raw_server(answer_with("200 OK", "X-One: 1", "x-two: a", "X-Two: b", body=b"hello")) as url:
        answer = get(url)
    assert answer.body == b"hello"
    assert answer.header("X-ONE") == b"1"
    assert answer.header("x-none", "x-one") == b"1"
    assert answer.header("x-two") is None  # two values that differ
    assert answer.header("x-none") is None


def test_the_request_says_little() -> None:
    seen = []

    def record(connection: socket.socket) -> None:
        answer_with("200 OK")(connection)

    async def application(scope: dict[str, object], receive: object, send: object) -> None:
        seen.append(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    with Loopback(application) as url:
        get(f"{url}/x")
    names = {name for name, _ in seen[0]}  # type: ignore[attr-defined]
    assert names == {b"host", b"accept", b"accept-encoding", b"user-agent"}


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "keys"
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    with raw_server(answer_with("200 OK", body=b"direct")) as url:
        assert get(url).body == b"direct"
    assert tls_context().keylog_filename is None
    assert not log.exists()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("302 Found", "sends us elsewhere, where we do not go"),
        ("307 Temporary Redirect", "sends us elsewhere"),
        ("400 Bad Request", "calls the request invalid"),
        ("401 Unauthorized", "wants a subscription"),
        ("404 Not Found", "does not know it"),
        ("410 Gone", "has withdrawn it"),
        ("429 Too Many Requests", "too many requests"),
        ("461 Unknown", "refused"),
        ("500 Internal Server Error", "the service failed"),
        ("503 Service Unavailable", "the service failed"),
        ("206 Partial Content", "refused"),
    ],
)
def test_other_statuses_are_told_apart(status: str, said: str) -> None:
    with raw_server(answer_with(status, "Location: http://127.0.0.1:9/", "Request-ID: abc-1<2>\x7f")) as url:  # noqa: SIM117
        with pytest.raises(ResourceUnavailable, match=said) as refused:
            get(url)
    assert f"status {status[:3]}" in refused.value.message
    assert refused.value.resource == "the thing"
    assert refused.value.request_id == "abc-12"
    assert refused.value.retry_after_seconds is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", 86400.0),
        ((AT + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90.0),
        ((AT - timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("Mon, 01 Jun 2026 12:00:00", None),
        ("Mon, 99 Jun 99999999999 12:00:00 GMT", None),
    ],
)
def test_retry_after_in_both_of_its_forms(value: str, seconds: float | None) -> None:
    with raw_server(answer_with("429 Too Many Requests", f"Retry-After: {value}")) as url:  # noqa: SIM117
        with pytest.raises(CollateralUnavailable) as refused:
            get(url)
    assert refused.value.retry_after_seconds == seconds


def test_a_body_that_is_too_large_is_not_taken() -> None:
    with raw_server(answer_with("200 OK", body=bytes(1001))) as url:  # noqa: SIM117
        with pytest.raises(MalformedCollateral, match="more than 1000 bytes"):
            get(url)
    with raw_server(answer_with("200 OK", body=bytes(1000))) as url:
        assert len(get(url).body) == 1000


def test_a_body_without_end_is_left() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"100\r\n" + bytes(256) + b"\r\n")

    with raw_server(endless) as url, pytest.raises(MalformedCollateral, match="more than"):
        get(url)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        bytes(range(256)),
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
    ],
    ids=["nothing", "cut head", "cut body", "length", "chunk", "ssh", "noise", "long header", "many headers"],
)
def test_what_is_no_answer(data: bytes) -> None:
    with raw_server(saying(data)) as url:  # noqa: SIM117
        with pytest.raises(ResourceUnavailable, match="the thing: the connection failed"):
            get(url)


def test_headers_are_bounded() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X: %s\r\n" % (b"a" * 8000) * 9 + b"\r\n"
    with raw_server(saying(head)) as url, pytest.raises(MalformedCollateral, match="bytes of headers"):
        get(url)


def _drip(head: bytes) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            time.sleep(0.05)
            connection.sendall(b"a")

    return drip


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["in the head", "in the body", "after an interim answer"],
)
def test_the_time_is_bounded_as_a_whole(head: bytes) -> None:
    """Each byte arrives in time, and all of them together would take ten seconds."""
    with raw_server(_drip(head)) as url:
        started = time.monotonic()
        with pytest.raises(ResourceUnavailable, match=r"within 0\.4 seconds"):
            get(url, seconds=0.4)
        assert time.monotonic() - started < 3


def test_silence_is_bounded() -> None:
    with raw_server(lambda _: time.sleep(1.5)) as url, pytest.raises(ResourceUnavailable, match="within"):
        get(url, seconds=0.3)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ResourceUnavailable, match="the connection failed"):
        get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "host.invalid"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(CollateralUnavailable):
        get(f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pccs.example",
        "ftp://pccs.example",
        "https://",
        "https://user:secret@pccs.example",
        "https://pccs.example/?a=1",
        "https://pccs.example/#a",
        "https://pccs.example:99999",
        "https://pccs.example:0",
        "http://[::1",
        "http://pccs.\N{SNOWMAN}example",
        "https://pccs.example/a b",
        "https://pccs.example/a\r\nX: 1",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Misconfigured):
        check_address(url)


def test_an_address_loses_its_last_slash() -> None:
    assert check_address("https://pccs.example:8081/") == "https://pccs.example:8081"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "pccs")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (directory / "chain.pem").write_bytes(built.public_bytes(Encoding.PEM))
    (directory / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return directory / "chain.pem", directory / "key.pem"


async def _hello(scope: dict[str, object], receive: object, send: object) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"hello"})  # type: ignore[operator]


def test_tls_is_checked_against_the_cas_that_were_given(certificate: tuple[Path, Path]) -> None:
    with Loopback(_hello, tls=certificate) as url:
        with pytest.raises(ResourceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            get(url)
        trusting = tls_context(certificate[0].read_bytes())
        with Fetcher(tls=trusting) as fetcher:
            assert fetcher.get(url, resource="x", max_bytes=9, at=AT).body == b"hello"
            with pytest.raises(ResourceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                fetcher.get(url.replace("127.0.0.1", "localhost"), resource="x", max_bytes=9, at=AT)


def test_a_tls_handshake_that_drags_on_is_left() -> None:
    with raw_server(_drip(b"\x16\x03\x03\x40\x00")) as url:  # noqa: SIM117
        with pytest.raises(ResourceUnavailable):
            get(url.replace("http:", "https:"), seconds=0.5)


@pytest.mark.parametrize("data", [b"", b"no certificate", b"\xff"])
def test_what_are_no_cas(data: bytes) -> None:
    with pytest.raises(Misconfigured):
        tls_context(data)


def test_only_modern_tls() -> None:
    assert tls_context().minimum_version >= ssl.TLSVersion.TLSv1_2
