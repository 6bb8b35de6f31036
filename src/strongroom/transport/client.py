"""An httpx2 transport whose requests travel inside an attested channel.

    transport = AttestedTransport(url, terms, clock=SystemClock())
    with httpx2.Client(transport=transport, base_url="https://store") as client:
        client.get("/v1/…")

The first request makes the exchange; nothing is sent before the verdict, and none is sent without it.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from strongroom.base.errors import ChannelRefused, MalformedMessage, Misconfigured, StoreUnreachable
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES, BinaryRequest, BinaryResponse
from strongroom.channel.client import AttestedChannel, ClientExchange, ClientTerms
from strongroom.channel.messages import MAX_ANSWER_BYTES
from strongroom.crypto.hashing import sha256
from strongroom.transport.asgi import CONTENT_TYPE, EXCHANGE_PATH, MESSAGE_PATH
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from strongroom.base.clock import Clock
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["AttestedTransport"]

_CHANNEL_SECONDS: Final = 30 * 60.0  # below the server's own limit, so that a channel rarely ends under a request
_MAX_COLLATERAL_KEPT: Final = 4
_MAX_ERROR_BYTES: Final = 4096
_MAX_RETRY_SECONDS: Final = 3600.0  # a stranger's wish to be left alone is heard, within reason
_HOP_HEADERS: Final = frozenset({b"connection", b"host", b"transfer-encoding", b"accept-encoding", b"content-length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Live:
    attested: AttestedChannel
    opened: float


class AttestedTransport(httpx2.BaseTransport):
    """Carries requests to one service. Threads may share it.

    ``url`` is where the service listens, http or https; a proxy that ends TLS on the way sees sizes and times only.
    After the first exchange the deployment stays pinned for the life of the transport, whatever the terms said.
    """

    def __init__(
        self,
        url: str,
        terms: ClientTerms,
        *,
        clock: Clock,
        timeout_seconds: float = 30.0,
        outer: httpx2.BaseTransport | None = None,
    ) -> None:
        _check_address(url)
        self._base = url.rstrip("/")
        self._terms = terms
        self._clock = clock
        self._http = httpx2.Client(
            transport=outer or httpx2.HTTPTransport(verify=_outer_tls(), trust_env=False),
            timeout=timeout_seconds,
            trust_env=False,  # no proxy and no key log file that the environment names
            follow_redirects=False,
        )
        self._live: _Live | None = None
        self._lock = threading.Lock()
        self._memo = Memo(capacity=_MAX_COLLATERAL_KEPT * 16)
        self._collateral: OrderedDict[bytes, bytes] = OrderedDict()

    def peer(self) -> AttestedPeer:
        """Return the attested peer, making the exchange if there is no live channel."""
        return self._channel().peer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request inside the channel; after a restart of the service, attest again and send it once more.

        A service that does not know the channel has not opened the request. But nothing proves that it was the
        service which said so: somebody in the middle can have a request served twice, each time in a channel of its
        own. What must not happen twice, the application has to see to (the store's writes are compare-and-swap).
        A request of more than ``MAX_MESSAGE_BYTES`` is ``MalformedMessage`` and is not sent.
        """
        plaintext = _binary(request).to_bytes()
        if len(plaintext) > MAX_MESSAGE_BYTES:
            raise MalformedMessage(f"more than {MAX_MESSAGE_BYTES} bytes", path="request")
        attested = self._channel()
        try:
            response = self._send(attested, plaintext)
        except ChannelRefused:
            self._forget(attested)
            response = self._send(self._channel(), plaintext)
        return httpx2.Response(
            response.status, headers=list(response.headers), content=response.content, request=request
        )

    def close(self) -> None:
        """Close the connections. The channel's keys are forgotten with the object."""
        self._live = None
        self._http.close()

    def _channel(self) -> AttestedChannel:
        with self._lock:
            live = self._live
            if live is not None and not self._stale(live):
                return live.attested
            attested = self._exchange()
            self._terms = replace(self._terms, deployment=attested.peer.deployment)
            self._live = _Live(attested=attested, opened=self._clock.monotonic())
            return attested

    def _stale(self, live: _Live) -> bool:
        aged = self._clock.monotonic() - live.opened > _CHANNEL_SECONDS
        return aged or self._clock.now().timestamp() * 1000 >= live.attested.peer.expires_at_ms

    def _forget(self, attested: AttestedChannel) -> None:
        with self._lock:
            if self._live is not None and self._live.attested is attested:
                self._live = None

    def _exchange(self) -> AttestedChannel:
        exchange = ClientExchange(self._terms, collateral=self._collateral, memo=self._memo)
        started = self._clock.monotonic()
        answer = self._post(EXCHANGE_PATH, exchange.hello, MAX_ANSWER_BYTES)
        elapsed = self._clock.monotonic() - started
        attested = exchange.finish(answer, elapsed_seconds=elapsed, at=self._clock.now())
        self._collateral[sha256(attested.collateral)] = attested.collateral
        while len(self._collateral) > _MAX_COLLATERAL_KEPT:
            self._collateral.popitem(last=False)
        return attested

    def _send(self, attested: AttestedChannel, plaintext: bytes) -> BinaryResponse:
        number, message = attested.channel.seal_request(plaintext)
        answer = self._post(MESSAGE_PATH, message, MAX_MESSAGE_BYTES + 64)
        return BinaryResponse.from_bytes(attested.channel.open_answer(answer, number))

    def _post(self, path: str, content: bytes, limit: int) -> bytes:
        """Post bytes, and map whatever the network or a stranger on the way does to our own families."""
        headers = {"content-type": CONTENT_TYPE, "accept-encoding": "identity"}
        try:
            with self._http.stream("POST", self._base + path, content=content, headers=headers) as response:
                body = _read(response, limit if response.status_code == 200 else _MAX_ERROR_BYTES)
        except httpx2.HTTPError as cause:
            raise StoreUnreachable(f"cannot reach the service: {type(cause).__name__}") from cause
        if response.status_code == 200:
            return body
        raise _refusal(response.status_code, body, response.headers.get("retry-after", ""))


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        usable = False
    if not usable:
        raise Misconfigured("the service's address is not an http or https URL", setting="url")


def _read(response: httpx2.Response, limit: int) -> bytes:
    """Read a body, giving up as soon as it is too large: whoever answers may not fill our memory."""
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > limit:
            raise MalformedMessage(f"more than {limit} bytes", path="answer")
        chunks.append(chunk)
    return b"".join(chunks)


def _refusal(status: int, content: bytes, retry_after: str) -> Exception:
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
    return StoreUnreachable(f"the service answered with status {status}{detail}", retry_after_seconds=seconds)


def _binary(request: httpx2.Request) -> BinaryRequest:
    return BinaryRequest(
        method=request.method.encode(),
        scheme=b"https",
        authority=request.url.netloc,
        path=request.url.raw_path,
        headers=tuple((name.lower(), value) for name, value in request.headers.raw if name.lower() not in _HOP_HEADERS),
        content=request.read(),
    )


def _outer_tls() -> ssl.SSLContext:
    """Check the outer certificate as any client does; the trust decision is the inner one, by evidence.

    Not ``create_default_context``: that writes TLS secrets to whatever file SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
