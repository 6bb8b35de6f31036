"""What travels to an attested authority, in deterministic CBOR, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto.tls_certificates import MAX_REQUEST_BYTES
from strongroom.formats.tagged_evidence import MAX_EVIDENCE_BYTES
from strongroom.ratls.paths import MAX_STAPLED_COLLATERAL_BYTES

__all__ = [
    "AUTHORITY_PATH",
    "CERTIFICATE_PATH",
    "COLLATERAL_PATH",
    "EVIDENCE_PATH",
    "MAX_CERTIFICATE_REQUEST_BYTES",
    "NONCE_BYTES",
    "NONCE_PATH",
    "CertificateRequest",
]

NONCE_PATH: Final = "/strongroom/ca/v1/nonce"
CERTIFICATE_PATH: Final = "/strongroom/ca/v1/certificate"
AUTHORITY_PATH: Final = "/strongroom/ca/v1/authority"
COLLATERAL_PATH: Final = "/strongroom/ca/v1/collateral"
EVIDENCE_PATH: Final = "/strongroom/ca/v1/evidence/"
"""Followed by the certificate's serial number in hexadecimal."""

NONCE_BYTES: Final = 32
MAX_CERTIFICATE_REQUEST_BYTES: Final = MAX_REQUEST_BYTES + MAX_EVIDENCE_BYTES + MAX_STAPLED_COLLATERAL_BYTES + 256
_FORMAT: Final = "strongroom certificate request"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """A PKCS #10 request, the nonce that the authority gave, tagged evidence over both, and collateral (JSON)."""

    nonce: bytes
    signing_request: bytes
    evidence: bytes
    collateral: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> CertificateRequest:
        """Read a request, or raise ``MalformedMessage``. Its parts are read when they are judged."""
        fields = Fields.decode(
            data, path="certificate request", error=MalformedMessage, max_bytes=MAX_CERTIFICATE_REQUEST_BYTES
        )
        fields.exactly("format", _FORMAT)
        fields.exactly("version", 1)
        request = cls(
            nonce=fields.byte_string("nonce", length=NONCE_BYTES),
            signing_request=fields.byte_string("signing_request", at_most=MAX_REQUEST_BYTES),
            evidence=fields.byte_string("evidence", at_most=MAX_EVIDENCE_BYTES),
            collateral=fields.byte_string("collateral", at_most=MAX_STAPLED_COLLATERAL_BYTES),
        )
        fields.done()
        return request

    def to_bytes(self) -> bytes:
        """Write the request."""
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": 1,
                "nonce": self.nonce,
                "signing_request": self.signing_request,
                "evidence": self.evidence,
                "collateral": self.collateral,
            }
        )
