"""An attestation service over HTTP, as an ASGI application. It judges with the pure verifier and keeps nothing.

``POST /strongroom/v1/appraise`` takes an ``AppraisalRequest`` and gives a ``SignedAppraisal``: the signed result, and
with it all that it was made from, so that anyone can do the appraisal again. ``GET /strongroom/v1/verifier`` says
which key and which policy it is; a client pins those by another way. Nothing that travels is secret, but evidence
names a platform and the asking has a time and an address (docs/spec/remote-verifier.md 7): use TLS.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import MalformedMessage, StrongroomError, Unavailable
from strongroom.formats.remote_appraisal import MAX_REQUEST_BYTES, AppraisalRequest, SignedAppraisal
from strongroom.transport.inner import chunk_of, respond
from strongroom.transport.paths import APPRAISAL_TYPE, APPRAISE_PATH, HEALTH_PATH, VERIFIER_PATH
from strongroom.verifier.memo import Memo
from strongroom.verifier.remote import RESULT_LIFETIME, appraise_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from datetime import timedelta

    from strongroom.base.clock import Clock
    from strongroom.verifier.eat import VerifierId
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.token_keys import IssuerKey

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

__all__ = ["AttestationService"]

_JSON: Final = "application/json"
_STALL_SECONDS: Final = 30.0
_MAX_WAITING: Final = 64  # each with at most 1 MiB of collateral
_AT_ONCE: Final = 4


class AttestationService:
    """Serves one verifier: one policy, one key, and a name for the software."""

    def __init__(
        self,
        policy: Policy,
        key: IssuerKey,
        *,
        verifier: VerifierId,
        clock: Clock,
        lifetime: timedelta = RESULT_LIFETIME,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._policy = policy
        self._key = key
        self._verifier = verifier
        self._clock = clock
        self._lifetime = lifetime
        self._memo = Memo(capacity=1024)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._max_waiting = max_waiting
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            match scope["method"], scope["path"]:
                case "POST", path if path == APPRAISE_PATH:
                    answer = await self._appraise(receive)
                    await respond(send, 200, answer.to_bytes(), APPRAISAL_TYPE)
                case "GET", path if path == VERIFIER_PATH:
                    await respond(send, 200, json.dumps(self.described()).encode(), _JSON)
                case (("GET" | "HEAD"), path) if path == HEALTH_PATH:
                    await respond(send, 200, b'{"status":"ok"}', _JSON)
                case _:
                    await respond(send, 404, b'{"error":"not-found"}', _JSON)
        except StrongroomError as error:
            retry_after = error.retry_after_seconds if isinstance(error, Unavailable) else None
            body = json.dumps({"error": error.code, "message": error.message, "hint": error.hint}).encode()
            await respond(send, error.http_status, body, _JSON, retry_after=retry_after)

    def described(self) -> dict[str, object]:
        """Say who this is: what a client pins."""
        return {
            "key": self._key.pinned.to_text(),
            "policy_digest": self._policy.digest.hex(),
            "developer": self._verifier.developer,
            "build": self._verifier.build,
        }

    async def _appraise(self, receive: Receive) -> SignedAppraisal:
        if self._waiting >= self._max_waiting:
            raise Unavailable("too many are waiting for an appraisal", retry_after_seconds=1.0)
        self._waiting += 1
        try:
            request = await self._request(receive)
            async with self._at_once:
                return await asyncio.to_thread(
                    appraise_for,
                    request,
                    self._policy,
                    self._key,
                    verifier=self._verifier,
                    at=self._clock.now(),
                    lifetime=self._lifetime,
                    memo=self._memo,
                )
        finally:
            self._waiting -= 1

    async def _request(self, receive: Receive) -> AppraisalRequest:
        return AppraisalRequest.from_bytes(await _body(receive))


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    last = False
    until = asyncio.get_running_loop().time() + _STALL_SECONDS
    while not last:
        chunk, last = await chunk_of(receive, until)
        size += len(chunk)
        if size > MAX_REQUEST_BYTES:
            raise MalformedMessage(f"more than {MAX_REQUEST_BYTES} bytes", path="request")
        chunks.append(chunk)
    return b"".join(chunks)
