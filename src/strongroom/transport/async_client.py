"""httpx2 transports whose requests travel inside a channel, for ``asyncio``.

    transport = AsyncAttestedTransport(url, terms, clock=SystemClock())
    async with httpx2.AsyncClient(transport=transport, base_url="https://store") as client:
        await client.get("/v1/…")

What is posted and when, ``transport.keeper`` and ``transport.outer`` decide, for this one as for ``transport.client``.
Verifying evidence takes a few milliseconds and happens in the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic

import httpx2

from strongroom.base.errors import ChannelRefused, StrongroomError
from strongroom.channel.client import AttestedChannel, ClientTerms
from strongroom.channel.shared_key import SharedKeyChannel
from strongroom.transport.keeper import AttestedOpener, ChannelKeeper, Opened, SharedKeyOpener
from strongroom.transport.outer import (
    MAX_ERROR_BYTES,
    OuterRequests,
    Outgoing,
    binary_head,
    is_small,
    limited,
    outer_tls,
    refusal,
    unreachable,
    usable_address,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from strongroom.base.clock import Clock
    from strongroom.channel.shared_key import SharedKey, SharedKeyPeer
    from strongroom.transport.client_evidence import ClientAttestation
    from strongroom.transport.keeper import Admit, Opener, Post, Steps, T
    from strongroom.transport.outer import AnswerReader
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["AsyncAttestedTransport", "AsyncSharedKeyTransport"]


class _AsyncChannelTransport(httpx2.AsyncBaseTransport, Generic[Opened]):
    """Carries requests to one service in a channel that an ``Opener`` opens. Tasks of one loop may share it."""

    def __init__(
        self,
        url: str,
        opener: Opener[Opened],
        *,
        clock: Clock,
        timeout_seconds: float | None,
        proxy: str | None,
        outer: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self._base = usable_address(url)
        self._keeper: ChannelKeeper[Opened] = ChannelKeeper(opener, clock)
        self._requests = OuterRequests(self._base, timeout_seconds)
        # the environment names no proxy and no key log file
        self._outer = outer or httpx2.AsyncHTTPTransport(verify=outer_tls(), trust_env=False, proxy=proxy)
        self._lock = asyncio.Lock()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request inside the channel, under the rules of ``AttestedTransport.handle_request``."""
        held = await request.aread() if isinstance(request.stream, httpx2.ByteStream) or is_small(request) else None
        opened = await self._channel()
        try:
            return await self._send(opened, request, held)
        except ChannelRefused:
            self._keeper.lost(opened.channel)
            if held is None:
                raise
            return await self._send(await self._channel(), request, held)

    async def aclose(self) -> None:
        """Close the connections. The channel's keys are forgotten with the object."""
        self._keeper.forget()
        await self._outer.aclose()

    async def _channel(self) -> Opened:
        ready = self._keeper.ready()
        if ready is not None:
            return ready
        async with self._lock:
            return await self._run(self._keeper.renewed())

    async def _run(self, steps: Steps[T]) -> T:
        """Run a procedure: post what it asks for, and give it what came."""
        try:
            post = next(steps)
            while True:
                try:
                    answer = await self._post(post)
                except StrongroomError as error:
                    post = steps.throw(error)
                else:
                    post = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            steps.close()  # a task that is cancelled leaves the keeper as it was

    async def _post(self, post: Post) -> bytes:
        requests, path, content = self._requests, post.path, post.content
        request = requests.post(path, content) if post.to is None else requests.elsewhere(post.to + path, content)
        try:
            response = await self._outer.handle_async_request(request)
            try:
                if response.status_code != httpx2.codes.OK:
                    raise await _refused(response)
                return await _read(response, post.limit)
            finally:
                await response.aclose()
        except httpx2.HTTPError as cause:
            raise unreachable(cause) from cause

    async def _send(self, opened: Opened, request: httpx2.Request, held: bytes | None) -> httpx2.Response:
        whole = held is not None and is_small(request)
        outgoing = Outgoing(opened.channel, binary_head(request, held if whole and held else b""), streamed=not whole)
        content = outgoing.message if whole else _frames(outgoing, request if held is None else held)
        try:
            response = await self._outer.handle_async_request(self._requests.message(outgoing.path, content, request))
            try:
                return await _inner_response(response, outgoing, request)
            except BaseException:
                await response.aclose()
                raise
        except httpx2.HTTPError as cause:
            raise unreachable(cause) from cause


class AsyncAttestedTransport(_AsyncChannelTransport[AttestedChannel]):
    """Carries requests to one attested service. Parameters as of ``AttestedTransport``."""

    def __init__(
        self,
        url: str,
        terms: ClientTerms,
        *,
        clock: Clock,
        admit: Admit | None = None,
        attestation: ClientAttestation | None = None,
        verifiers: Sequence[str] = (),
        timeout_seconds: float | None = 30.0,
        proxy: str | None = None,
        outer: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        addresses = [usable_address(address) for address in verifiers]
        opener = AttestedOpener(terms, clock, admit, addresses, attestation=attestation)
        super().__init__(url, opener, clock=clock, timeout_seconds=timeout_seconds, proxy=proxy, outer=outer)

    async def peer(self) -> AttestedPeer:
        """Return the attested peer, making the exchange if there is no live channel."""
        return (await self._channel()).peer

    async def client_binder(self) -> bytes:
        """Return what evidence of this client has to commit to, in the live channel (``channel.peer_evidence``)."""
        return (await self._channel()).channel.client_binder


class AsyncSharedKeyTransport(_AsyncChannelTransport[SharedKeyChannel]):
    """Carries requests to one service that holds a shared key. Parameters as of ``SharedKeyTransport``."""

    def __init__(
        self,
        url: str,
        keys: Sequence[SharedKey],
        *,
        clock: Clock,
        timeout_seconds: float | None = 30.0,
        proxy: str | None = None,
        outer: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        opener = SharedKeyOpener(keys, clock)
        super().__init__(url, opener, clock=clock, timeout_seconds=timeout_seconds, proxy=proxy, outer=outer)

    async def peer(self) -> SharedKeyPeer:
        """Return who is at the other end, opening a channel if there is no live one."""
        return (await self._channel()).peer


class _AsyncBody(httpx2.AsyncByteStream):
    """The rest of a streamed answer, opened as it is read. Closing it before its end closes the connection."""

    def __init__(
        self, outer: httpx2.Response, raw: AsyncIterator[bytes], reader: AnswerReader, first: list[bytes]
    ) -> None:
        self._outer = outer
        self._raw = raw
        self._reader = reader
        self._first = first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for content in self._first:
            yield content
        self._first = []
        try:
            async for data in self._raw:
                for content in self._reader.feed(data):
                    yield content
        except httpx2.HTTPError as cause:
            raise unreachable(cause) from cause
        self._reader.finish()

    async def aclose(self) -> None:
        await self._outer.aclose()


async def _inner_response(outer: httpx2.Response, outgoing: Outgoing, request: httpx2.Request) -> httpx2.Response:
    """Read an answer as far as its head; the rest of a streamed one is read by whoever reads the response."""
    if outer.status_code != httpx2.codes.OK:
        raise await _refused(outer)
    reader = outgoing.answer(outer.headers.get("content-type", ""))
    raw = outer.aiter_raw()
    first: list[bytes] = []
    async for data in raw:
        first += reader.feed(data)
        if reader.response is not None:
            break
    if reader.streamed and reader.response is not None:
        inner = reader.response
        body = _AsyncBody(outer, raw, reader, [inner.content, *first])
        return httpx2.Response(inner.status, headers=list(inner.headers), stream=body, request=request)
    inner = reader.finish()
    await outer.aclose()
    return httpx2.Response(inner.status, headers=list(inner.headers), content=inner.content, request=request)


async def _frames(outgoing: Outgoing, body: httpx2.Request | bytes) -> AsyncIterator[bytes]:
    yield outgoing.first()
    if isinstance(body, bytes):
        for frame in outgoing.frames(body):
            yield frame
    else:
        if not isinstance(body.stream, httpx2.AsyncByteStream):
            raise TypeError("an asynchronous client needs a body that can be awaited")
        async for piece in body.stream:
            for frame in outgoing.frames(piece):
                yield frame
    yield outgoing.end()


async def _read(response: httpx2.Response, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        limited(size, limit)
        chunks.append(chunk)
    return b"".join(chunks)


async def _refused(response: httpx2.Response) -> StrongroomError:
    content = await _read(response, MAX_ERROR_BYTES)
    return refusal(response.status_code, content, response.headers.get("retry-after", ""))
