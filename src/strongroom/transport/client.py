"""httpx2 transports whose requests travel inside a channel, for blocking code.

    transport = AttestedTransport(url, terms, clock=SystemClock())
    with httpx2.Client(transport=transport, base_url="https://store") as client:
        client.get("/v1/…")

The first request makes the exchange; nothing is sent before the verdict, and none is sent without it.
``transport.async_client`` has the same for ``httpx2.AsyncClient``.
"""

from __future__ import annotations

import threading
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
    from collections.abc import Iterator, Sequence

    from strongroom.base.clock import Clock
    from strongroom.channel.shared_key import SharedKey, SharedKeyPeer
    from strongroom.transport.client_evidence import ClientAttestation
    from strongroom.transport.keeper import Admit, Opener, Post, Steps, T
    from strongroom.transport.outer import AnswerReader
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["AttestedTransport", "SharedKeyTransport"]


class _ChannelTransport(httpx2.BaseTransport, Generic[Opened]):
    """Carries requests to one service in a channel that an ``Opener`` opens. Threads may share it."""

    def __init__(
        self,
        url: str,
        opener: Opener[Opened],
        *,
        clock: Clock,
        timeout_seconds: float | None,
        proxy: str | None,
        outer: httpx2.BaseTransport | None,
    ) -> None:
        self._base = usable_address(url)
        self._keeper: ChannelKeeper[Opened] = ChannelKeeper(opener, clock)
        self._requests = OuterRequests(self._base, timeout_seconds)
        # the environment names no proxy and no key log file
        self._outer = outer or httpx2.HTTPTransport(verify=outer_tls(), trust_env=False, proxy=proxy)
        self._lock = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request inside the channel; after a restart of the service, open another and send it once more.

        A service that does not know the channel has not opened the request. But nothing proves that it was the
        service which said so: somebody in the middle can have a request served twice, each time in a channel of its
        own. What must not happen twice, the application has to see to (the store's writes are compare-and-swap).
        A body that can be read only once is sent only once; then ``ChannelRefused`` reaches the caller.
        """
        held = request.read() if isinstance(request.stream, httpx2.ByteStream) or is_small(request) else None
        opened = self._channel()
        try:
            return self._send(opened, request, held)
        except ChannelRefused:
            self._keeper.lost(opened.channel)
            if held is None:
                raise
            return self._send(self._channel(), request, held)

    def close(self) -> None:
        """Close the connections. The channel's keys are forgotten with the object."""
        self._keeper.forget()
        self._outer.close()

    def _channel(self) -> Opened:
        ready = self._keeper.ready()
        if ready is not None:
            return ready
        with self._lock:
            return self._run(self._keeper.renewed())

    def _run(self, steps: Steps[T]) -> T:
        """Run a procedure: post what it asks for, and give it what came."""
        try:
            post = next(steps)
            while True:
                try:
                    answer = self._post(post)
                except StrongroomError as error:
                    post = steps.throw(error)
                else:
                    post = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            steps.close()  # whoever is interrupted leaves the keeper as it was

    def _post(self, post: Post) -> bytes:
        requests, path, content = self._requests, post.path, post.content
        request = requests.post(path, content) if post.to is None else requests.elsewhere(post.to + path, content)
        try:
            response = self._outer.handle_request(request)
            try:
                if response.status_code != httpx2.codes.OK:
                    raise _refused(response)
                return _read(response, post.limit)
            finally:
                response.close()
        except httpx2.HTTPError as cause:
            raise unreachable(cause) from cause

    def _send(self, opened: Opened, request: httpx2.Request, held: bytes | None) -> httpx2.Response:
        whole = held is not None and is_small(request)
        outgoing = Outgoing(opened.channel, binary_head(request, held if whole and held else b""), streamed=not whole)
        content = outgoing.message if whole else _frames(outgoing, request if held is None else held)
        try:
            response = self._outer.handle_request(self._requests.message(outgoing.path, content, request))
            try:
                return _inner_response(response, outgoing, request)
            except BaseException:
                response.close()
                raise
        except httpx2.HTTPError as cause:
            raise unreachable(cause) from cause


class AttestedTransport(_ChannelTransport[AttestedChannel]):
    """Carries requests to one attested service. Threads may share it.

    ``url`` is where the service listens, http or https; a proxy that ends TLS on the way sees sizes and times only.
    ``proxy`` is the URL of an outer proxy; none is taken from the environment. ``timeout_seconds`` bounds each wait
    for the network; ``None`` leaves that to each request's own timeout. ``outer`` replaces the way to the service.
    ``admit`` may object to an attested peer before anything is said to it, ``verifiers`` are the addresses of those
    whom terms with ``vouching`` believe (``AttestedOpener``); with ``attestation`` this client proves itself to the
    service in turn (``transport.client_evidence``).
    After the first exchange the deployment stays pinned for the life of the transport, whatever the terms said.
    """

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
        outer: httpx2.BaseTransport | None = None,
    ) -> None:
        addresses = [usable_address(address) for address in verifiers]
        opener = AttestedOpener(terms, clock, admit, addresses, attestation=attestation)
        super().__init__(url, opener, clock=clock, timeout_seconds=timeout_seconds, proxy=proxy, outer=outer)

    def peer(self) -> AttestedPeer:
        """Return the attested peer, making the exchange if there is no live channel."""
        return self._channel().peer

    def client_binder(self) -> bytes:
        """Return what evidence of this client has to commit to, in the live channel (``channel.peer_evidence``).

        A channel that is replaced before the evidence arrives has another one; evidence is then refused as not fresh.
        """
        return self._channel().channel.client_binder


class SharedKeyTransport(_ChannelTransport[SharedKeyChannel]):
    """Carries requests to one service that holds a shared key. ``keys``: the newest first, two during a change.

    The other parameters are those of ``AttestedTransport``.
    """

    def __init__(
        self,
        url: str,
        keys: Sequence[SharedKey],
        *,
        clock: Clock,
        timeout_seconds: float | None = 30.0,
        proxy: str | None = None,
        outer: httpx2.BaseTransport | None = None,
    ) -> None:
        opener = SharedKeyOpener(keys, clock)
        super().__init__(url, opener, clock=clock, timeout_seconds=timeout_seconds, proxy=proxy, outer=outer)

    def peer(self) -> SharedKeyPeer:
        """Return who is at the other end, opening a channel if there is no live one."""
        return self._channel().peer


class _Body(httpx2.SyncByteStream):
    """The rest of a streamed answer, opened as it is read. Closing it before its end closes the connection."""

    def __init__(self, outer: httpx2.Response, raw: Iterator[bytes], reader: AnswerReader, first: list[bytes]) -> None:
        self._outer = outer
        self._raw = raw
        self._reader = reader
        self._first = first

    def __iter__(self) -> Iterator[bytes]:
        yield from self._first
        self._first = []
        try:
            for data in self._raw:
                yield from self._reader.feed(data)
        except httpx2.HTTPError as cause:
            raise unreachable(cause) from cause
        self._reader.finish()

    def close(self) -> None:
        self._outer.close()


def _inner_response(outer: httpx2.Response, outgoing: Outgoing, request: httpx2.Request) -> httpx2.Response:
    """Read an answer as far as its head; the rest of a streamed one is read by whoever reads the response."""
    if outer.status_code != httpx2.codes.OK:
        raise _refused(outer)
    reader = outgoing.answer(outer.headers.get("content-type", ""))
    raw = outer.iter_raw()
    first: list[bytes] = []
    for data in raw:
        first += reader.feed(data)
        if reader.response is not None:
            break
    if reader.streamed and reader.response is not None:
        inner = reader.response
        body = _Body(outer, raw, reader, [inner.content, *first])
        return httpx2.Response(inner.status, headers=list(inner.headers), stream=body, request=request)
    inner = reader.finish()
    outer.close()
    return httpx2.Response(inner.status, headers=list(inner.headers), content=inner.content, request=request)


def _frames(outgoing: Outgoing, body: httpx2.Request | bytes) -> Iterator[bytes]:
    yield outgoing.first()
    if isinstance(body, bytes):
        yield from outgoing.frames(body)
    else:
        if not isinstance(body.stream, httpx2.SyncByteStream):
            raise TypeError("a blocking client needs a body that can be read without waiting")
        for piece in body.stream:
            yield from outgoing.frames(piece)
    yield outgoing.end()


def _read(response: httpx2.Response, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        limited(size, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _refused(response: httpx2.Response) -> StrongroomError:
    content = _read(response, MAX_ERROR_BYTES)
    return refusal(response.status_code, content, response.headers.get("retry-after", ""))
