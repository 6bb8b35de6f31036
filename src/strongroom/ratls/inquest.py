"""The steps from an established TLS connection to a verdict on its peer, without input and output of their own."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from strongroom.base.errors import AppraisalRefused, Misconfigured
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import sha256
from strongroom.crypto.tls_certificates import PeerCertificate
from strongroom.formats.collateral import Collateral
from strongroom.formats.tagged_evidence import MAX_EVIDENCE_BYTES
from strongroom.ratls.paths import COLLATERAL_PATH, EVIDENCE_PATH, MAX_STAPLED_COLLATERAL_BYTES
from strongroom.ratls.peer import KeyBoundPeer, RaTlsTerms, appraise_certificate
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Generator

    from strongroom.base.clock import Clock

__all__ = ["Inquest", "client_context"]


def client_context(*, allow_tls_1_2: bool = False) -> ssl.SSLContext:
    """Make a context that completes the handshake with any certificate: evidence decides, not an authority.

    Not ``create_default_context``, which writes TLS secrets to whatever file SSLKEYLOGFILE names. TLS 1.2 is for peers
    that have nothing newer.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if allow_tls_1_2 else ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    return context


class Inquest:
    """What sync and async have in common: the terms, what is remembered, and the steps to a verdict.

    ``verdict`` is a generator: it yields paths that it wants fetched (with the greatest size) and is sent the bytes.
    """

    def __init__(self, url: str, terms: RaTlsTerms, *, clock: Clock, collateral: Collateral | None) -> None:
        self.host, self.port = _origin(url)
        self.terms = terms
        self.clock = clock
        self._given = collateral
        self._remembered: Collateral | None = None
        self._memo = Memo(capacity=64)

    def require_origin(self, request: httpx2.Request) -> None:
        """Refuse another address than the one that the terms are for, a redirect's for instance."""
        if (request.url.scheme, request.url.raw_host, request.url.port or 443) != ("https", self.host, self.port):
            raise Misconfigured("the transport is for another address", setting="url")

    def verdict(self, connection: Any) -> Generator[tuple[str, int], bytes, KeyBoundPeer]:
        """Appraise the peer of an established TLS connection (``ssl.SSLObject``, ``ssl.SSLSocket``)."""
        _require_fresh_session(connection)
        certificate = connection.getpeercert(True) or b""
        evidence = None
        if self.terms.authority is not None:
            key_hash = sha256(PeerCertificate.from_der(certificate).spki)
            evidence = yield EVIDENCE_PATH + key_hash.hex(), MAX_EVIDENCE_BYTES
        known = self._given or self._remembered
        if known is not None:
            try:
                return self._appraise(certificate, known, evidence)
            except AppraisalRefused:
                if self._given is not None:
                    raise
        # nothing known yet, or what is remembered has aged, or the address has more than one platform behind it
        fetched = Collateral.from_json((yield COLLATERAL_PATH, MAX_STAPLED_COLLATERAL_BYTES))
        peer = self._appraise(certificate, fetched, evidence)
        self._remembered = fetched
        return peer

    def _appraise(self, certificate: bytes, collateral: Collateral, evidence: bytes | None) -> KeyBoundPeer:
        return appraise_certificate(
            certificate,
            collateral,
            self.terms,
            at=self.clock.now(),
            host=self.host.decode("ascii"),
            evidence=evidence,
            memo=self._memo,
        )

    def url_of(self, path: str) -> httpcore2.URL:
        """Give the address of a path at the same server."""
        return httpcore2.URL(scheme=b"https", host=self.host, port=self.port, target=path.encode())


def _require_fresh_session(connection: Any) -> None:
    if connection.session_reused is not False:
        raise AppraisalRefused(
            [
                Finding(
                    check=Check.FRESHNESS,
                    message="the TLS session was resumed, so its certificate is one from the past",
                    section="ra-tls 5.1",
                )
            ]
        )


def _origin(url: str) -> tuple[bytes, int]:
    try:
        parsed = httpx2.URL(url)
        port = parsed.port or 443
    except httpx2.InvalidURL as cause:
        raise Misconfigured("the server's address is not a URL", setting="url") from cause
    if parsed.scheme != "https" or not parsed.host:
        raise Misconfigured("the server's address is not an https URL", setting="url")
    return parsed.raw_host, port
