"""An enclave that wants an ordinary certificate: it attests its key to an attested authority.

authority = fetch_authority(http, terms, at=…)        # appraised, or pinned by whoever configured the enclave
certificate = request_certificate(http, attester, names=["vault.example"], …, authority=authority, at=…)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import httpx2

from strongroom.base.errors import MalformedMessage, NotAuthorised, Unavailable
from strongroom.crypto.tls_certificates import (
    MAX_TLS_CERTIFICATE_BYTES,
    PeerCertificate,
    TlsKey,
    request_signature,
)
from strongroom.formats.collateral import Collateral
from strongroom.ratls.authority_messages import (
    AUTHORITY_PATH,
    CERTIFICATE_PATH,
    COLLATERAL_PATH,
    NONCE_BYTES,
    NONCE_PATH,
    CertificateRequest,
)
from strongroom.ratls.binding import attest_key
from strongroom.ratls.issuing import ServerCertificate
from strongroom.ratls.paths import MAX_STAPLED_COLLATERAL_BYTES
from strongroom.ratls.peer import KeyBoundPeer, RaTlsTerms, appraise_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.ratls.ports import Attester

__all__ = ["fetch_authority", "request_certificate"]

_MAX_ERROR_BYTES: Final = 4096
_MAX_MESSAGE: Final = 500


def fetch_authority(http: httpx2.Client, terms: RaTlsTerms, *, at: datetime) -> tuple[bytes, KeyBoundPeer]:
    """Fetch an authority's root certificate (DER) and appraise the enclave that its key was born in.

    ``terms`` are for the authority's code. Raises ``AppraisalRefused``, ``Malformed``, ``Unavailable``.
    """
    certificate = _send(http, "GET", AUTHORITY_PATH, b"", MAX_TLS_CERTIFICATE_BYTES)
    collateral = Collateral.from_json(_send(http, "GET", COLLATERAL_PATH, b"", MAX_STAPLED_COLLATERAL_BYTES))
    return certificate, appraise_certificate(certificate, collateral, terms, at=at)


def request_certificate(
    http: httpx2.Client,
    attester: Attester,
    *,
    names: Sequence[str],
    collateral: bytes,
    authority: bytes,
    at: datetime,
) -> ServerCertificate:
    """Draw a key, attest it to an authority and get a certificate for ``names``.

    ``collateral`` is that of this platform (JSON); ``authority`` the root certificate (DER) that is expected to sign.
    Raises ``NotAuthorised`` when the authority refuses, ``Unavailable``, ``AttesterUnavailable``, and ``Malformed``
    when what it gives is not the certificate asked for.
    """
    key = TlsKey.generate()
    nonce = _send(http, "POST", NONCE_PATH, b"", NONCE_BYTES)
    if len(nonce) != NONCE_BYTES:
        raise MalformedMessage(f"a nonce of {len(nonce)} bytes, not {NONCE_BYTES}", path="authority")
    evidence = attest_key(attester, key.spki, nonce=nonce)
    request = CertificateRequest(
        nonce=nonce, signing_request=request_signature(key, names), evidence=evidence, collateral=collateral
    )
    issued = _send(http, "POST", CERTIFICATE_PATH, request.to_bytes(), MAX_TLS_CERTIFICATE_BYTES)
    certificate, root = PeerCertificate.from_der(issued), PeerCertificate.from_der(authority)
    right = (
        certificate.spki == key.spki
        and set(certificate.names()) == set(names)
        and certificate.issuer == root.subject
        and certificate.signed_by(root.spki)
        and certificate.not_before <= at <= certificate.not_after
    )
    if not right:
        raise MalformedMessage("the authority gave another certificate than the one asked for", path="authority")
    return ServerCertificate(
        chain=(issued,),
        key=key,
        evidence=evidence,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )


def _send(http: httpx2.Client, method: str, path: str, content: bytes, limit: int) -> bytes:
    body = b""
    try:
        with http.stream(method, path, content=content, headers={"accept-encoding": "identity"}) as response:
            bound = limit if response.status_code == 200 else _MAX_ERROR_BYTES
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > bound:
                    raise MalformedMessage(f"more than {bound} bytes", path="authority")
    except httpx2.HTTPError as cause:
        raise Unavailable(f"cannot reach the authority: {type(cause).__name__}") from cause
    if response.status_code == 200:
        return body
    message = _message(body)
    if response.status_code == 403:
        raise NotAuthorised(f"the authority gives no certificate: {message}")
    raise Unavailable(f"the authority answered with status {response.status_code}: {message}")


def _message(body: bytes) -> str:
    """Read a stranger's sentence: bounded, and without control characters."""
    try:
        parsed = json.loads(body)
        message = str(parsed.get("message", ""))[:_MAX_MESSAGE]
    except (ValueError, AttributeError, RecursionError):
        return ""
    return "".join(character if character.isprintable() else "?" for character in message)
