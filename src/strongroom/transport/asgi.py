"""Middleware that makes any ASGI application an attested service.

    app = AttestedService(application, attester=…, endorsements=…, identities=…, clock=SystemClock())

Outside it speaks five paths: ``POST /strongroom/v1/exchange`` (a hello, answered with evidence),
``POST /strongroom/v1/keyed-exchange`` (a session resumed, or one under a shared key), ``POST /strongroom/v1/message``
(a sealed request, answered with a sealed response), ``POST /strongroom/v1/stream`` (the same in frames) and
``GET /strongroom/v1/health``.
The application inside sees ordinary requests. It may look at ``scope["extensions"]["strongroom"]``: ``session`` is
the transcript hash that both ends share, ``client_binder`` what evidence of the client has to commit to, ``state`` a
dictionary that lives as long as the channel, ``shared_key`` the label of the shared key that opened the channel, or
``None`` where the client saw evidence.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import ChannelRefused, MalformedMessage, NotAuthorised, StrongroomError, Unavailable
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES, BinaryRequest
from strongroom.channel.keyed import MAX_KEYED_REQUEST_BYTES, KeyedMode, KeyedRequest, ServerKeyedExchange
from strongroom.channel.messages import MAX_HELLO_BYTES
from strongroom.channel.schedule import CHANNEL_ID_BYTES
from strongroom.channel.secure import STREAM_HEAD_BYTES, channel_id_of
from strongroom.channel.server import ServerExchange
from strongroom.crypto.hashing import digest_of, sha256
from strongroom.transport.batcher import QuoteBatcher
from strongroom.transport.inner import (
    Answer,
    StreamedBody,
    WholeBody,
    chunk_of,
    ended,
    inner_scope,
    respond,
    run_inside,
)
from strongroom.transport.paths import (
    CONTENT_TYPE,
    EXCHANGE_PATH,
    HEALTH_PATH,
    KEYED_PATH,
    MESSAGE_PATH,
    READY_PATH,
    STREAM_PATH,
    STREAM_TYPE,
)
from strongroom.transport.ports import Unobserved
from strongroom.transport.resumptions import Origin, ResumptionTable
from strongroom.transport.table import ChannelLimits, ChannelTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from strongroom.base.clock import Clock
    from strongroom.channel.shared_key import SharedKeyring
    from strongroom.transport.ports import Attester, ChannelObserver, EndorsementSource, IdentitySource
    from strongroom.transport.table import OpenChannel

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = [
    "CONTENT_TYPE",
    "EXCHANGE_PATH",
    "HEALTH_PATH",
    "KEYED_PATH",
    "MESSAGE_PATH",
    "STREAM_PATH",
    "AttestedService",
    "SharedKeyService",
]

_MAX_SEALED_BYTES: Final = MAX_MESSAGE_BYTES + 64
_DRAINED_SECONDS: Final = 5.0  # by then another instance has taken over, or this one is started again
_MIN_RATE: Final = 8 * 1024  # bytes per second


class _ChannelService:
    """What every service does: keep channels, open requests, run the application, seal its answers."""

    def __init__(
        self,
        application: Application,
        *,
        clock: Clock,
        shared_keys: SharedKeyring | None,
        limits: ChannelLimits | None,
        observer: ChannelObserver | None = None,
    ) -> None:
        self._application = application
        self._observer = observer or Unobserved()
        self._clock = clock
        self._shared_keys = shared_keys
        self._limits = limits or ChannelLimits()
        self._channels = ChannelTable(self._limits, clock)
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; start-up and shutdown go to the application."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        try:
            await self._outer(scope, receive, send)
        except StrongroomError as error:
            retry_after = error.retry_after_seconds if isinstance(error, Unavailable) else None
            await respond(send, error.http_status, _error_json(error), "application/json", retry_after=retry_after)

    def drain(self) -> None:
        """Take no new sessions and no new requests; those under way are finished. Clients go elsewhere, or wait."""
        self._draining = True

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise Unavailable("this instance is being stopped", retry_after_seconds=_DRAINED_SECONDS)

    def _require_ready(self) -> None:
        """Raise an ``Unavailable`` error while this service could not serve a client."""

    @property
    def open_channels(self) -> int:
        """How many channels are open."""
        return len(self._channels)

    async def _outer(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "POST", path if path == EXCHANGE_PATH:
                self._refuse_while_draining()
                body = await self._body(receive, MAX_HELLO_BYTES)
                with self._observer.exchange("attested"):
                    answer = await self._exchange(body)
                await respond(send, 200, answer, CONTENT_TYPE)
            case "POST", path if path == KEYED_PATH:
                self._refuse_while_draining()
                body = await self._body(receive, MAX_KEYED_REQUEST_BYTES)
                with self._observer.exchange("keyed"):
                    answer = self._keyed(body)
                await respond(send, 200, answer, CONTENT_TYPE)
            case "POST", path if path in {MESSAGE_PATH, STREAM_PATH} and self._draining:
                raise ChannelRefused("this instance is being stopped", hint="attest again")
            case "POST", path if path == MESSAGE_PATH:
                await self._message(scope, receive, send)
            case "POST", path if path == STREAM_PATH:
                await self._stream(scope, receive, send)
            case (("GET" | "HEAD"), path) if path == HEALTH_PATH:
                await respond(send, 200, b'{"status":"ok"}', "application/json")
            case (("GET" | "HEAD"), path) if path == READY_PATH:
                self._refuse_while_draining()
                await asyncio.to_thread(self._require_ready)
                await respond(send, 200, b'{"status":"ready"}', "application/json")
            case _:
                await respond(send, 404, b'{"error":"not-found"}', "application/json")

    async def _exchange(self, hello: bytes) -> bytes:
        raise NotImplementedError

    def _keyed(self, body: bytes) -> bytes:
        self._channels.require_room()
        request = KeyedRequest.from_bytes(body)
        if request.mode is KeyedMode.RESUMPTION:
            return self._resume(request)
        if self._shared_keys is None:
            raise NotAuthorised("no shared key that this service accepts")
        key, exchange = self._shared_keys.exchange(request)
        self._channels.add(exchange.channel(), shared_key=key.label)
        return exchange.answer

    def _resume(self, request: KeyedRequest) -> bytes:
        raise NotImplementedError

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        sealed = await self._body(receive, _MAX_SEALED_BYTES)
        entry = self._channels.find(channel_id_of(sealed))
        number, plaintext = entry.channel.open_request(sealed)
        self._touch(entry)
        request = BinaryRequest.from_bytes(plaintext)
        answer = self._answer(scope, entry, number, send)
        inside = inner_scope(request, entry, scope)
        whole = await run_inside(self._application, inside, WholeBody(request.content, receive), answer)
        await answer.finish(failed=not whole)
        self._forget_ended(entry)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._limits
        body = StreamedBody(receive, stall_seconds=limits.stall_seconds, max_bytes=limits.max_body_bytes)
        head = await body.head(STREAM_HEAD_BYTES)
        entry = self._channels.find(head[:CHANNEL_ID_BYTES])
        number, plaintext, opener = entry.channel.open_stream(head, await body.box())
        self._touch(entry)
        request = BinaryRequest.from_bytes(plaintext)
        body.begin(opener, request.content)
        answer = self._answer(scope, entry, number, send)
        whole = await run_inside(self._application, inner_scope(request, entry, scope), body, answer)
        self._channels.touch(entry)  # a long body is no idleness
        if body.failure is not None and not answer.started:
            raise body.failure
        await answer.finish(failed=not whole or body.failure is not None)
        self._forget_ended(entry)

    def _forget_ended(self, entry: OpenChannel) -> None:
        if ended(entry):
            self._channels.remove(entry)

    def _answer(self, scope: Scope, entry: OpenChannel, number: int, send: Send) -> Answer:
        may_stream = any(
            name == b"accept" and STREAM_TYPE.encode() in value for name, value in scope.get("headers", ())
        )
        return Answer(entry, number, send, may_stream=may_stream, stall_seconds=self._limits.stall_seconds)

    def _touch(self, entry: OpenChannel) -> None:
        self._channels.touch(entry)

    async def _body(self, receive: Receive, limit: int) -> bytes:
        """Read a request's body, giving up as soon as it is too large or too slow.

        A trickle of bytes is no progress: what came has to have come at ``_MIN_RATE``, but for the time of a stall.
        """
        chunks: list[bytes] = []
        size = 0
        last = False
        until = asyncio.get_running_loop().time() + self._limits.stall_seconds
        while not last:
            chunk, last = await chunk_of(receive, until + size / _MIN_RATE)
            size += len(chunk)
            if size > limit:
                raise MalformedMessage(f"more than {limit} bytes", path="request")
            chunks.append(chunk)
        return b"".join(chunks)


class SharedKeyService(_ChannelService):
    """The middleware for clients that hold a shared key, without evidence. One instance has one process's channels."""

    def __init__(
        self, application: Application, *, clock: Clock, shared_keys: SharedKeyring, limits: ChannelLimits | None = None
    ) -> None:
        super().__init__(application, clock=clock, shared_keys=shared_keys, limits=limits)

    async def _exchange(self, hello: bytes) -> bytes:
        raise NotAuthorised(f"this service shows no evidence to a hello of {len(hello)} bytes; it wants a shared key")

    def _resume(self, request: KeyedRequest) -> bytes:
        raise ChannelRefused(f"this service has no session for {request.mode}")


class AttestedService(_ChannelService):
    """The middleware with evidence. One instance holds the channels of one process.

    ``shared_keys`` are accepted besides; the application tells such channels by ``shared_key``. ``observer`` watches.
    ``probe`` raises an ``Unavailable`` error while the application could not serve anybody.
    """

    def __init__(
        self,
        application: Application,
        *,
        attester: Attester,
        endorsements: EndorsementSource,
        identities: IdentitySource,
        clock: Clock,
        limits: ChannelLimits | None = None,
        shared_keys: SharedKeyring | None = None,
        observer: ChannelObserver | None = None,
        probe: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(application, clock=clock, shared_keys=shared_keys, limits=limits, observer=observer)
        self._probe = probe
        self._endorsements = endorsements
        self._identities = identities
        self._batcher = QuoteBatcher(attester, identities, clock, observer=self._observer)
        self._resumptions = ResumptionTable(
            capacity=self._limits.max_resumptions, max_age_seconds=self._limits.resumption_seconds, clock=clock
        )

    def _require_ready(self) -> None:
        now = self._clock.now()
        self._identities.identity(now)
        self._endorsements.collateral(now)
        if self._probe is not None:
            self._probe()

    async def _exchange(self, hello: bytes) -> bytes:
        self._channels.require_room()
        now = self._clock.now()
        identity = self._identities.identity(now)
        collateral = self._endorsements.collateral(now)
        exchange = ServerExchange(hello, deployment_key=identity.deployment_key, collateral=collateral)
        answer = exchange.answer(await self._batcher.attest(exchange.leaf))
        origin = Origin(attested=self._clock.monotonic(), epoch=identity.epoch, collateral_digest=digest_of(collateral))
        self._channels.add(exchange.channel(), origin=origin)
        return answer

    def _resume(self, request: KeyedRequest) -> bytes:
        now = self._clock.now()
        identity = self._identities.identity(now)
        digest = digest_of(self._endorsements.collateral(now))
        key, origin = self._resumptions.take(request, epoch=identity.epoch, collateral_digest=digest)
        exchange = ServerKeyedExchange(
            request,
            key,
            deployment=sha256(identity.deployment_key),
            epoch=identity.epoch,
            collateral_digest=digest,
        )
        self._channels.add(exchange.channel(), origin=origin)
        return exchange.answer

    def _forget_ended(self, entry: OpenChannel) -> None:
        super()._forget_ended(entry)
        if ended(entry):
            self._resumptions.forget(entry.channel.resumption_key()[0])

    def _touch(self, entry: OpenChannel) -> None:
        # a hello that nobody followed up leaves no key behind: it is kept once the client has shown that it has it
        if self._channels.touch(entry) and entry.origin is not None:
            self._resumptions.keep(entry.channel.resumption_key(), entry.origin)


def _error_json(error: StrongroomError) -> bytes:
    return json.dumps({"error": error.code, "message": error.message, "hint": error.hint}).encode()
