"""The channel for ``asyncio``: the same procedures as for blocking code, with tasks instead of threads."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from attested import Counting, Enclave, body_of, findings_of, new_platform
from store_client import FakeClock
from strongroom.base.errors import (
    AppraisalRefused,
    ChannelRefused,
    MalformedMessage,
    Misconfigured,
    NotAuthorised,
    StoreUnreachable,
)
from strongroom.channel.client import ClientTerms
from strongroom.channel.shared_key import SharedKey, SharedKeyring
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH, SharedKeyService
from strongroom.transport.async_client import AsyncAttestedTransport, AsyncSharedKeyTransport
from strongroom.transport.client import AttestedTransport

KEY = SharedKey(label="backup", deployment=b"d" * 32, epoch=1, secret=b"s" * 32)


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


@asynccontextmanager
async def client_of(
    url: str, terms: ClientTerms, *, clock: Any = None, **options: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, AsyncAttestedTransport]]:
    transport = AsyncAttestedTransport(url, terms, clock=clock or FakeClock(), **options)
    async with httpx2.AsyncClient(transport=transport, base_url="https://store") as client:
        yield client, transport


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


async def pieces(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * 100_000


def test_requests_travel_and_bodies_of_any_size_too(enclave) -> None:
    counting = Counting(enclave.service())

    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, transport):
            answer = await client.put("/x?a=1", content=b"hello", headers={"X-Thing": "value"})
            assert (answer.content, answer.headers["x-echo-x-thing"]) == (b"hello", "value")
            peer = await transport.peer()
            assert answer.headers["x-session"] == peer.session.hex()
            big = b"".join([bytes([number]) * 100_000 for number in range(30)])
            assert (await client.post("/x", content=pieces(30))).content == big
            assert (await client.post("/x", content=big)).content == big
            async with client.stream("GET", "/zeros/3000000") as streamed:
                assert sum([len(piece) async for piece in streamed.aiter_bytes()]) == 3_000_000

    with Loopback(counting) as url:
        run(work)
    assert counting.paths == [EXCHANGE_PATH, MESSAGE_PATH, STREAM_PATH, STREAM_PATH, MESSAGE_PATH]


def test_many_tasks_make_one_exchange_and_share_one_channel(enclave) -> None:
    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, _):
            answers = await asyncio.gather(*(client.post("/x", content=b"%d" % number) for number in range(100)))
            assert [answer.content for answer in answers] == [b"%d" % number for number in range(100)]
            assert len({answer.headers["x-session"] for answer in answers}) == 1

    with Loopback(enclave.service()) as url:
        run(work)
    assert enclave.quotes == 1


def test_a_refused_service_gets_the_hello_and_nothing_else(enclave, platform) -> None:
    counting = Counting(Enclave(platform).service())

    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, _):
            for content in (b"secret", pieces(3)):
                with pytest.raises(AppraisalRefused) as refused:
                    await client.post("/login", content=content)
                assert findings_of(refused.value) == [("deployment", "attested-channel 6.4")]

    with Loopback(counting) as url:
        run(work)
    assert counting.paths == [EXCHANGE_PATH] * 2


def test_a_channel_is_renewed_and_resumed_while_old_requests_finish(enclave) -> None:
    clock = FakeClock()

    async def slow(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        if await body_of(receive) == b"slow":
            await asyncio.sleep(0.5)
        session = scope["extensions"]["strongroom"]["session"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": session})

    async def work() -> None:
        async with client_of(url, enclave.terms(), clock=clock) as (client, transport):
            old = (await client.get("/")).content
            waiting = asyncio.create_task(client.post("/", content=b"slow"))
            await asyncio.sleep(0.1)
            clock.seconds = 1500.1
            news = await asyncio.gather(*(client.get("/") for _ in range(5)))
            assert {answer.content for answer in news} - {old} == {(await transport.peer()).session}
            assert (await transport.peer()).resumed
            assert (await waiting).content == old

    counting = Counting(enclave.service(slow))
    with Loopback(counting) as url:
        run(work)
    assert counting.paths.count(KEYED_PATH) == 1
    assert enclave.quotes == 1


def test_after_a_restart_the_client_attests_again_by_itself_except_for_a_body_that_has_flowed_away(
    enclave, platform
) -> None:
    first = Loopback(enclave.service())

    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, _):
            assert (await client.get("/count")).text == "1"
            await asyncio.to_thread(first.__exit__, None, None, None)
            restarted = Enclave(platform, deployment_key=enclave.deployment_key)
            with Loopback(restarted.service(), port=int(url.rpartition(":")[2])):
                assert (await client.get("/count")).text == "1"
            with Loopback(restarted.service(), port=int(url.rpartition(":")[2])):
                with pytest.raises((ChannelRefused, StoreUnreachable)):
                    await client.post("/x", content=pieces(2))
                assert (await client.post("/x", content=pieces(2))).status_code == 200

    with first as url:
        run(work)


def test_a_task_that_is_cancelled_leaves_the_transport_usable(enclave) -> None:
    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, _):
            for pause in (0.0, 0.001, 0.003, 0.01):
                task = asyncio.create_task(client.get("/count"))
                await asyncio.sleep(pause)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            assert (await client.get("/count")).status_code == 200

    with Loopback(enclave.service()) as url:
        run(work)


def test_a_broken_stream_is_malformed(enclave) -> None:
    async def failing(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(300_000), "more_body": True})
        raise RuntimeError("the disk is full")

    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, _):
            with pytest.raises(MalformedMessage, match="broke the stream off"):
                await client.get("/")

    with Loopback(enclave.service(failing)) as url:
        run(work)


def test_shared_keys(enclave) -> None:
    service = SharedKeyService(enclave.service()._application, clock=FakeClock(), shared_keys=SharedKeyring([KEY]))

    async def work() -> None:
        transport = AsyncSharedKeyTransport(url, [KEY], clock=FakeClock())
        async with httpx2.AsyncClient(transport=transport, base_url="https://store") as client:
            assert (await client.post("/x", content=b"hello")).content == b"hello"
            assert (await transport.peer()).label == "backup"
        other = SharedKey(label="other", deployment=KEY.deployment, epoch=1, secret=KEY.secret)
        transport = AsyncSharedKeyTransport(url, [other], clock=FakeClock())
        async with httpx2.AsyncClient(transport=transport, base_url="https://store") as client:
            with pytest.raises(NotAuthorised):
                await client.get("/")

    with Loopback(service) as url:
        run(work)


# the way outside


class Proxy:
    """A proxy for plain HTTP on loopback: notes what it was asked for and passes it on."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        host = dict(scope["headers"])[b"host"].decode()
        target = f"http://{host}{scope['path']}"
        self.asked.append(target)
        body = await body_of(receive)
        async with httpx2.AsyncClient(trust_env=False) as http:
            headers = [(name, value) for name, value in scope["headers"] if name in (b"accept", b"content-type")]
            answer = await http.request(scope["method"], target, content=body, headers=headers)
        kept = [(name, value) for name, value in answer.headers.raw if name.lower() == b"content-type"]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        await send({"type": "http.response.body", "body": answer.content})


def test_a_proxy_that_is_named_is_used_and_sees_the_outside(enclave) -> None:
    proxy = Proxy()

    async def work() -> None:
        async with client_of(url, enclave.terms(), proxy=proxy_url) as (client, _):
            assert (await client.post("/secret", content=b"hello")).content == b"hello"

    with Loopback(enclave.service()) as url, Loopback(proxy) as proxy_url:
        run(work)
        transport = AttestedTransport(url, enclave.terms(), clock=FakeClock(), proxy=proxy_url)
        with httpx2.Client(transport=transport, base_url="https://store") as client:
            assert client.post("/secret", content=b"hello").content == b"hello"
    assert len(proxy.asked) == 4
    assert {path.rpartition("/strongroom/v1/")[2] for path in proxy.asked} == {"exchange", "message"}


def test_connections_are_kept(enclave) -> None:
    ports: set[tuple[str, int]] = set()
    service = enclave.service()

    async def noting(scope, receive, send) -> None:
        if scope["type"] == "http":
            ports.add(tuple(scope["client"]))
        await service(scope, receive, send)

    async def work() -> None:
        async with client_of(url, enclave.terms()) as (client, _):
            for number in range(10):
                await client.post("/x", content=bytes(number * 100_000))

    with Loopback(noting) as url:
        run(work)
    assert len(ports) == 1


@pytest.mark.parametrize(("ours", "theirs"), [(0.2, 30.0), (None, 0.2)], ids=["the transport's", "the request's"])
def test_a_service_that_hangs_is_given_up(enclave, ours: float | None, theirs: float) -> None:
    service = enclave.service()

    async def hanging(scope, receive, send) -> None:
        if scope["type"] == "http" and scope["path"] == MESSAGE_PATH:
            await asyncio.sleep(1.0)
        await service(scope, receive, send)

    async def work() -> None:
        async with client_of(url, enclave.terms(), timeout_seconds=ours) as (client, transport):
            await transport.peer()
            with pytest.raises(StoreUnreachable, match="ReadTimeout"):
                await client.get("/", timeout=theirs)

    with Loopback(hanging) as url:
        run(work)


def test_nobody_there_and_no_address(enclave) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def work() -> None:
        async with client_of(f"http://127.0.0.1:{port}", enclave.terms()) as (client, _):
            with pytest.raises(StoreUnreachable, match="ConnectError"):
                await client.get("/")

    run(work)
    with pytest.raises(Misconfigured):
        AsyncAttestedTransport("ftp://store", enclave.terms(), clock=FakeClock())
