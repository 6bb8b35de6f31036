"""Forwards plain HTTP of programs on this machine into an attested channel, to one service and to nothing else.

    forwarder = Forwarder(AsyncAttestedTransport(url, terms, clock=SystemClock()), service=url, hosts=host_names(sock))

An ASGI application, to be served on a loopback or a private Unix socket only (``transport.local_sockets``). Nothing is
forwarded without a verdict: the transport makes one before its first request, and again after the service restarted.
What a browser sends on behalf of another site's page is refused (docs/connect.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx2

from strongroom.base.errors import AppraisalRefused, Denied, Malformed, StrongroomError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Headers = list[tuple[bytes, bytes]]

__all__ = ["MARK", "Forwarder"]

MARK: Final = b"x-strongroom-connect"
"""A header of the forwarder's own answers, with the error's code. One of the service's is not passed on."""

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
_OURS: Final = frozenset({b"host", b"expect", b"http2-settings"})  # ended here, between the program and us
_OTHER_SITES: Final = frozenset({b"cross-site", b"same-site"})  # another port of this machine is a "same site"
_BAD_GATEWAY: Final = 502

_log = logging.getLogger(__name__)


class _ProgramLeft(Exception):
    """The program closed its connection in the middle of its request."""


class Forwarder:
    """Forwards requests to one service.

    ``service`` is its address: what programs ask for here is asked for there, whatever their Host header says.
    ``hosts`` are the Host values that are taken (``local_sockets.host_names``), ``None`` where no browser can come
    (a Unix socket).
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport, *, service: str, hosts: frozenset[str] | None) -> None:
        self._transport = transport
        self._authority = urlsplit(service).netloc.rpartition("@")[2]
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request, or refuse it with a JSON body. Shutting down closes the transport."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._transport.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _RequestBody(receive)
        try:
            request = self._request(scope, body)
        except StrongroomError as error:
            await _refuse(send, error, error.http_status)
            return
        work = asyncio.ensure_future(self._forward(request, send))
        left = asyncio.ensure_future(body.departure())
        try:
            # whoever does not wait for the answer any more must not keep the service busy
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, left):
                task.cancel()
            await asyncio.gather(work, left, return_exceptions=True)

    def _request(self, scope: Scope, body: _RequestBody) -> httpx2.Request:
        headers: Headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
        self._require_local(headers)
        if scope["method"] in {"CONNECT", "TRACE"}:
            raise Denied(f"{scope['method']} is not forwarded")
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        try:
            url = httpx2.URL(f"https://{self._authority}").copy_with(raw_path=target)
        except (httpx2.InvalidURL, UnicodeDecodeError, ValueError):
            raise Malformed("not a path", path="request") from None
        has_body = any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b" 0"))
            for name, value in headers
        )
        if not has_body:
            body.ended.set()
        return httpx2.Request(
            scope["method"],
            url,
            headers=[self._outbound(name, value) for name, value in _end_to_end(headers)],
            # a request without a body can be sent again when the service has lost its channels
            stream=body if has_body else httpx2.ByteStream(b""),
        )

    def _require_local(self, headers: Headers) -> None:
        """Refuse what a page of another site made a browser send (docs/connect.md)."""
        if self._hosts is None:
            return
        hosts = [value.decode("latin-1").strip().lower() for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise Denied(
                "the Host header does not name this forwarder",
                hint="call it by " + " or ".join(sorted(self._hosts)),
            )
        for name, value in headers:
            if name == b"origin" and value.decode("latin-1").strip().lower() not in self._origins:
                raise Denied("a page of another origin asked for this")
            if name == b"sec-fetch-site" and value.strip().lower() in _OTHER_SITES:
                raise Denied("a page of another site asked for this")

    @property
    def _origins(self) -> frozenset[str]:
        return frozenset(f"http://{host}" for host in self._hosts or ())

    def _outbound(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name == b"origin" and self._hosts is not None:
            return name, f"https://{self._authority}".encode()  # it was checked to be our own
        return name, value

    async def _forward(self, request: httpx2.Request, send: Send) -> None:
        try:
            response = await self._transport.handle_async_request(request)
        except _ProgramLeft:
            return
        except StrongroomError as error:
            _log.warning("not forwarded: %s", error)
            status = Unavailable.http_status if isinstance(error, Unavailable) else _BAD_GATEWAY
            await _refuse(send, error, status)
            return
        try:
            await self._answer(response, send)
        finally:
            await response.aclose()

    async def _answer(self, response: httpx2.Response, send: Send) -> None:
        headers = [self._inbound(name, value) for name, value in _end_to_end(response.headers.raw) if name != MARK]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        stream = response.stream
        if not isinstance(stream, httpx2.AsyncByteStream):
            raise TypeError("an answer that cannot be read without blocking")
        try:
            async for piece in stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (StrongroomError, _ProgramLeft) as error:
            # the head has left: all that remains is not to end the answer, so that the program sees it break off
            _log.warning("an answer broke off: %s", error)
            return
        await send({"type": "http.response.body", "body": b""})

    def _inbound(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        """Keep a program that follows a redirection within the service from leaving the channel."""
        if name == b"location":
            for scheme in (b"https://", b"http://"):
                inside = scheme + self._authority.encode()
                if value.lower().startswith(inside.lower()) and value[len(inside) :][:1] in {b"", b"/", b"?", b"#"}:
                    rest = value[len(inside) :]
                    return name, rest if rest.startswith(b"/") else b"/" + rest
        return name, value


class _RequestBody(httpx2.AsyncByteStream):
    """A request's body, read as the service takes it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = not self.ended.is_set()
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise _ProgramLeft
            more = message.get("more_body", False)
            if not more:
                self.ended.set()
            yield message.get("body", b"")

    async def departure(self) -> None:
        """Wait until the program leaves. Before its body has ended, whoever reads that finds out."""
        await self.ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Leave out what belongs to one connection: RFC 9110 section 7.6.1, and what the Connection header names."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {option.strip().lower() for name, value in lowered if name == b"connection" for option in value.split(b",")}
    # a Connection header may not take away what says how long a body is
    dropped = _HOP_BY_HOP | _OURS | (named - {b"content-length", b"content-type"})
    return [(name, value) for name, value in lowered if name not in dropped]


async def _refuse(send: Send, error: StrongroomError, status: int) -> None:
    body = json.dumps(_error_json(error), ensure_ascii=False).encode()
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (MARK, error.code.encode()),
    ]
    if isinstance(error, Unavailable) and error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(int(error.retry_after_seconds)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": body})


def _error_json(error: StrongroomError) -> dict[str, Any]:
    shown: dict[str, Any] = {"error": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, AppraisalRefused):
        shown["findings"] = [
            {
                "check": str(finding.check),
                "message": finding.message,
                "section": finding.section,
                "expected": finding.expected,
                "actual": finding.actual,
            }
            for finding in error.findings
        ]
    return shown
