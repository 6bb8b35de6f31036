"""RSA certificates as Intel's attestation service used them: read, checked, and nothing else (RFC 5280, RFC 8017).

For reports of the past only. Whatever Strongroom itself relies on is signed by elliptic curves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import split_pem
from strongroom.crypto.hashing import sha256

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["RsaCertificate", "parse_rsa_chain"]

T = TypeVar("T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaCertificate:
    """What is judged of a certificate. ``fingerprint`` is SHA-256 of its DER (32 bytes)."""

    fingerprint: bytes
    subject: bytes
    issuer: bytes
    common_name: str
    not_before: datetime
    not_after: datetime
    is_ca: bool
    signs: bool
    key_bits: int
    _key: RSAPublicKey = field(repr=False, compare=False)
    _certificate: x509.Certificate = field(repr=False, compare=False)

    @classmethod
    def from_der(cls, data: bytes, *, path: str) -> RsaCertificate:
        """Read a certificate, or raise ``MalformedCollateral``."""
        try:
            certificate = x509.load_der_x509_certificate(data)
            key = certificate.public_key()
            constraints = _extension(certificate, x509.BasicConstraints)
            usage = _extension(certificate, x509.KeyUsage)
            names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            subject, issuer = certificate.subject.public_bytes(), certificate.issuer.public_bytes()
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as cause:
            raise MalformedCollateral("not a certificate", path=path) from cause
        if not isinstance(key, RSAPublicKey):
            raise MalformedCollateral("not an RSA certificate", path=path)
        return cls(
            fingerprint=sha256(data),
            subject=subject,
            issuer=issuer,
            common_name=str(names[0].value) if names else "",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            is_ca=constraints is not None and constraints.ca,
            signs=usage is not None and usage.digital_signature,
            key_bits=key.key_size,
            _key=key,
            _certificate=certificate,
        )

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2)."""
        try:
            self._key.verify(signature, message, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def issued(self, subject: RsaCertificate) -> bool:
        """Tell whether this certificate's key signed the other one and is named as its issuer."""
        try:
            subject._certificate.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


def parse_rsa_chain(data: bytes, *, path: str) -> tuple[RsaCertificate, ...]:
    """Read the certificates of a PEM text in their order (1 to 8), or raise ``MalformedCollateral``."""
    return tuple(
        RsaCertificate.from_der(der, path=f"{path}[{index}]") for index, der in enumerate(split_pem(data, path=path))
    )


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
