"""The forwarder: what passes, what does not, what a browser may not do, and what a program is told when it fails."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from attested import Counting, Enclave, new_platform, policy
from running import free_port
from store_client import FakeClock
from strongroom.base.errors import AppraisalRefused, ChannelRefused, MalformedMessage, Misconfigured, StoreUnreachable
from strongroom.base.findings import Check, Finding
from strongroom.testing.loopback import Loopback
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.forward import MARK, Forwarder
from strongroom.transport.local_sockets import host_names, loopback_socket, private_socket

SERVICE = "https://vault.example:8443"
LOCAL = frozenset({"127.0.0.1:7800", "localhost:7800", "[::1]:7800"})
HOST = (b"host", b"127.0.0.1:7800")


class Pieces(httpx2.AsyncByteStream):
    """An answer's body in pieces; the last may be an error to raise."""

    def __init__(self, pieces: list[bytes | Exception], waiting: asyncio.Event | None = None) -> None:
        self._pieces = pieces
        self._waiting = waiting
        self.closed = False

    async def __aiter__(self):
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece
        if self._waiting is not None:
            await self._waiting.wait()

    async def aclose(self) -> None:
        self.closed = True


class Service(httpx2.AsyncBaseTransport):
    """Answers by a function, and keeps what arrived."""

    def __init__(self, answer: Callable[[], httpx2.Response]) -> None:
        self._answer = answer
        self.requests: list[httpx2.Request] = []
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.bodies.append(await request.aread())
        return self._answer()

    @property
    def headers(self) -> dict[bytes, bytes]:
        return {name.lower(): value for name, value in self.requests[-1].headers.raw}


def ok() -> httpx2.Response:
    return httpx2.Response(200, headers=[("content-type", "text/plain")], content=b"fine")


def refused() -> httpx2.Response:
    finding = Finding(check=Check.MEASUREMENT, message="other code", section="appraisal 6.2", expected="a", actual="b")
    raise AppraisalRefused([finding])


def forwarded(
    service: Service,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    path: bytes = b"/",
    query: bytes = b"",
    body: list[bytes] | None = None,
    hosts: frozenset[str] | None = LOCAL,
) -> list[dict[str, Any]]:
    """Put one request to a forwarder; gives what it sends."""
    sent: list[dict[str, Any]] = []
    chunks = list(body or [])

    async def receive() -> dict[str, Any]:
        if chunks:
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}
        if body:
            await asyncio.Event().wait()
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "raw_path": path, "query_string": query, "headers": [HOST, *headers],
    }  # fmt: skip
    if any(name == b"host" for name, _ in headers):
        scope["headers"] = list(headers)
    asyncio.run(Forwarder(service, service=SERVICE, hosts=hosts)(scope, receive, send))
    return sent


def status_and_json(sent: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    response = httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])
    assert response.headers["content-type"] == "application/json"
    assert response.headers[MARK.decode()] == response.json()["error"]
    return response.status_code, response.json()


def test_a_request_is_asked_of_the_service_and_of_nobody_else() -> None:
    service = Service(ok)
    sent = forwarded(service, (b"X-One", b"1"), path=b"/a%2fb", query=b"q=%20x")
    assert str(service.requests[0].url) == "https://vault.example:8443/a%2fb?q=%20x"
    assert service.headers == {b"x-one": b"1"}
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent[1:]) == b"fine"
    assert not sent[-1].get("more_body", False)


def test_on_a_unix_socket_a_name_in_the_host_header_changes_nothing() -> None:
    service = Service(ok)
    forwarded(service, (b"host", b"elsewhere.example"), (b"origin", b"https://x.example"), hosts=None)
    assert service.requests[0].url.host == "vault.example"
    assert service.headers == {b"origin": b"https://x.example"}


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example")],
        [(b"host", b"evil.example:7800")],
        [(b"host", b"127.0.0.1:7801")],
        [(b"host", b"127.0.0.1")],
        [(b"host", b"127.0.0.1:7800"), (b"host", b"evil.example")],
        [(b"origin", b"https://evil.example")],
        [(b"origin", b"http://localhost:3000")],
        [(b"origin", b"https://127.0.0.1:7800")],
        [(b"origin", b"null")],
        [(b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"same-site")],
    ],
)
def test_what_another_sites_page_makes_a_browser_send_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    service = Service(ok)
    status, body = status_and_json(forwarded(service, *headers))
    assert (status, body["error"]) == (403, "denied")
    assert not service.requests


def test_without_a_host_nothing_is_forwarded() -> None:
    service = Service(ok)
    sent = forwarded(service, (b"host", b""))
    assert status_and_json(sent)[0] == 403


@pytest.mark.parametrize("site", [b"same-origin", b"none"])
def test_a_page_that_came_through_the_forwarder_may_ask(site: bytes) -> None:
    service = Service(ok)
    sent = forwarded(service, (b"Origin", b"http://LOCALHOST:7800"), (b"sec-fetch-site", site))
    assert sent[0]["status"] == 200
    assert service.headers[b"origin"] == b"https://vault.example:8443"


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_methods_that_concern_the_way_are_not_forwarded(method: str) -> None:
    service = Service(ok)
    assert status_and_json(forwarded(service, method=method))[0] == 403
    assert not service.requests


@pytest.mark.parametrize("path", [b"\xff", b"/" + b"a" * 70_000])
def test_a_path_that_is_none_is_malformed(path: bytes) -> None:
    assert status_and_json(forwarded(Service(ok), path=path))[0] == 400


def test_headers_of_one_connection_stay_on_it() -> None:
    service = Service(lambda: httpx2.Response(200, headers=answer, content=b""))
    answer = [
        (b"Connection", b"X-Private, close"), (b"X-Private", b"1"), (b"Keep-Alive", b"timeout=5"),
        (b"Upgrade", b"h2c"), (b"X-Kept", b"1"), (MARK, b"a lie"),
    ]  # fmt: skip
    sent = forwarded(
        service,
        (b"connection", b"x-mine, Content-Length"), (b"x-mine", b"1"), (b"te", b"trailers"), (b"expect", b"x"),
        (b"proxy-authorization", b"secret"), (b"proxy-connection", b"keep-alive"), (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"), (b"http2-settings", b"x"), (b"authorization", b"kept"), (b"content-length", b"3"),
        method="POST", body=[b"abc"],
    )  # fmt: skip
    assert service.headers == {b"authorization": b"kept", b"content-length": b"3"}
    assert service.bodies == [b"abc"]
    names = [name for name, _ in sent[0]["headers"]]
    assert names.count(b"x-kept") == 1
    assert not {b"connection", b"x-private", b"keep-alive", b"upgrade", MARK} & set(names)


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        (b"https://vault.example:8443/there?q", b"/there?q"),
        (b"HTTPS://Vault.Example:8443", b"/"),
        (b"http://vault.example:8443?q", b"/?q"),
        (b"https://vault.example:8443.evil.example/", b"https://vault.example:8443.evil.example/"),
        (b"https://other.example/x", b"https://other.example/x"),
        (b"/there", b"/there"),
    ],
)
def test_a_redirection_within_the_service_stays_in_the_channel(location: bytes, seen: bytes) -> None:
    sent = forwarded(Service(lambda: httpx2.Response(302, headers=[(b"location", location)], content=b"")))
    assert dict(sent[0]["headers"])[b"location"] == seen


def test_a_refusal_names_every_finding() -> None:
    status, body = status_and_json(forwarded(Service(refused)))
    assert (status, body["error"]) == (502, "appraisal-refused")
    assert body["findings"] == [
        {"check": "measurement", "message": "other code", "section": "appraisal 6.2", "expected": "a", "actual": "b"}
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnreachable("nobody there", retry_after_seconds=7.5, hint="wait"), 503),
        (ChannelRefused("unknown"), 503),
        (MalformedMessage("not an answer", path="request"), 502),
    ],
)
def test_other_failures_are_told_by_family(error: Exception, status: int) -> None:
    def fail() -> httpx2.Response:
        raise error

    sent = forwarded(Service(fail))
    assert status_and_json(sent)[0] == status
    assert dict(sent[0]["headers"]).get(b"retry-after") == (b"7" if isinstance(error, StoreUnreachable) else None)


def test_an_answer_that_breaks_off_is_never_ended() -> None:
    stream = Pieces([b"half", MalformedMessage("cut off", path="answer")])
    sent = forwarded(Service(lambda: httpx2.Response(200, stream=stream)))
    assert [message.get("body") for message in sent[1:]] == [b"half"]
    assert sent[-1]["more_body"]
    assert stream.closed


def test_a_program_that_leaves_frees_the_service() -> None:
    stream = Pieces([b"first"], waiting=asyncio.Event())
    sent = []

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [HOST]}
        forwarder = Forwarder(Service(lambda: httpx2.Response(200, stream=stream)), service=SERVICE, hosts=LOCAL)
        await asyncio.wait_for(forwarder(scope, receive, send), 5)

    asyncio.run(run())
    assert stream.closed
    assert sent[-1]["more_body"]


def test_a_program_that_leaves_within_its_request_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Any] = []

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [HOST, (b"content-length", b"5")]
        scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b"", "headers": headers}
        await Forwarder(Service(ok), service=SERVICE, hosts=LOCAL)(scope, receive, send)

    asyncio.run(run())
    assert sent == []
    assert not caplog.records


# --- the whole way: program, forwarder, channel, service ---


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


@contextmanager
def forwarding(url: str, enclave: Enclave, **changes: Any) -> Iterator[str]:
    port = free_port()
    clock = changes.pop("clock", FakeClock())
    transport = AsyncAttestedTransport(url, enclave.terms(**changes), clock=clock, timeout_seconds=10)
    hosts = frozenset({f"127.0.0.1:{port}"})
    with Loopback(Forwarder(transport, service=url, hosts=hosts), port=port) as local:
        yield local


def test_plain_http_becomes_requests_in_one_attested_channel(enclave: Enclave) -> None:
    counting = Counting(enclave.service())
    with Loopback(counting) as url, forwarding(url, enclave) as local, httpx2.Client(trust_env=False) as program:
        answers = [
            program.post(f"{local}/x?q=1", content=b"the body", headers={"x-a": "b"}, timeout=30) for _ in range(3)
        ]
        assert [answer.content for answer in answers] == [b"the body"] * 3
        assert answers[0].headers["x-query"] == "q=1"
        assert answers[0].headers["x-echo-x-a"] == "b"
        assert len({answer.headers["x-session"] for answer in answers}) == 1
        assert program.head(f"{local}/").content == b""
    assert enclave.quotes == 1
    assert counting.paths[0] == "/strongroom/v1/exchange"


def test_large_bodies_pass_both_ways_in_pieces(enclave: Enclave) -> None:
    content = os.urandom(3_000_000)
    with (
        Loopback(enclave.service()) as url,
        forwarding(url, enclave) as local,
        httpx2.Client(trust_env=False) as program,
    ):
        whole = program.post(f"{local}/", content=content, timeout=30)
        assert whole.content == content
        pieces = (content[at : at + 100_000] for at in range(0, len(content), 100_000))
        assert program.post(f"{local}/", content=pieces, timeout=30).content == content
        assert program.get(f"{local}/zeros/5000000", timeout=30).content == bytes(5_000_000)


def test_the_first_bytes_of_an_answer_pass_before_its_end(enclave: Enclave) -> None:
    released = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def slowly(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await released.wait()
        await send({"type": "http.response.body", "body": b"last"})

    with (
        Loopback(enclave.service(slowly)) as url,
        forwarding(url, enclave) as local,
        httpx2.Client(trust_env=False) as program,
        program.stream("GET", f"{local}/", timeout=30) as answer,
    ):
        pieces = answer.iter_raw()
        assert next(pieces) == b"first"
        loops[0].call_soon_threadsafe(released.set)
        assert b"".join(pieces) == b"last"


def test_nothing_is_forwarded_to_code_that_is_not_accepted(enclave: Enclave, platform) -> None:
    counting = Counting(enclave.service())
    other = policy(platform, mr_enclaves=frozenset({b"o" * 32}))
    with (
        Loopback(counting) as url,
        forwarding(url, enclave, policy=other) as local,
        httpx2.Client(trust_env=False) as program,
    ):
        answer = program.post(f"{local}/secret", content=b"the secret", timeout=30)
    assert answer.status_code == 502
    assert [finding["check"] for finding in answer.json()["findings"]] == ["measurement"]
    assert counting.paths == ["/strongroom/v1/exchange"]


def test_a_service_that_was_restarted_proves_itself_again(enclave: Enclave) -> None:
    port = free_port()
    with (
        forwarding(f"http://127.0.0.1:{port}", enclave) as local,
        httpx2.Client(trust_env=False, timeout=30) as program,
    ):
        down = program.get(f"{local}/")
        assert (down.status_code, down.json()["error"]) == (503, "store-unreachable")
        with Loopback(enclave.service(), port=port):
            assert program.get(f"{local}/").status_code == 200
        assert enclave.quotes == 1
        with Loopback(enclave.service(), port=port):
            assert program.get(f"{local}/").status_code == 200
        assert enclave.quotes == 2
        changed = Enclave(enclave.platform)  # another deployment takes the address
        with Loopback(changed.service(), port=port):
            answer = program.get(f"{local}/")
        assert answer.status_code == 502
        assert "deployment" in [finding["check"] for finding in answer.json()["findings"]]


def test_an_application_that_fails_is_the_services_own_answer(enclave: Enclave) -> None:
    with (
        Loopback(enclave.service()) as url,
        forwarding(url, enclave) as local,
        httpx2.Client(trust_env=False) as program,
    ):
        answer = program.get(f"{local}/fail", timeout=30)
    assert answer.status_code == 500
    assert MARK.decode() not in answer.headers


def test_websockets_are_not_forwarded_and_shutting_down_closes_the_transport() -> None:
    sent: list[Any] = []
    closed: list[bool] = []
    coming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    class Closing(Service):
        async def aclose(self) -> None:
            closed.append(True)

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    forwarder = Forwarder(Closing(ok), service=SERVICE, hosts=None)
    asyncio.run(forwarder({"type": "websocket"}, receive, send))
    assert sent == []
    asyncio.run(forwarder({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == [True]


# --- where it listens ---


@pytest.mark.parametrize(
    "listen",
    [
        "0.0.0.0:0", "[::]:0", "192.0.2.1:80", "vault.example:80", "::ffff:127.0.0.1:0", "127.0.0.1", ":7800",
        "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:\N{SUPERSCRIPT TWO}", "",
    ],
)  # fmt: skip
def test_only_loopback_is_listened_on(listen: str) -> None:
    with pytest.raises(Misconfigured):
        loopback_socket(listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "127.1.2.3:0"])
def test_loopback_is_listened_on(listen: str) -> None:
    with loopback_socket(listen) as listening:
        host, port = listening.getsockname()
        assert f"{host}:{port}" in host_names(listening)
        assert f"localhost:{port}" in host_names(listening)
        with pytest.raises(Misconfigured, match="cannot listen"):
            loopback_socket(f"{host}:{port}")


def test_a_socket_is_its_owners_alone(tmp_path) -> None:
    path = tmp_path / "socket"
    mask = os.umask(0)
    try:
        with private_socket(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with pytest.raises(Misconfigured, match="something listens"):
                private_socket(path)
    finally:
        os.umask(mask)
    with private_socket(path), socket.socket(socket.AF_UNIX) as client:  # nobody listened on it any more
        client.connect(str(path))


def test_what_is_no_socket_is_left_alone(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"precious")
    with pytest.raises(Misconfigured, match="no socket"):
        private_socket(path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(Misconfigured, match="cannot listen"):
        private_socket(tmp_path / "missing" / "socket")
    with pytest.raises(Misconfigured, match="cannot look"):
        private_socket(path / "below")
