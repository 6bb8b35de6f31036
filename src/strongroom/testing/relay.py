"""Somebody in the middle: one who ends the client's exchange, and one who only listens.

The relay has a session of its own with the genuine service, and shows its client the genuine enclave's fresh
evidence, claims and certificate. Against a client that checks the evidence and not what it was made for, this works
completely: the relay reads every request and passes it on. Step 6.2 of docs/spec/attested-channel.md refuses it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import httpx2

from strongroom.base.errors import MalformedMessage, StrongroomError
from strongroom.channel.messages import AnswerCore, ClientHello, ServerAnswer
from strongroom.channel.schedule import SECRET_BYTES, KeySchedule, hpke_info, transcript_hash
from strongroom.channel.secure import ClientChannel, ServerChannel, channel_id_of
from strongroom.crypto.hpke import HpkePrivateKey, seal_to
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import CONTENT_TYPE, EXCHANGE_PATH, MESSAGE_PATH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

__all__ = ["Relay", "Wiretap"]

_TIMEOUT_SECONDS: Final = 30.0


class Wiretap:
    """Passes everything on unchanged and keeps a copy of it, as a proxy that ends TLS could.

    ``seen`` holds each body in either direction, in order. It is an ASGI application.
    """

    def __init__(self, genuine_url: str) -> None:
        self._genuine = genuine_url.rstrip("/")
        self.seen: list[bytes] = []

    def serve(self, port: int = 0) -> Loopback:
        """Listen on a loopback port for as long as a ``with`` block lasts; entering gives the URL."""
        return Loopback(self, port=port)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        self.seen.append(body)
        try:
            status, answer = await self.pass_on(scope["path"], body)
        except StrongroomError as error:
            status, answer = error.http_status, b""
        self.seen.append(answer)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"")]})
        await send({"type": "http.response.body", "body": answer})

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Post a body to the genuine service; gives status and body."""
        async with httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS) as http:
            answer = await http.post(self._genuine + path, content=body, headers={"content-type": CONTENT_TYPE})
        return answer.status_code, answer.content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bridge:
    """Two sessions: the one with the client, the one with the genuine service."""

    inside: ServerChannel
    outside: ClientChannel


class Relay(Wiretap):
    """Ends the exchange itself. ``read`` holds what it could read of what clients sent, in clear."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.read: list[bytes] = []
        self._bridges: dict[bytes, _Bridge] = {}

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Take part in exchanges and messages; pass on the rest unchanged."""
        if path == EXCHANGE_PATH:
            return await self._exchange(body)
        if path == MESSAGE_PATH and (bridge := self._bridges.get(channel_id_of(body))) is not None:
            return await self._message(bridge, body)
        return await super().pass_on(path, body)

    async def _exchange(self, hello: bytes) -> tuple[int, bytes]:
        key = HpkePrivateKey.generate()
        # the client's own nonce and wishes go along: evidence that commits to those alone would commit to them
        own_hello = replace(ClientHello.from_bytes(hello), kem_key=key.public).to_bytes()
        status, answered = await super().pass_on(EXCHANGE_PATH, own_hello)
        if status != 200:
            return status, answered
        genuine = ServerAnswer.from_bytes(answered)
        genuine_core = AnswerCore.from_bytes(genuine.core)
        secret = key.open(genuine_core.sealed_secret, hpke_info(own_hello))
        outside = ClientChannel(KeySchedule.derive(secret, transcript_hash(own_hello, genuine.core)))

        own_secret = os.urandom(SECRET_BYTES)
        sealed = seal_to(ClientHello.from_bytes(hello).kem_key, own_secret, hpke_info(hello))
        core = replace(genuine_core, sealed_secret=sealed).to_bytes()
        keys = KeySchedule.derive(own_secret, transcript_hash(hello, core))
        self._bridges[keys.channel_id] = _Bridge(inside=ServerChannel(keys), outside=outside)
        return 200, replace(genuine, core=core, confirmation=keys.server_confirmation).to_bytes()

    async def _message(self, bridge: _Bridge, message: bytes) -> tuple[int, bytes]:
        number, request = bridge.inside.open_request(message)
        self.read.append(request)
        own_number, own_message = bridge.outside.seal_request(request)
        status, answered = await super().pass_on(MESSAGE_PATH, own_message)
        if status != 200:
            return status, answered
        return 200, bridge.inside.seal_answer(number, bridge.outside.open_answer(answered, own_number))


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedMessage("the request ended early", path="request")
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
