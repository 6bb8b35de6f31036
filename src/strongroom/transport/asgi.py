"""Middleware that makes any ASGI application an attested service.

    app = AttestedService(application, attester=…, endorsements=…, identities=…, clock=SystemClock())

Outside it speaks three paths: ``POST /strongroom/v1/exchange`` (a hello, answered with evidence),
``POST /strongroom/v1/message`` (a sealed request, answered with a sealed response) and ``GET /strongroom/v1/health``.
The application inside sees ordinary requests. It may look at ``scope["extensions"]["strongroom"]``: ``session`` is
the transcript hash that both ends share, ``state`` a dictionary that lives as long as the channel.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from strongroom.base.errors import MalformedMessage, StrongroomError, Unavailable
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES, BinaryRequest, BinaryResponse
from strongroom.channel.messages import MAX_HELLO_BYTES
from strongroom.channel.secure import channel_id_of
from strongroom.channel.server import ServerExchange
from strongroom.transport.batcher import QuoteBatcher
from strongroom.transport.table import ChannelLimits, ChannelTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from strongroom.base.clock import Clock
    from strongroom.transport.ports import Attester, EndorsementSource, IdentitySource
    from strongroom.transport.table import OpenChannel

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["CONTENT_TYPE", "EXCHANGE_PATH", "HEALTH_PATH", "MESSAGE_PATH", "AttestedService"]

EXCHANGE_PATH: Final = "/strongroom/v1/exchange"
MESSAGE_PATH: Final = "/strongroom/v1/message"
HEALTH_PATH: Final = "/strongroom/v1/health"
CONTENT_TYPE: Final = "application/vnd.strongroom.channel"
_MAX_SEALED_BYTES: Final = MAX_MESSAGE_BYTES + 64

_log = logging.getLogger(__name__)


class AttestedService:
    """The middleware. One instance holds the channels of one process."""

    def __init__(
        self,
        application: Application,
        *,
        attester: Attester,
        endorsements: EndorsementSource,
        identities: IdentitySource,
        clock: Clock,
        limits: ChannelLimits | None = None,
    ) -> None:
        self._application = application
        self._endorsements = endorsements
        self._identities = identities
        self._clock = clock
        self._batcher = QuoteBatcher(attester, identities, clock)
        self._channels = ChannelTable(limits or ChannelLimits(), clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; start-up and shutdown go to the application."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        try:
            status, content, content_type = await self._outer(scope, receive)
        except StrongroomError as error:
            status, content, content_type = error.http_status, _error_json(error), "application/json"
            if isinstance(error, Unavailable) and error.retry_after_seconds is not None:
                await _respond(send, status, content, content_type, retry_after=error.retry_after_seconds)
                return
        await _respond(send, status, content, content_type)

    async def _outer(self, scope: Scope, receive: Receive) -> tuple[int, bytes, str]:
        match scope["method"], scope["path"]:
            case "POST", path if path == EXCHANGE_PATH:
                return 200, await self._exchange(await _body(receive, MAX_HELLO_BYTES)), CONTENT_TYPE
            case "POST", path if path == MESSAGE_PATH:
                return 200, await self._message(scope, await _body(receive, _MAX_SEALED_BYTES)), CONTENT_TYPE
            case (("GET" | "HEAD"), path) if path == HEALTH_PATH:
                return 200, b'{"status":"ok"}', "application/json"
        return 404, b'{"error":"not-found"}', "application/json"

    async def _exchange(self, hello: bytes) -> bytes:
        self._channels.require_room()
        now = self._clock.now()
        exchange = ServerExchange(
            hello,
            deployment_key=self._identities.identity(now).deployment_key,
            collateral=self._endorsements.collateral(now),
        )
        answer = exchange.answer(await self._batcher.attest(exchange.leaf))
        self._channels.add(exchange.channel())
        return answer

    async def _message(self, scope: Scope, sealed: bytes) -> bytes:
        entry = self._channels.find(channel_id_of(sealed))
        number, plaintext = entry.channel.open_request(sealed)
        self._channels.touch(entry)
        response = (await self._inner(BinaryRequest.from_bytes(plaintext), entry, scope)).to_bytes()
        if len(response) > MAX_MESSAGE_BYTES:
            # no client would read it; sealing it would tell an onlooker more than that something went wrong
            _log.error("the application's answer is too large")
            response = BinaryResponse(status=500, headers=(), content=b"").to_bytes()
        return entry.channel.seal_answer(number, response)

    async def _inner(self, request: BinaryRequest, entry: OpenChannel, outer: Scope) -> BinaryResponse:
        """Run the application on one opened request. Its failures are sealed too: outside sees 200 and a size."""
        path, _, query = request.path.partition(b"?")
        scope: Scope = {
            "type": "http",
            "asgi": outer["asgi"],
            "http_version": "1.1",
            "method": request.method.decode("latin-1").upper(),
            "scheme": "https",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers],
            "client": outer.get("client"),
            "server": outer.get("server"),
            "extensions": {"strongroom": {"session": entry.channel.session, "state": entry.state}},
        }
        if "state" in outer:
            scope["state"] = outer["state"]
        run = _Run(request.content)
        try:
            await self._application(scope, run.receive, run.send)
        except Exception:  # noqa: BLE001 - whatever the application raises ends here, sealed
            # the fact alone: a message or a traceback could hold what the request held
            _log.error("the application failed")
            return BinaryResponse(status=500, headers=(), content=b"")
        return run.response()


class _Run:
    """Feeds one request to an application and collects its response."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self._status = 500
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._chunks: list[bytes] = []

    async def receive(self) -> Message:
        if self._content is None:
            return {"type": "http.disconnect"}
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = tuple((bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._chunks.append(message.get("body", b""))

    def response(self) -> BinaryResponse:
        return BinaryResponse(status=self._status, headers=self._headers, content=b"".join(self._chunks))


async def _body(receive: Receive, limit: int) -> bytes:
    """Read a request's body, giving up as soon as it is too large."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedMessage("the request ended early", path="request")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise MalformedMessage(f"more than {limit} bytes", path="request")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _error_json(error: StrongroomError) -> bytes:
    return json.dumps({"error": error.code, "message": error.message, "hint": error.hint}).encode()


async def _respond(
    send: Send, status: int, content: bytes, content_type: str, *, retry_after: float | None = None
) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(int(retry_after)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
