"""httpx2 transports that appraise a server's certificate before the first byte of HTTP leaves.

    transport = RaTlsTransport("https://vault.example", terms, clock=SystemClock())
    with httpx2.Client(transport=transport) as client:
        response = client.get("https://vault.example/…")
        peer_of(response).caveat

The TLS handshake is completed without asking any authority, the certificate is taken from it, appraised, and only then
does the connection pool get a stream that it can write to. A refused peer has seen a handshake and no request. A
session that was resumed is refused: the certificate that the TLS library shows for it is one from the past.

Collateral is given, or fetched from a well-known path of the same server over a connection of its own. That request
holds nothing of the user's; what comes back is signed by the manufacturer and bounded in size.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpcore2
import httpx2

from strongroom.base.errors import CollateralUnavailable
from strongroom.ratls.inquest import Inquest, client_context
from strongroom.ratls.peer import KeyBoundPeer
from strongroom.ratls.streams import PEER, AppraisingAsyncBackend, AppraisingBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from strongroom.base.clock import Clock
    from strongroom.formats.collateral import Collateral
    from strongroom.ratls.peer import RaTlsTerms

__all__ = ["AsyncRaTlsTransport", "RaTlsTransport", "peer_of"]

_FETCH_SECONDS: Final = 10.0
_MAX_CONNECTIONS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 60.0
_ERRORS: Final = {
    getattr(httpcore2, name): getattr(httpx2, name)
    for name in (
        "ConnectTimeout",
        "ReadTimeout",
        "WriteTimeout",
        "PoolTimeout",
        "ConnectError",
        "ReadError",
        "WriteError",
        "LocalProtocolError",
        "RemoteProtocolError",
        "UnsupportedProtocol",
    )
}


def peer_of(response: httpx2.Response) -> KeyBoundPeer:
    """Give the verdict on the connection that a response came over."""
    stream = response.extensions.get("network_stream")
    peer = None if stream is None else stream.get_extra_info(PEER)
    if not isinstance(peer, KeyBoundPeer):
        raise TypeError("the response did not come over an RA-TLS transport")
    return peer


class RaTlsTransport(httpx2.BaseTransport):
    """Carries requests to one https origin whose server is appraised, connection by connection. Threads may share it.

    ``collateral`` fixes the collateral; without it the server is asked for it. No proxies, no environment, no
    redirects to elsewhere. A verdict that has expired ends its connection. Raises ``AppraisalRefused``,
    ``MalformedQuote``, ``MalformedCollateral``, ``CollateralUnavailable`` and httpx2's own errors.
    """

    def __init__(
        self,
        url: str,
        terms: RaTlsTerms,
        *,
        clock: Clock,
        collateral: Collateral | None = None,
        allow_tls_1_2: bool = False,
    ) -> None:
        self._inquest = Inquest(url, terms, clock=clock, collateral=collateral)
        self._allow_tls_1_2 = allow_tls_1_2
        self._pool = httpcore2.ConnectionPool(
            ssl_context=client_context(allow_tls_1_2=allow_tls_1_2),
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=AppraisingBackend(self.judge, clock),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request over an appraised connection."""
        self._inquest.require_origin(request)
        with _translated():
            response = self._pool.handle_request(_core(request))
        return _answer(response, _Body(response.stream))

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def judge(self, connection: Any) -> KeyBoundPeer:
        """Appraise the peer of an established TLS connection, fetching what is needed beside it."""
        steps = self._inquest.verdict(connection)
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self._fetch(*wanted))
        except StopIteration as done:
            peer: KeyBoundPeer = done.value
            return peer

    def _fetch(self, path: str, limit: int) -> bytes:
        """Fetch from the peer that is being judged, over a connection of its own that nothing else uses."""
        context = client_context(allow_tls_1_2=self._allow_tls_1_2)
        with _unavailable(), httpcore2.ConnectionPool(ssl_context=context) as pool:
            with pool.stream("GET", self._inquest.url_of(path), extensions=_fetch_timeouts()) as response:
                bounded = _Bounded(response.status, limit)
                for chunk in response.iter_stream():
                    bounded.add(chunk)
            return bounded.content


class AsyncRaTlsTransport(httpx2.AsyncBaseTransport):
    """``RaTlsTransport`` for ``httpx2.AsyncClient``."""

    def __init__(
        self,
        url: str,
        terms: RaTlsTerms,
        *,
        clock: Clock,
        collateral: Collateral | None = None,
        allow_tls_1_2: bool = False,
    ) -> None:
        self._inquest = Inquest(url, terms, clock=clock, collateral=collateral)
        self._allow_tls_1_2 = allow_tls_1_2
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=client_context(allow_tls_1_2=allow_tls_1_2),
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
            network_backend=AppraisingAsyncBackend(self.judge, clock),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request over an appraised connection."""
        self._inquest.require_origin(request)
        with _translated():
            response = await self._pool.handle_async_request(_core(request))
        return _answer(response, _AsyncBody(response.stream))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def judge(self, connection: Any) -> KeyBoundPeer:
        """Appraise the peer of an established TLS connection, fetching what is needed beside it."""
        steps = self._inquest.verdict(connection)
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(await self._fetch(*wanted))
        except StopIteration as done:
            peer: KeyBoundPeer = done.value
            return peer

    async def _fetch(self, path: str, limit: int) -> bytes:
        context = client_context(allow_tls_1_2=self._allow_tls_1_2)
        with _unavailable():
            async with httpcore2.AsyncConnectionPool(ssl_context=context) as pool:
                url = self._inquest.url_of(path)
                async with pool.stream("GET", url, extensions=_fetch_timeouts()) as response:
                    bounded = _Bounded(response.status, limit)
                    async for chunk in response.aiter_stream():
                        bounded.add(chunk)
        return bounded.content


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for chunk in self._stream:
                yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Bounded:
    """Collects an answer, giving up as soon as it is too large."""

    def __init__(self, status: int, limit: int) -> None:
        if status != 200:
            raise CollateralUnavailable(f"the server answered with status {status} where its collateral should be")
        self._limit = limit
        self.content = b""

    def add(self, chunk: bytes) -> None:
        self.content += chunk
        if len(self.content) > self._limit:
            raise CollateralUnavailable(f"more than {self._limit} bytes beside the certificate")


def _core(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _answer(response: httpcore2.Response, body: Any) -> httpx2.Response:
    return httpx2.Response(response.status, headers=response.headers, stream=body, extensions=response.extensions)


def _fetch_timeouts() -> dict[str, object]:
    return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _FETCH_SECONDS)}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except tuple(_ERRORS) as cause:
        raise _ERRORS[type(cause)](str(cause)) from cause


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except tuple(_ERRORS) as cause:
        raise CollateralUnavailable(f"the server did not give its collateral: {type(cause).__name__}") from cause
