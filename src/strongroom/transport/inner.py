"""One opened request, run on the application inside: its body comes in, its answer goes out, sealed.

The answer leaves as one message when it is whole and small, else as a stream of frames while the application makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from strongroom.base.errors import MalformedMessage
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES, BinaryResponse
from strongroom.channel.stream import FrameReader, chunks_of
from strongroom.transport.paths import CONTENT_TYPE, STREAM_FROM_BYTES, STREAM_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

    from strongroom.channel.bhttp import BinaryRequest
    from strongroom.channel.stream import FrameOpener, FrameSealer
    from strongroom.transport.table import OpenChannel

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = [
    "Answer",
    "ClientStalled",
    "StreamedBody",
    "WholeBody",
    "chunk_of",
    "end_channel",
    "ended",
    "inner_scope",
    "respond",
    "run_inside",
]

_EMPTY_500: Final = BinaryResponse(status=500, headers=(), content=b"")
_ENDED: Final = "strongroom.ended"
_log = logging.getLogger(__name__)


class ClientStalled(OSError):
    """The client does not read its answer. An application sees it as it sees a client that has left."""


class WholeBody:
    """Gives a body that is here already, then waits until the client leaves."""

    failure: MalformedMessage | None = None

    def __init__(self, content: bytes, receive: Receive) -> None:
        self._content: bytes | None = content
        self._receive = receive

    async def receive(self) -> Message:
        """Give the body, then the client's departure."""
        if self._content is None:
            return await departure(self._receive)
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}


class StreamedBody:
    """Opens a body frame by frame, as the application asks for it: a slow application slows its client down.

    ``begin`` goes on with the first frame. A body that breaks off, was altered, stalls or is longer than
    ``max_bytes`` reaches the application as a departure of the client, and never as an end.
    """

    def __init__(self, receive: Receive, *, stall_seconds: float, max_bytes: int | None) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._size = 0
        self._stall_seconds = stall_seconds
        self._reader = FrameReader("request")
        self._boxes: list[bytes] = []
        self._opener: FrameOpener | None = None
        self._first: bytes | None = b""
        self._outer_ended = False
        self.failure: MalformedMessage | None = None

    async def head(self, length: int) -> bytes:
        """Read what stands before the frames."""
        data = b""
        until = self._until()
        while len(data) < length:
            data += await self._more(until)
        self._boxes.extend(self._reader.feed(data[length:]))
        return data[:length]

    async def box(self) -> bytes:
        """Read the next frame's box. It has to be there in time as a whole: a trickle of bytes is no progress."""
        until = self._until()
        while not self._boxes:
            self._boxes.extend(self._reader.feed(await self._more(until)))
        return self._boxes.pop(0)

    def begin(self, opener: FrameOpener, first: bytes) -> None:
        """Go on with the content of the first frame."""
        self._opener, self._first = opener, first

    async def receive(self) -> Message:
        """Give the next piece of the body."""
        opener = self._opener
        if opener is None or self.failure is not None:
            return {"type": "http.disconnect"}
        if self._first is None and opener.ended:
            return await departure(self._receive)
        try:
            content, self._first = self._first, None
            if content is None:
                content = opener.open(await self.box())
            self._count(len(content))
            if opener.ended:
                await self._drain()
        except MalformedMessage as failure:
            self.failure = failure
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": content, "more_body": not opener.ended}

    def _count(self, size: int) -> None:
        self._size += size
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise MalformedMessage(f"more than {self._max_bytes} bytes", path="request")

    async def _drain(self) -> None:
        """Read to the end of what the client sent: nothing may stand behind the last frame."""
        until = self._until()
        while not self._boxes and not self._outer_ended:
            self._boxes.extend(self._reader.feed(await self._more(until)))
        if self._boxes:
            raise MalformedMessage("more frames behind the end of the stream", path="request")
        self._reader.finish()

    async def _more(self, until: float) -> bytes:
        if self._outer_ended:
            raise MalformedMessage("the stream was cut off", path="request")
        chunk, self._outer_ended = await chunk_of(self._receive, until)
        return chunk

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._stall_seconds


class Answer:
    """Collects what the application sends, or streams it. ``finish`` is called once the application is done."""

    def __init__(self, entry: OpenChannel, number: int, send: Send, *, may_stream: bool, stall_seconds: float) -> None:
        self._entry = entry
        self._number = number
        self._send = send
        self._may_stream = may_stream
        self._stall_seconds = stall_seconds
        self._status = 500
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._chunks: list[bytes] = []
        self._size = 0
        self._whole = False
        self._sealer: FrameSealer | None = None
        self._stalled = False

    @property
    def started(self) -> bool:
        """Whether a part of the answer has left."""
        return self._sealer is not None

    async def send(self, message: Message) -> None:
        """Take one message of the application's."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = tuple((bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ()))
        elif message["type"] == "http.response.body":
            await self._body(bytes(message.get("body", b"")), last=not message.get("more_body", False))

    async def finish(self, *, failed: bool) -> None:
        """Send what is left: the whole answer, the end of the stream, or that it is not whole."""
        if self._sealer is not None:
            # to a client that does not read there is nothing to say: the server closes what is left unfinished
            if not self._sealer.ended and not self._stalled:
                with contextlib.suppress(ClientStalled):
                    await self._pass(self._sealer.broken_off(), more=False)
            return
        response = _EMPTY_500
        if self._whole and not failed:
            response = BinaryResponse(status=self._status, headers=self._headers, content=b"".join(self._chunks))
        encoded = response.to_bytes()
        if len(encoded) > MAX_MESSAGE_BYTES:
            # no client would read it; sealing it would tell an onlooker more than that something went wrong
            _log.error("the application's answer is too large")
            encoded = _EMPTY_500.to_bytes()
        await respond(self._send, 200, self._entry.channel.seal_answer(self._number, encoded), CONTENT_TYPE)

    async def _body(self, content: bytes, *, last: bool) -> None:
        if self._whole:
            return
        self._whole = last
        if self._sealer is None and self._may_stream and (not last or len(content) > STREAM_FROM_BYTES):
            await self._start(content, last=last)
        elif self._sealer is not None:
            for frame in _frames(self._sealer, content, last=last):
                await self._pass(frame, more=not self._sealer.ended)
        elif self._size <= MAX_MESSAGE_BYTES:  # beyond, it is an error already and need not be held
            self._chunks.append(content)
            self._size += len(content)

    async def _start(self, content: bytes, *, last: bool) -> None:
        self._sealer = self._entry.channel.answer_stream(self._number)
        headers = [(b"content-type", STREAM_TYPE.encode()), (b"cache-control", b"no-store")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        pieces = chunks_of(content)
        head = BinaryResponse(status=self._status, headers=self._headers, content=next(pieces, b""))
        await self._pass(self._sealer.frame(head.to_bytes()), more=True)
        for piece in pieces:
            await self._pass(self._sealer.frame(piece), more=True)
        if last:
            await self._pass(self._sealer.frame(b"", last=True), more=False)

    async def _pass(self, frame: bytes, *, more: bool) -> None:
        # the server's flow control stops us here while the client does not read
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._send({"type": "http.response.body", "body": frame, "more_body": more})
        except TimeoutError:
            self._stalled = True
            raise ClientStalled from None


def inner_scope(request: BinaryRequest, entry: OpenChannel, outer: Scope) -> Scope:
    """Give the scope of an opened request, as the application sees it."""
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
        "extensions": {
            "strongroom": {
                "session": entry.channel.session,
                "client_binder": entry.channel.client_binder,
                "state": entry.state,
                "shared_key": entry.shared_key,
            }
        },
    }
    if "state" in outer:
        scope["state"] = outer["state"]
    return scope


def end_channel(scope: Scope) -> None:
    """Have this request's channel forgotten once it is answered, with the key by which it could be resumed."""
    scope["extensions"]["strongroom"]["state"][_ENDED] = True


def ended(entry: OpenChannel) -> bool:
    """Tell whether the application has ended a channel."""
    return _ENDED in entry.state


async def run_inside(application: Application, scope: Scope, body: WholeBody | StreamedBody, answer: Answer) -> bool:
    """Run the application on one opened request; gives whether it came to its end. Its failures are sealed too."""
    try:
        await application(scope, body.receive, answer.send)
    except ClientStalled:
        return False
    except Exception:  # noqa: BLE001 - whatever the application raises ends here, sealed
        if body.failure is None:
            # the fact alone: a message or a traceback could hold what the request held
            _log.error("the application failed")
        return False
    return True


async def chunk_of(receive: Receive, until: float) -> tuple[bytes, bool]:
    """Read the next part of an outer body and tell whether it was the last.

    ``MalformedMessage`` when none comes ``until`` then, by the event loop's clock.
    """
    try:
        async with asyncio.timeout_at(until):
            message = await receive()
    except TimeoutError:
        raise MalformedMessage("the request came too slowly", path="request") from None
    if message["type"] != "http.request":
        raise MalformedMessage("the request ended early", path="request")
    return message.get("body", b""), not message.get("more_body", False)


async def departure(receive: Receive) -> Message:
    """Wait until the client leaves."""
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message


async def respond(
    send: Send, status: int, content: bytes, content_type: str, *, retry_after: float | None = None
) -> None:
    """Send a whole outer response."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(int(retry_after)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _frames(sealer: FrameSealer, content: bytes, *, last: bool) -> Iterator[bytes]:
    """Seal content as frames, one at a time."""
    for piece in chunks_of(content):
        yield sealer.frame(piece)
    if last:
        yield sealer.frame(b"", last=True)
