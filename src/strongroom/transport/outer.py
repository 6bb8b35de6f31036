"""The outside of a channel, for both clients: what is posted, and how strangers' answers are read."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from strongroom.base.errors import ChannelRefused, MalformedMessage, Misconfigured, StoreUnreachable
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES, BinaryRequest, BinaryResponse
from strongroom.channel.stream import FrameReader, chunks_of
from strongroom.transport.paths import CONTENT_TYPE, MESSAGE_PATH, STREAM_FROM_BYTES, STREAM_PATH, STREAM_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Iterator

    from strongroom.channel.secure import ClientChannel
    from strongroom.channel.stream import FrameSealer

    _Content = bytes | Iterable[bytes] | AsyncIterable[bytes]

__all__ = [
    "HEADERS",
    "MAX_ERROR_BYTES",
    "MAX_SEALED_BYTES",
    "AnswerReader",
    "OuterRequests",
    "Outgoing",
    "ServiceRefused",
    "binary_head",
    "is_small",
    "limited",
    "outer_tls",
    "refusal",
    "unreachable",
    "usable_address",
]

HEADERS: Final = {
    "content-type": CONTENT_TYPE,
    "accept": f"{CONTENT_TYPE}, {STREAM_TYPE}",
    "accept-encoding": "identity",
}
MAX_SEALED_BYTES: Final = MAX_MESSAGE_BYTES + 64
MAX_ERROR_BYTES: Final = 4096
_MAX_RETRY_SECONDS: Final = 3600.0  # a stranger's wish to be left alone is heard, within reason
_HOP_HEADERS: Final = frozenset({b"connection", b"host", b"transfer-encoding", b"accept-encoding", b"content-length"})


class ServiceRefused(StoreUnreachable):
    """Something answered where the service should be, with a status of its own. Not authenticated."""

    def __init__(self, message: str, *, status: int, retry_after_seconds: float | None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.status = status


class Outgoing:
    """One request on one channel: ``path`` and the bytes to post, as one message or as frames."""

    def __init__(self, channel: ClientChannel, head: BinaryRequest, *, streamed: bool) -> None:
        """``head`` has its content unless the body is ``streamed``."""
        self._channel = channel
        self._head = head
        self._sealer: FrameSealer | None = None
        self.message = b""
        self.prefix = b""
        if streamed:
            self.path = STREAM_PATH
            self.number, self.prefix, self._sealer = channel.begin_stream()
        else:
            self.path = MESSAGE_PATH
            self.number, self.message = channel.seal_request(head.to_bytes())

    def first(self) -> bytes:
        """Give the start of a streamed body."""
        return self.prefix + self._stream.frame(self._head.to_bytes())

    def frames(self, content: bytes) -> Iterator[bytes]:
        """Seal a piece of the body, of any size."""
        for piece in chunks_of(content):
            yield self._stream.frame(piece)

    def end(self) -> bytes:
        """Seal the end."""
        return self._stream.frame(b"", last=True)

    def answer(self, content_type: str) -> AnswerReader:
        """Give a reader for an answer that is labelled so."""
        return AnswerReader(self._channel, self.number, streamed=content_type == STREAM_TYPE)

    @property
    def _stream(self) -> FrameSealer:
        if self._sealer is None:
            raise ValueError("this request is one message")
        return self._sealer


class AnswerReader:
    """Opens the answer to one request as it arrives. ``response`` is there once its head has opened.

    An answer that ends without its end is ``MalformedMessage``, as is any that was altered.
    """

    def __init__(self, channel: ClientChannel, number: int, *, streamed: bool) -> None:
        self._channel = channel
        self._number = number
        self._opener = channel.answer_stream(number) if streamed else None
        self._frames = FrameReader("answer")
        self._message: list[bytes] = []
        self._size = 0
        self.response: BinaryResponse | None = None

    @property
    def streamed(self) -> bool:
        """Whether there may be more content than ``response`` holds."""
        return self._opener is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes from outside; gives the content that opened, as far as it is not in ``response``."""
        if self._opener is None:
            self._size += len(data)
            if self._size > MAX_SEALED_BYTES:
                raise MalformedMessage(f"more than {MAX_SEALED_BYTES} bytes", path="answer")
            self._message.append(data)
            return
        for box in self._frames.feed(data):
            content = self._opener.open(box)
            if self.response is None:
                self.response = BinaryResponse.from_bytes(content)
            elif content:
                yield content

    def finish(self) -> BinaryResponse:
        """Note that nothing more will come; gives the response."""
        if self._opener is None:
            plaintext = self._channel.open_answer(b"".join(self._message), self._number)
            self.response = BinaryResponse.from_bytes(plaintext)
            return self.response
        self._frames.finish()
        self._opener.finish()
        if self.response is None:
            raise MalformedMessage("a stream without a head", path="answer")
        return self.response


def usable_address(url: str) -> str:
    """Give the address without a slash at its end, or raise ``Misconfigured``."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        usable = False
    if not usable:
        raise Misconfigured("the service's address is not an http or https URL", setting="url")
    return url.rstrip("/")


def is_small(request: httpx2.Request) -> bool:
    """Tell whether a request's body is known to fit one message, so that it can be held."""
    if isinstance(request.stream, httpx2.ByteStream):
        length = request.headers.get("content-length", "0")
    else:
        length = request.headers.get("content-length", "")
    return length.isascii() and length.isdigit() and int(length) <= STREAM_FROM_BYTES


def binary_head(request: httpx2.Request, content: bytes) -> BinaryRequest:
    """Turn a request into the message that travels inside."""
    return BinaryRequest(
        method=request.method.encode(),
        scheme=b"https",
        authority=request.url.netloc,
        path=request.url.raw_path,
        headers=tuple((name.lower(), value) for name, value in request.headers.raw if name.lower() not in _HOP_HEADERS),
        content=content,
    )


def limited(size: int, limit: int) -> None:
    """Give up as soon as an answer is too large: whoever answers may not fill our memory."""
    if size > limit:
        raise MalformedMessage(f"more than {limit} bytes", path="answer")


def unreachable(cause: httpx2.HTTPError) -> StoreUnreachable:
    """Map whatever the network does to our own family."""
    return StoreUnreachable(f"cannot reach the service: {type(cause).__name__}")


def refusal(status: int, content: bytes, retry_after: str) -> ChannelRefused | MalformedMessage | ServiceRefused:
    """Read an error from outside the channel. It is unauthenticated: it can stop us and nothing else."""
    try:
        body = json.loads(content)
        code, message = str(body.get("error", "")), str(body.get("message", ""))[:200]
    except (ValueError, AttributeError, RecursionError):
        code, message = "", ""
    # a stranger's sentence may end up on a terminal: no control characters
    message = "".join(character if character.isprintable() else "?" for character in message)
    if status == ChannelRefused.http_status and code == ChannelRefused.code:
        return ChannelRefused(message or "the service does not know the channel")
    if status == MalformedMessage.http_status and code == MalformedMessage.code:
        return MalformedMessage(message, path="service")
    detail = f": {message}" if message else ""
    seconds = min(float(retry_after), _MAX_RETRY_SECONDS) if retry_after.isascii() and retry_after.isdigit() else None
    return ServiceRefused(
        f"the service answered with status {status}{detail}", status=status, retry_after_seconds=seconds
    )


class OuterRequests:
    """Builds what is posted to one address, without the cookies, redirects and log lines of a browsing client.

    ``timeout_seconds`` bounds each wait for the network; with ``None`` the request inside says how long.
    """

    def __init__(self, base: str, timeout_seconds: float | None) -> None:
        self._base = base
        self._timeout = httpx2.Timeout(timeout_seconds).as_dict()
        self._own_timeout = timeout_seconds is not None
        self._urls: dict[str, httpx2.URL] = {}
        user, password = (httpx2.URL(base).username, httpx2.URL(base).password)
        self._headers = dict(HEADERS)
        if user or password:  # a guard at the door, as some put one before a service; it is no part of the trust
            self._headers["authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()

    def message(self, path: str, content: _Content, inner: httpx2.Request) -> httpx2.Request:
        """Build the post that carries ``inner``."""
        timeout = self._timeout if self._own_timeout else inner.extensions.get("timeout", self._timeout)
        return self._request(self._url(path), content, timeout, self._headers)

    def post(self, path: str, content: bytes) -> httpx2.Request:
        """Build a post of the channel's own."""
        return self._request(self._url(path), content, self._timeout, self._headers)

    def elsewhere(self, url: str, content: bytes) -> httpx2.Request:
        """Build a post to another service."""
        return self._request(httpx2.URL(url), content, self._timeout, HEADERS)

    def _url(self, path: str) -> httpx2.URL:
        if path not in self._urls:  # there are four
            self._urls[path] = httpx2.URL(self._base + path)
        return self._urls[path]

    @staticmethod
    def _request(url: httpx2.URL, content: _Content, timeout: object, headers: dict[str, str]) -> httpx2.Request:
        return httpx2.Request("POST", url, content=content, headers=headers, extensions={"timeout": timeout})


def outer_tls() -> ssl.SSLContext:
    """Check the outer certificate as any client does; the trust decision is the inner one, by evidence.

    Not ``create_default_context``: that writes TLS secrets to whatever file SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
