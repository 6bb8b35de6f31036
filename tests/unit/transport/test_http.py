"""The channel over real HTTP and HTTPS on loopback: what travels, what is refused, what survives."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import ipaddress
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attested import AT, Counting, Enclave, client_of, echo, findings_of, new_platform
from store_client import FakeClock
from strongroom.base.errors import (
    AppraisalRefused,
    AttesterUnavailable,
    ChannelRefused,
    MalformedMessage,
    Misconfigured,
    StoreUnreachable,
)
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES
from strongroom.channel.client import ClientExchange
from strongroom.channel.messages import MAX_ANSWER_BYTES, MAX_HELLO_BYTES, ClientHello
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import (
    CONTENT_TYPE,
    EXCHANGE_PATH,
    HEALTH_PATH,
    KEYED_PATH,
    MESSAGE_PATH,
    STREAM_PATH,
)
from strongroom.transport.client import AttestedTransport
from strongroom.transport.paths import STREAM_FROM_BYTES
from strongroom.transport.table import ChannelLimits

OVERHEAD = 2048  # more than headers, lengths and padding of one message take


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1; gives certificate and key files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


def post(url: str, path: str, body: bytes) -> httpx2.Response:
    """Post to the outside of a service, as anybody can."""
    with httpx2.Client(trust_env=False) as http:
        return http.post(url + path, content=body, headers={"content-type": CONTENT_TYPE})


# what travels


def test_requests_travel_over_plain_http(enclave) -> None:
    counting = Counting(enclave.service())
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, transport):
        answer = client.put("/some/path%20x?a=1&b=%20", content=b"hello", headers={"X-Thing": "value"})
        assert answer.status_code == 200
        assert answer.content == b"hello"
        assert answer.headers["x-method"] == "PUT"
        assert answer.headers["x-query"] == "a=1&b=%20"
        assert answer.headers["x-echo-x-thing"] == "value"
        assert answer.headers["x-session"] == transport.peer().session.hex()
        assert client.get("/empty").content == b""
        assert client.delete("/x").headers["x-method"] == "DELETE"
    assert counting.paths == [EXCHANGE_PATH] + [MESSAGE_PATH] * 3
    assert enclave.quotes == 1


def test_requests_travel_over_https(enclave, tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls[0])
    outer = httpx2.HTTPTransport(verify=context, trust_env=False)
    with (
        Loopback(enclave.service(), tls=tls) as url,
        client_of(url, enclave.terms(), outer=outer) as (client, transport),
    ):
        assert url.startswith("https://")
        assert client.post("/x", content=b"y" * 100_000).content == b"y" * 100_000
        assert transport.peer().deployment == enclave.deployment


def test_an_outer_certificate_that_nobody_vouches_for_is_refused(enclave, tls) -> None:
    counting = Counting(enclave.service())
    with (
        Loopback(counting, tls=tls) as url,
        client_of(url, enclave.terms()) as (client, _),
        pytest.raises(StoreUnreachable, match="ConnectError"),
    ):
        client.get("/")
    assert counting.arrived == []


def test_channel_state_lives_inside_the_channel(enclave) -> None:
    with Loopback(enclave.service()) as url:
        with client_of(url, enclave.terms()) as (client, _):
            assert [client.get("/count").text for _ in range(3)] == ["1", "2", "3"]
        with client_of(url, enclave.terms()) as (client, _):
            assert client.get("/count").text == "1"


def test_threads_share_one_channel(enclave) -> None:
    with Loopback(enclave.service()) as url, client_of(url, enclave.terms()) as (client, _):

        def ask(number: int) -> bool:
            body = b"%d " % number * 100
            return client.post("/x", content=body).content == body

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(ask, range(200)))
    assert enclave.quotes == 1


def test_nothing_of_a_request_shows_outside(enclave) -> None:
    seen: list[bytes] = []

    async def listening(scope, receive, send):
        async def heard():
            message = await receive()
            seen.append(message.get("body", b""))
            return message

        async def told(message):
            seen.append(message.get("body", b""))
            await send(message)

        await service(scope, heard, told)

    service = enclave.service()
    with Loopback(listening) as url, client_of(url, enclave.terms()) as (client, _):
        client.post("/my-secret-path", content=b"my-secret-body", headers={"x-secret": "my-secret-header"})
    everything = b"".join(seen)
    assert len(everything) > 10_000
    assert b"secret-" not in everything


def test_small_messages_look_alike(enclave) -> None:
    counting = Counting(enclave.service())
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
        for body in (b"", b"a", b"a" * 20):
            client.post("/x", content=body)
    assert len({size for path, size in counting.arrived if path == MESSAGE_PATH}) == 1


# sizes


@pytest.mark.parametrize("size", [STREAM_FROM_BYTES, STREAM_FROM_BYTES + 1, MAX_MESSAGE_BYTES])
def test_a_body_travels_both_ways_as_one_message_or_as_frames(enclave, size: int) -> None:
    body = os.urandom(size)
    counting = Counting(enclave.service())
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.post("/x", content=body).content == body
    assert counting.paths == [EXCHANGE_PATH, MESSAGE_PATH if size <= STREAM_FROM_BYTES else STREAM_PATH]


def test_an_answer_over_the_limit_is_a_failure_inside_for_a_client_that_reads_no_frames(enclave, caplog) -> None:
    def bare(request: httpx2.Request) -> httpx2.Response:
        del request.headers["accept"]
        return inner.handle_request(request)

    inner = httpx2.HTTPTransport(trust_env=False)
    outer = httpx2.MockTransport(bare)
    with Loopback(enclave.service()) as url, client_of(url, enclave.terms(), outer=outer) as (client, _):
        answer = client.get(f"/zeros/{MAX_MESSAGE_BYTES}")
        assert (answer.status_code, answer.content) == (500, b"")
        assert "too large" in caplog.text
        assert client.get("/zeros/5").content == bytes(5)
    inner.close()


@pytest.mark.parametrize(("path", "limit"), [(EXCHANGE_PATH, MAX_HELLO_BYTES), (MESSAGE_PATH, MAX_MESSAGE_BYTES + 64)])
def test_a_service_reads_no_more_than_its_limit(enclave, path: str, limit: int) -> None:
    with Loopback(enclave.service()) as url:
        refused = post(url, path, bytes(limit + 1))
        assert refused.status_code == 400
        assert refused.json()["error"] == "malformed-message"
        assert f"more than {limit} bytes" in refused.json()["message"]


def test_an_endless_answer_is_given_up(enclave) -> None:
    async def endless(scope, receive, send):
        if scope["type"] != "http":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2 * MAX_ANSWER_BYTES // 65536):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with (
        Loopback(endless) as url,
        client_of(url, enclave.terms()) as (client, _),
        pytest.raises(MalformedMessage, match=f"more than {MAX_ANSWER_BYTES} bytes"),
    ):
        client.get("/")


# before the verdict


def test_a_refused_service_gets_the_hello_and_nothing_else(enclave, platform) -> None:
    other = Enclave(platform)
    counting = Counting(other.service())
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
        for _ in range(3):
            with pytest.raises(AppraisalRefused) as refused:
                client.post("/login", content=b"secret" * 1000)
            assert findings_of(refused.value) == [("deployment", "attested-channel 6.4")]
    hello = len(ClientExchange(enclave.terms()).hello)
    assert counting.arrived == [(EXCHANGE_PATH, hello)] * 3


def test_the_elapsed_time_is_measured_by_the_clients_own_clock(enclave) -> None:
    clock = FakeClock()

    async def slow(scope, receive, send):
        clock.seconds += 61.0
        await service(scope, receive, send)

    service = enclave.service()
    with Loopback(slow) as url, client_of(url, enclave.terms(), clock=clock) as (client, _):
        with pytest.raises(AppraisalRefused) as refused:
            client.get("/")
        assert findings_of(refused.value) == [("freshness", "attested-channel 6.3")]


# restarts, ages, other deployments


def test_after_a_restart_the_client_attests_again_by_itself(enclave, platform) -> None:
    first = Loopback(enclave.service())
    with first as url, client_of(url, enclave.terms(pinned=False)) as (client, transport):
        assert client.get("/count").text == "1"
        assert not transport.peer().deployment_pinned
        session = transport.peer().session
        first.__exit__(None, None, None)
        restarted = Enclave(platform, deployment_key=enclave.deployment_key)
        counting = Counting(restarted.service())
        with Loopback(counting, port=int(url.rpartition(":")[2])):
            assert client.get("/count").text == "1"
            assert counting.paths == [MESSAGE_PATH, KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]
            assert transport.peer().session != session
            assert transport.peer().deployment_pinned, "what was seen first stays pinned"
            assert client.get("/count").text == "2"


def test_after_a_restart_another_deployment_is_refused(enclave, platform) -> None:
    first = Loopback(enclave.service())
    with first as url, client_of(url, enclave.terms(pinned=False)) as (client, _):
        client.get("/")
        first.__exit__(None, None, None)
        counting = Counting(Enclave(platform).service())
        with Loopback(counting, port=int(url.rpartition(":")[2])):
            with pytest.raises(AppraisalRefused) as refused:
                client.get("/")
            assert findings_of(refused.value) == [("deployment", "attested-channel 6.4")]
            assert counting.paths == [MESSAGE_PATH, KEYED_PATH, EXCHANGE_PATH]


def test_an_unknown_channel_is_named(enclave) -> None:
    with Loopback(enclave.service()) as url:
        refused = post(url, MESSAGE_PATH, bytes(100))
        assert refused.status_code == 421
        assert refused.json()["error"] == "channel-unknown"


def test_a_service_that_knows_no_channel_at_all_is_asked_twice_and_then_given_up(enclave) -> None:
    service = enclave.service()

    async def forgetful(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == MESSAGE_PATH:
            await send({"type": "http.response.start", "status": 421, "headers": []})
            await send({"type": "http.response.body", "body": b'{"error": "channel-unknown"}'})
            return
        await service(scope, receive, send)

    counting = Counting(forgetful)
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
        with pytest.raises(ChannelRefused):
            client.get("/")
        # what is asked for between the two is the session's resumption, which a service without its first message lacks
        assert counting.paths == [EXCHANGE_PATH, MESSAGE_PATH, KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]


def test_a_liar_about_channels_can_have_a_request_served_twice_and_no_more(enclave) -> None:
    served: list[bytes] = []

    async def application(scope, receive, send):
        served.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    service = enclave.service(application)
    lies = [True]

    async def liar(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == MESSAGE_PATH and lies and lies.pop():

            async def drop(_message):
                pass

            await service(scope, receive, drop)
            await send({"type": "http.response.start", "status": 421, "headers": []})
            await send({"type": "http.response.body", "body": b'{"error": "channel-unknown"}'})
            return
        await service(scope, receive, send)

    with Loopback(liar) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.post("/x", content=b"append").status_code == 200
    assert served == [b"append", b"append"]


def test_a_recorded_request_is_served_once(enclave) -> None:
    recorded: list[bytes] = []
    service = enclave.service()

    async def recording(scope, receive, send):
        async def heard():
            message = await receive()
            recorded.append(message.get("body", b""))
            return message

        await service(scope, heard, send)

    with Loopback(recording) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.get("/count").text == "1"
        message = recorded[-1]
        replayed = post(url, MESSAGE_PATH, message)
        assert (replayed.status_code, replayed.json()["error"]) == (400, "malformed-message")
        altered = message[:-1] + bytes([message[-1] ^ 1])
        assert post(url, MESSAGE_PATH, altered).status_code == 400
        assert post(url, MESSAGE_PATH, message[:30]).status_code == 400
        assert client.get("/count").text == "2"


@pytest.mark.parametrize(
    ("uses", "then", "survives"),
    [([0.0], 900.0, True), ([0.0], 900.1, False), ([float(t) for t in range(0, 3600, 600)], 3600.1, False)],
    ids=["idle", "too idle", "too old"],
)
def test_the_service_forgets_channels_by_its_own_clock(enclave, uses: list[float], then: float, survives: bool) -> None:
    clock = FakeClock()
    with Loopback(enclave.service(clock=clock)) as url, client_of(url, enclave.terms()) as (client, _):
        for clock.seconds in uses:
            client.get("/count")
        clock.seconds = then
        assert client.get("/count").text == (str(len(uses) + 1) if survives else "1")


def test_a_channel_that_the_client_never_used_is_forgotten_after_two_minutes(enclave) -> None:
    clock = FakeClock()
    with Loopback(enclave.service(clock=clock)) as url, client_of(url, enclave.terms()) as (client, transport):
        session = transport.peer().session
        clock.seconds = 120.1
        assert client.get("/count").text == "1"
        assert transport.peer().session != session


def test_the_client_renews_its_channel_when_it_is_old_and_attests_again_when_its_verdict_has_ended(enclave) -> None:
    clock = FakeClock()
    with Loopback(enclave.service(clock=clock)) as url, client_of(url, enclave.terms(), clock=clock) as (_, transport):
        first = transport.peer()
        clock.seconds = 1500.0
        assert transport.peer() is first
        clock.seconds = 1500.1
        second = transport.peer()
        assert second is not first
        clock.instant = AT + dt.timedelta(hours=23)
        assert transport.peer().attested_at_ms > second.attested_at_ms
        assert enclave.quotes == 3


def test_a_full_table_answers_503_and_when_to_come_back(enclave) -> None:
    clock = FakeClock()
    service = enclave.service(clock=clock, limits=ChannelLimits(max_channels=2))
    with Loopback(service) as url:
        hello = ClientExchange(enclave.terms()).hello
        assert [post(url, EXCHANGE_PATH, hello).status_code for _ in range(3)] == [200, 200, 503]
        assert enclave.quotes == 2  # none is spent on a client for whom there is no room
        refused = post(url, EXCHANGE_PATH, hello)
        assert refused.headers["retry-after"] == "120"
        assert refused.json()["error"] == "unavailable"
        with client_of(url, enclave.terms()) as (client, _):
            with pytest.raises(StoreUnreachable, match="503: too many open channels") as unreachable:
                client.get("/")
            assert unreachable.value.retry_after_seconds == 120.0
            clock.seconds = 121.0
            assert client.get("/count").text == "1"


# many clients, one quoting device


def test_clients_that_come_together_share_quotes_and_each_has_its_own_proof(enclave) -> None:
    busy = threading.Event()
    first_quote = threading.Event()

    class Slow:
        kind = "sgx-dcap-3"

        def evidence(self, data: bytes) -> bytes:
            first_quote.set()
            busy.wait(0.3)
            return enclave.evidence(data)

    service = dataclasses.replace(enclave).service()
    service._batcher._attester = Slow()
    clients = 24
    with Loopback(service) as url, ThreadPoolExecutor(clients) as pool:

        def attest(_number: int):
            with client_of(url, enclave.terms()) as (client, transport):
                assert client.post("/x", content=b"x").content == b"x"
                return transport.peer()

        early = pool.submit(attest, 0)
        assert first_quote.wait(5)
        late = list(pool.map(attest, range(clients - 1)))
    peers = [early.result(), *late]
    assert len({peer.session for peer in peers}) == clients
    assert early.result().batch_size == 1
    assert enclave.quotes <= 5
    assert max(peer.batch_size for peer in peers) > 5


def test_a_failing_attester_is_an_outage_and_not_a_verdict(enclave) -> None:
    class Broken:
        kind = "sgx-dcap-3"

        def evidence(self, _data: bytes) -> bytes:
            raise AttesterUnavailable("the quoting device is gone", retry_after_seconds=7.0)

    service = enclave.service()
    service._batcher._attester = Broken()
    with Loopback(service) as url:
        refused = post(url, EXCHANGE_PATH, ClientExchange(enclave.terms()).hello)
        assert (refused.status_code, refused.json()["error"]) == (503, "attester-unavailable")
        assert refused.headers["retry-after"] == "7"
        with client_of(url, enclave.terms()) as (client, _), pytest.raises(StoreUnreachable, match="device is gone"):
            client.get("/")


# bad input and strangers


@pytest.mark.parametrize("hello", [b"", b"\x00", b"\xff" * 100, b"GET / HTTP/1.1", os.urandom(MAX_HELLO_BYTES)])
def test_a_malformed_hello_is_refused_before_any_work(enclave, hello: bytes) -> None:
    with Loopback(enclave.service()) as url:
        refused = post(url, EXCHANGE_PATH, hello)
        assert (refused.status_code, refused.json()["error"]) == (400, "malformed-message")
    assert enclave.quotes == 0


def test_other_paths_and_methods(enclave) -> None:
    with Loopback(enclave.service()) as url, httpx2.Client(trust_env=False) as http:
        assert http.get(url + HEALTH_PATH).json() == {"status": "ok"}
        assert http.head(url + HEALTH_PATH).status_code == 200
        for path in ("/", "/v1/vault/fetch", EXCHANGE_PATH, MESSAGE_PATH):
            assert http.get(url + path).status_code == 404
        assert http.post(url + "/v1/vault/fetch", content=b"x").status_code == 404
        assert http.get(url + HEALTH_PATH).headers["cache-control"] == "no-store"


@contextmanager
def raw_server(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer every connection with the same bytes and close it; notes what came."""
    came: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                received = b""
                while len(received) < 1000:  # headers and a good part of a hello
                    received += connection.recv(65536)
                came.append(received)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", came
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (b"", StoreUnreachable, "RemoteProtocolError"),
        (b"\x00\xff" * 2000, StoreUnreachable, "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nshort", StoreUnreachable, "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", MalformedMessage, "answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", MalformedMessage, "answer"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops", StoreUnreachable, "status 502"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n[]", StoreUnreachable, "status 500"),
        (b"HTTP/1.1 421 No\r\ncontent-length: 2\r\n\r\n{}", StoreUnreachable, "status 421"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 4000\r\n\r\n" + b"[" * 4000, StoreUnreachable, "status 500$"),
        (
            b'HTTP/1.1 500 No\r\ncontent-length: 33\r\n\r\n{"message": "\\u001b[2J all well"}',
            StoreUnreachable,
            r"status 500: \?\[2J all well$",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", StoreUnreachable, "status 204"),
        (b"HTTP/1.1 503 No\r\nretry-after: soon\r\ncontent-length: 2\r\n\r\n{}", StoreUnreachable, "status 503"),
    ],
)
def test_a_server_that_is_no_service(enclave, answer: bytes, error: type[Exception], says: str) -> None:
    with (
        raw_server(answer) as (url, _),
        client_of(url, enclave.terms()) as (client, _),
        pytest.raises(error, match=says),
    ):
        client.get("/")


def test_a_redirect_is_not_followed(enclave) -> None:
    counting = Counting(enclave.service())
    with Loopback(counting) as target:
        for status in (301, 302, 307, 308):
            redirect = b"HTTP/1.1 %d Moved\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % (
                status,
                (target + EXCHANGE_PATH).encode(),
            )
            with (
                raw_server(redirect) as (url, _),
                client_of(url, enclave.terms()) as (client, _),
                pytest.raises(StoreUnreachable, match=f"status {status}"),
            ):
                client.get("/")
    assert counting.arrived == []


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -1])
def test_a_truncated_answer_is_malformed(enclave, cut: int) -> None:
    service = enclave.service()

    async def cutting(scope, receive, send):
        async def shorter(message):
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
                await send({**message, "headers": headers})
            else:
                await send({**message, "body": message["body"][:cut]})

        await service(scope, receive, shorter)

    counting = Counting(cutting)
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
        with pytest.raises(MalformedMessage):
            client.post("/", content=b"secret")
        assert counting.paths == [EXCHANGE_PATH]


def test_nobody_there(enclave) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with client_of(f"http://127.0.0.1:{port}", enclave.terms()) as (client, _), pytest.raises(StoreUnreachable):
        client.get("/")


def test_a_service_that_hangs_is_given_up(enclave) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        client_of(f"http://127.0.0.1:{silent.getsockname()[1]}", enclave.terms(), timeout_seconds=0.2) as (client, _),
        pytest.raises(StoreUnreachable, match="ReadTimeout"),
    ):
        client.get("/")


@pytest.mark.parametrize("url", ["", "store.example.com", "ftp://store.example.com", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_a_setting(enclave, url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        AttestedTransport(url, enclave.terms(), clock=FakeClock())
    assert refused.value.setting == "url"


# the environment is not ours


def test_proxies_of_the_environment_are_ignored(enclave, monkeypatch) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (proxy, came):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with Loopback(enclave.service()) as url, client_of(url, enclave.terms()) as (client, _):
            assert client.post("/x", content=b"direct").content == b"direct"
        assert came == []


KEY_LOG_CLIENT = """
import sys
from datetime import UTC, datetime, timedelta
from strongroom.base.errors import StoreUnreachable
from strongroom.channel.client import ClientTerms
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock
from strongroom.verifier.policy import ANY, AppraisalPolicy

policy = AppraisalPolicy(
    anchors=(), accept_simulated_platform=False, accept_debug_enclaves=False, mr_enclaves=frozenset(), signers=(),
    trust_domains=(), tcb=(), minimum_tcb_evaluation_data_number=0, maximum_collateral_age=ANY,
    expired_collateral_grace=timedelta(0), platforms=ANY, smt_enabled=ANY, dynamic_platform=ANY, cached_keys=ANY,
)
transport = AttestedTransport(sys.argv[1], ClientTerms(policy=policy, deployment=None), clock=SystemClock())
try:
    transport.peer()
except Exception as error:
    print(type(error).__name__)
"""


def test_tls_secrets_are_written_nowhere(enclave, tls, tmp_path) -> None:
    log = tmp_path / "keys.log"
    environment = {"PATH": os.environ["PATH"], "SSLKEYLOGFILE": str(log), "SSL_CERT_FILE": str(tls[0])}
    counting = Counting(enclave.service())
    with Loopback(counting, tls=tls) as url:
        done = subprocess.run(
            [sys.executable, "-c", KEY_LOG_CLIENT, url], env=environment, capture_output=True, text=True, check=True
        )
    assert counting.paths == [EXCHANGE_PATH], "the handshake was completed"
    assert done.stdout == "AppraisalRefused\n"
    assert not log.exists()


# failures inside


def test_a_failing_application_is_a_sealed_500_and_the_log_tells_the_fact_alone(enclave, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        counting = Counting(enclave.service())
        with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
            answer = client.post("/fail", content=b"PIN 4711")
            assert (answer.status_code, answer.content) == (500, b"")
            assert client.get("/count").text == "1"
    of_the_service = [record for record in caplog.records if record.name.startswith(("strongroom", "uvicorn"))]
    logged = "\n".join(logging.Formatter().format(record) for record in of_the_service)
    assert "the application failed" in logged
    assert not re.search("4711|/fail|the record says|Traceback", logged)


def test_start_up_and_shutdown_go_to_the_application(enclave) -> None:
    events: list[str] = []

    async def application(scope, receive, send):
        if scope["type"] != "lifespan":
            await echo(scope, receive, send)
            return
        while True:
            message = await receive()
            events.append(message["type"])
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    with Loopback(enclave.service(application)) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.get("/").status_code == 200
    assert events == ["lifespan.startup", "lifespan.shutdown"]


def test_a_websocket_is_closed_and_a_request_that_breaks_off_is_malformed(enclave) -> None:
    service = enclave.service()

    async def call(scope: dict, *messages: dict) -> list[dict]:
        sent: list[dict] = []
        coming = iter(messages)

        async def receive() -> dict:
            return next(coming)

        async def send(message: dict) -> None:
            sent.append(message)

        await service(scope, receive, send)
        return sent

    assert asyncio.run(call({"type": "websocket"})) == [{"type": "websocket.close", "code": 1003}]
    broken = call(
        {"type": "http", "method": "POST", "path": EXCHANGE_PATH},
        {"type": "http.request", "body": b"\xa7", "more_body": True},
        {"type": "http.disconnect"},
    )
    start, body = asyncio.run(broken)
    assert start["status"] == 400
    assert b"ended early" in body["body"]
    assert enclave.quotes == 0


def test_a_client_keeps_few_sets_of_collateral_and_names_those_it_keeps(enclave) -> None:
    clock = FakeClock()
    hellos: list[ClientHello] = []

    async def reading(scope, receive, send):
        async def heard():
            message = await receive()
            if scope.get("path") == EXCHANGE_PATH:
                hellos.append(ClientHello.from_bytes(message["body"]))
            return message

        await service(scope, heard, send)

    service = enclave.service(clock=clock)
    with Loopback(reading) as url, client_of(url, enclave.terms(), clock=clock) as (_, transport):
        for day in range(7):
            clock.instant = AT + dt.timedelta(days=day)
            transport.peer()
    assert [len(hello.known_collateral) for hello in hellos] == [0, 1, 2, 3, 4, 4, 4]
