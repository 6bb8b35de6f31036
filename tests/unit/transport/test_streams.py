"""Streamed bodies over real HTTP: any size in constant memory, both ways, and nothing half taken for whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from attested import AT, Enclave, body_of, client_of, new_platform
from store_client import FakeClock
from strongroom.base.errors import ChannelRefused, MalformedMessage, StoreUnreachable
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES, BinaryRequest
from strongroom.channel.client import ClientExchange
from strongroom.channel.stream import CHUNK_BYTES
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH
from strongroom.transport.outer import HEADERS
from strongroom.transport.paths import STREAM_TYPE
from strongroom.transport.table import ChannelLimits

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


class Application:
    """``POST`` hashes what it reads, piece by piece; ``GET /N`` gives N MiB in pieces of 256 KiB."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.outcome: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "POST":
            await self._hash(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"stream")]})
        for _ in range(int(scope["path"][1:]) * 4):
            await send({"type": "http.response.body", "body": bytes(MIB // 4), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _hash(self, receive, send) -> None:
        state = hashlib.sha256()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                self.outcome.append("broke off")
                return
            self.pieces.append(len(message["body"]))
            state.update(message["body"])
            if not message["more_body"]:
                break
        self.outcome.append("whole")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": state.hexdigest().encode()})


def pieces(count: int, size: int = 100_000) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size


# what travels


def test_a_body_from_an_iterator_arrives_in_pieces(enclave) -> None:
    application = Application()
    with Loopback(enclave.service(application)) as url, client_of(url, enclave.terms()) as (client, _):
        answer = client.post("/", content=pieces(30))
        assert answer.text == hashlib.sha256(b"".join(pieces(30))).hexdigest()
    assert application.outcome == ["whole"]
    assert max(application.pieces) <= CHUNK_BYTES


def test_a_file_and_an_empty_iterator_are_bodies_too(enclave, tmp_path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(3 * MIB + 1))
    with Loopback(enclave.service(Application())) as url, client_of(url, enclave.terms()) as (client, _):
        with (tmp_path / "file").open("rb") as file:
            answer = client.post("/", content=file)
        assert answer.text == hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()
        assert client.post("/", content=iter(())).text == hashlib.sha256(b"").hexdigest()


def test_an_answer_in_pieces_can_be_read_as_it_comes(enclave) -> None:
    with Loopback(enclave.service(Application())) as url, client_of(url, enclave.terms()) as (client, _):
        with client.stream("GET", "/8") as answer:
            assert (answer.status_code, answer.headers["x-kind"]) == (200, "stream")
            assert sum(len(piece) for piece in answer.iter_bytes()) == 8 * MIB
        assert client.get("/1").content == bytes(MIB)
        assert client.get("/0").content == b""


def test_a_streaming_response_of_starlette_is_streamed_and_each_piece_arrives_at_once(enclave) -> None:
    go_on = threading.Event()

    async def events() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.to_thread(go_on.wait, 10)
        yield b"second"

    application = Starlette(routes=[Route("/", lambda _: StreamingResponse(events()))])
    with (
        Loopback(enclave.service(application)) as url,
        client_of(url, enclave.terms()) as (client, _),
        client.stream("GET", "/") as answer,
    ):
        raw = answer.iter_raw()
        assert next(raw) == b"first"
        go_on.set()
        assert list(raw) == [b"second"]


def test_a_client_that_stops_reading_half_way_hurts_nobody(enclave) -> None:
    with Loopback(enclave.service(Application())) as url, client_of(url, enclave.terms()) as (client, _):
        with client.stream("GET", "/50") as answer:
            next(answer.iter_bytes())
        assert client.get("/1").content == bytes(MIB)


def test_an_application_that_does_not_read_slows_its_client_down(enclave) -> None:
    sent: list[int] = []
    looked: list[int] = []

    async def slow(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await asyncio.sleep(0.5)
        looked.append(len(sent))
        await body_of(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    def counted() -> Iterator[bytes]:
        for piece in pieces(400):
            sent.append(len(piece))
            yield piece

    service = enclave.service(slow, limits=ChannelLimits(max_body_bytes=None))
    with Loopback(service) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.post("/", content=counted()).text == "done"
    assert looked[0] < 200, "what the sockets hold, and no more"
    assert len(sent) == 400


def test_a_service_that_was_not_told_otherwise_takes_no_body_over_the_limit_of_a_message(enclave, caplog) -> None:
    application = Application()
    service = enclave.service(application, limits=ChannelLimits(max_body_bytes=1_000_000))
    with Loopback(service) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.post("/", content=pieces(10)).status_code == 200
        with pytest.raises(MalformedMessage, match="more than 1000000 bytes"):
            client.post("/", content=pieces(11))
        assert client.post("/", content=b"x").status_code == 200
    assert application.outcome == ["whole", "broke off", "whole"]
    assert "failed" not in caplog.text
    assert ChannelLimits().max_body_bytes == MAX_MESSAGE_BYTES


MEMORY = """
import hashlib, resource, sys
from datetime import UTC, datetime
from pathlib import Path
import httpx2
from attested import Enclave, client_of, new_platform
from strongroom.testing.loopback import Loopback
from strongroom.transport.table import ChannelLimits
from unit_streams import Application

enclave = Enclave(new_platform(Path(sys.argv[1])))
service = enclave.service(Application(), limits=ChannelLimits(max_body_bytes=None))
with Loopback(service) as url, client_of(url, enclave.terms()) as (client, _):
    client.post("/", content=iter([bytes(1_000_000)] * 3))
    with client.stream("GET", "/3") as answer:
        for _ in answer.iter_bytes(): pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    piece = bytes(1_000_000)
    answer = client.post("/", content=(piece for _ in range(100)))
    assert len(answer.text) == 64
    with client.stream("GET", "/100") as answer:
        size = sum(len(part) for part in answer.iter_bytes())
    assert size == 100 * 1024 * 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_hundred_megabytes_each_way_take_no_memory(tmp_path) -> None:
    """Client and server are one process here: the growth of its greatest size is that of both."""
    tests = Path(__file__).resolve().parents[2]
    script = MEMORY.replace(
        "from unit_streams import Application",
        f"import importlib.util as u; s = u.spec_from_file_location('streams', {str(Path(__file__))!r}); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); Application = m.Application",
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "platform")],
        env={**os.environ, "PYTHONPATH": str(tests)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 16 * 1024, "KiB"


# what breaks off


def test_an_application_that_fails_half_way_has_not_answered(enclave) -> None:
    async def failing(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(MIB), "more_body": True})
        raise RuntimeError("the disk is full")

    with (
        Loopback(enclave.service(failing)) as url,
        client_of(url, enclave.terms()) as (client, _),
        pytest.raises(MalformedMessage, match="broke the stream off"),
    ):
        client.get("/")


class Meddling:
    """Passes everything on and does something to the bytes of streams, in either direction."""

    def __init__(self, application, *, asked=None, answered=None) -> None:
        self._application = application
        self._asked = asked or (lambda body: body)
        self._answered = answered or (lambda body: body)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["path"] == EXCHANGE_PATH:
            await self._application(scope, receive, send)
            return
        body = await body_of(receive)
        waiting = [{"type": "http.request", "body": self._asked(body)}]
        sent: list[dict] = []

        async def again():
            return waiting.pop(0) if waiting else await receive()

        async def keep(message):
            sent.append(message)

        await self._application(scope, again, keep)
        start, *parts = sent
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": self._answered(b"".join(part["body"] for part in parts))})


def frames_of(stream: bytes) -> list[bytes]:
    found = []
    while stream:
        end = 4 + int.from_bytes(stream[:4], "big")
        found.append(stream[:end])
        stream = stream[end:]
    return found


MEDDLINGS = [
    lambda frames: frames[:-1],
    lambda frames: [*frames[:-1], frames[-1][:-1]],
    lambda frames: [frames[0], *frames[2:]],
    lambda frames: [frames[0], frames[2], frames[1], *frames[3:]],
    lambda frames: [frames[0], frames[1], frames[1], *frames[2:]],
    lambda frames: [*frames, frames[1]],
    lambda frames: [*frames, b"\x00"],
    lambda frames: [frames[0], b"\xff\xff\xff\xff", *frames[1:]],
    lambda frames: [frames[0][:-1] + bytes([frames[0][-1] ^ 1]), *frames[1:]],
    lambda frames: [],
]
NAMES = [
    "no end",
    "cut",
    "dropped",
    "reordered",
    "repeated",
    "one more",
    "a byte more",
    "too large",
    "altered",
    "nothing",
]


@pytest.mark.parametrize("meddle", MEDDLINGS, ids=NAMES)
def test_an_answer_that_was_meddled_with_is_malformed(enclave, meddle) -> None:
    service = enclave.service(Application())

    def answered(body: bytes) -> bytes:
        return b"".join(meddle(frames_of(body)))

    meddling = Meddling(service, answered=answered)
    with Loopback(meddling) as url, client_of(url, enclave.terms()) as (client, _), pytest.raises(MalformedMessage):
        client.get("/1")


@pytest.mark.parametrize("meddle", MEDDLINGS, ids=NAMES)
def test_a_request_that_was_meddled_with_is_malformed_and_no_application_takes_it_for_whole(enclave, meddle) -> None:
    application = Application()

    def asked(body: bytes) -> bytes:
        return body[:24] + b"".join(meddle(frames_of(body[24:])))

    meddling = Meddling(enclave.service(application), asked=asked)
    with Loopback(meddling) as url, client_of(url, enclave.terms()) as (client, _), pytest.raises(MalformedMessage):
        client.post("/", content=pieces(30))
    assert "whole" not in application.outcome


def test_the_answer_to_another_request_does_not_open(enclave) -> None:
    answers: list[bytes] = []

    def answered(body: bytes) -> bytes:
        answers.append(body)
        return answers[0]

    meddling = Meddling(enclave.service(Application()), answered=answered)
    with Loopback(meddling) as url, client_of(url, enclave.terms()) as (client, _):
        assert len(client.get("/1").content) == MIB
        with pytest.raises(MalformedMessage, match="not the next frame"):
            client.get("/1")


def test_a_recorded_stream_is_served_once(enclave) -> None:
    application = Application()
    with Loopback(enclave.service(application)) as url, httpx2.Client(trust_env=False) as http:
        exchange = ClientExchange(enclave.terms())
        answer = http.post(url + EXCHANGE_PATH, content=exchange.hello).content
        channel = exchange.finish(answer, elapsed_seconds=0.1, at=AT).channel
        head = BinaryRequest(
            method=b"POST", scheme=b"https", authority=b"store", path=b"/", headers=(), content=b"some"
        ).to_bytes()
        _, prefix, sealer = channel.begin_stream()
        recorded = prefix + sealer.frame(head) + sealer.frame(b"thing", last=True)
        assert http.post(url + STREAM_PATH, content=recorded, headers=HEADERS).status_code == 200
        refused = http.post(url + STREAM_PATH, content=recorded, headers=HEADERS)
        assert (refused.status_code, refused.json()["error"]) == (400, "malformed-message")
        unknown = http.post(url + STREAM_PATH, content=bytes(16) + recorded[16:], headers=HEADERS)
        assert (unknown.status_code, unknown.json()["error"]) == (421, "channel-unknown")
        assert http.post(url + STREAM_PATH, content=b"short", headers=HEADERS).status_code == 400
    assert application.outcome == ["whole"]


def test_after_a_restart_a_body_in_memory_is_sent_again_and_one_that_flowed_away_is_not(enclave, platform) -> None:
    first = Loopback(enclave.service(Application()))
    with first as url, client_of(url, enclave.terms()) as (client, _):
        client.post("/", content=b"")
        first.__exit__(None, None, None)
        application = Application()
        restarted = Enclave(platform, deployment_key=enclave.deployment_key)
        with Loopback(restarted.service(application), port=int(url.rpartition(":")[2])):
            with pytest.raises((ChannelRefused, StoreUnreachable)):
                client.post("/", content=pieces(30))
            assert application.outcome == []
            assert client.post("/", content=pieces(30)).status_code == 200
            assert client.post("/", content=bytes(2 * MIB)).text == hashlib.sha256(bytes(2 * MIB)).hexdigest()


# slow clients


def test_a_request_that_stops_coming_is_given_up_and_others_are_served_meanwhile(enclave) -> None:
    service = enclave.service(Application(), limits=ChannelLimits(stall_seconds=0.3))
    with Loopback(service) as url:
        port = int(url.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for connection in slow:
            connection.sendall(f"POST {EXCHANGE_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{{".encode())
        with client_of(url, enclave.terms()) as (client, _):
            assert client.post("/", content=b"x").status_code == 200
        for connection in slow:
            connection.settimeout(5)
            answer = connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 400")
            connection.close()


def trickle(connection: socket.socket, done: threading.Event) -> None:
    while not done.wait(0.05):
        try:
            connection.sendall(b"x")
        except OSError:
            return


@pytest.mark.parametrize("path", [EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH])
def test_a_request_that_trickles_is_given_up(enclave, path: str) -> None:
    service = enclave.service(Application(), limits=ChannelLimits(stall_seconds=0.4))
    done = threading.Event()
    with Loopback(service) as url, socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n".encode())
        thread = threading.Thread(target=trickle, args=(connection, done))
        thread.start()
        try:
            connection.settimeout(3)
            answer = connection.recv(4096)
        finally:
            done.set()
            thread.join()
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421"))


def test_a_client_that_does_not_read_its_answer_is_given_up(enclave) -> None:
    ended: list[float] = []

    class Watched(Application):
        async def __call__(self, scope, receive, send) -> None:
            try:
                await super().__call__(scope, receive, send)
            finally:
                ended.append(time.monotonic())

    service = enclave.service(Watched(), limits=ChannelLimits(stall_seconds=0.3))
    with Loopback(service) as url, client_of(url, enclave.terms()) as (client, _):
        client.post("/", content=b"x")
        ended.clear()
        with client.stream("GET", "/200") as answer:
            raw = answer.iter_bytes()
            next(raw)
            begun = time.monotonic()
            while not ended and time.monotonic() < begun + 5:
                time.sleep(0.05)
            assert ended
            assert service._channels is not None
            with pytest.raises((StoreUnreachable, MalformedMessage)):
                for _ in raw:
                    pass
        assert client.post("/", content=b"x").status_code == 200


def test_an_answer_is_streamed_to_nobody_who_did_not_ask(enclave) -> None:
    service = enclave.service(Application(), clock=FakeClock())
    with Loopback(service) as url, httpx2.Client(trust_env=False) as http:
        exchange = ClientExchange(enclave.terms())
        answer = http.post(url + EXCHANGE_PATH, content=exchange.hello).content
        channel = exchange.finish(answer, elapsed_seconds=0.1, at=AT).channel
        head = BinaryRequest(
            method=b"GET", scheme=b"https", authority=b"store", path=b"/1", headers=(), content=b""
        ).to_bytes()
        number, message = channel.seal_request(head)
        plain = http.post(url + "/strongroom/v1/message", content=message)
        assert plain.headers["content-type"] != STREAM_TYPE
        assert len(channel.open_answer(plain.content, number)) > MIB
