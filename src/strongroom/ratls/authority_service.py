"""An attested authority over HTTP, as an ASGI application. It decides nothing; see ``authority``.

Nothing that travels is secret and everything that counts is signed, so it may be served with or without TLS, through
any proxy. ``POST …/nonce`` gives 32 bytes, ``POST …/certificate`` takes a ``CertificateRequest`` and gives DER,
``GET …/authority`` gives the root certificate (DER, with evidence in it), ``GET …/collateral`` the collateral of the
authority's own platform, ``GET …/evidence/SERIAL`` the evidence behind a certificate that has not ended yet.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import AppraisalRefused, MalformedMessage, StrongroomError, Unavailable
from strongroom.ratls.authority import Authority, Certified, NonceBook, decide
from strongroom.ratls.authority_messages import (
    AUTHORITY_PATH,
    CERTIFICATE_PATH,
    COLLATERAL_PATH,
    EVIDENCE_PATH,
    MAX_CERTIFICATE_REQUEST_BYTES,
    NONCE_PATH,
    CertificateRequest,
)
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from strongroom.base.clock import Clock
    from strongroom.ratls.ports import EndorsementSource

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

__all__ = ["AuthorityService"]

MAX_LIVE_CERTIFICATES: Final = 2_000  # each with 5 KB of evidence; a certificate is not issued if it could not be kept
_MAX_SERIAL_DIGITS: Final = 40
_OCTETS: Final = "application/octet-stream"
_PKIX: Final = "application/pkix-cert"
_JSON: Final = "application/json"


class AuthorityService:
    """Serves one authority. ``endorsements`` knows the collateral of the authority's own platform."""

    def __init__(
        self,
        authority: Authority,
        *,
        endorsements: EndorsementSource,
        clock: Clock,
        nonces: NonceBook | None = None,
        max_live_certificates: int = MAX_LIVE_CERTIFICATES,
    ) -> None:
        self._authority = authority
        self._endorsements = endorsements
        self._clock = clock
        self._nonces = nonces or NonceBook()
        self._max_live = max_live_certificates
        self._live: dict[int, Certified] = {}
        self._memo = Memo(capacity=256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            status, content, content_type = await self._answer(scope["method"], scope["path"], receive)
        except StrongroomError as error:
            status, content, content_type = error.http_status, _error_json(error), _JSON
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, method: str, path: str, receive: Receive) -> tuple[int, bytes, str]:
        match method, path:
            case "POST", p if p == NONCE_PATH:
                return 200, self._nonces.draw(self._clock.monotonic()), _OCTETS
            case "POST", p if p == CERTIFICATE_PATH:
                return 200, await self._certify(await _body(receive)), _PKIX
            case "GET", p if p == AUTHORITY_PATH:
                return 200, self._authority.certificate, _PKIX
            case "GET", p if p == COLLATERAL_PATH:
                return 200, self._endorsements.collateral(self._clock.now()), _JSON
            case "GET", p if p.startswith(EVIDENCE_PATH):
                evidence = self._evidence(path.removeprefix(EVIDENCE_PATH))
                if evidence is not None:
                    return 200, evidence, _OCTETS
        return 404, b'{"error":"not-found"}', _JSON

    async def _certify(self, body: bytes) -> bytes:
        request = CertificateRequest.from_bytes(body)
        # used up before anything is judged: whatever comes of it, the same request is never good again
        live = self._nonces.take(request.nonce, self._clock.monotonic())
        now = self._clock.now()
        approval = await asyncio.to_thread(
            decide, request, self._authority.terms, nonce_is_live=live, at=now, memo=self._memo
        )
        self._live = {serial: kept for serial, kept in self._live.items() if kept.not_after >= now}
        if len(self._live) >= self._max_live:
            raise Unavailable("too many certificates are out", retry_after_seconds=60.0)
        certified = self._authority.certify(approval, at=now)
        self._live[certified.serial] = certified
        return certified.certificate

    def _evidence(self, serial: str) -> bytes | None:
        if not (serial.isascii() and serial.isalnum()) or len(serial) > _MAX_SERIAL_DIGITS:
            return None
        try:
            kept = self._live.get(int(serial, 16))
        except ValueError:
            return None
        return kept.evidence if kept is not None and kept.not_after >= self._clock.now() else None


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedMessage("the request ended early", path="request")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_CERTIFICATE_REQUEST_BYTES:
            raise MalformedMessage(f"more than {MAX_CERTIFICATE_REQUEST_BYTES} bytes", path="request")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _error_json(error: StrongroomError) -> bytes:
    body: dict[str, object] = {"error": error.code, "message": error.message}
    if isinstance(error, AppraisalRefused):
        body["findings"] = [[str(finding.check), finding.section] for finding in error.findings]
    return json.dumps(body).encode()
