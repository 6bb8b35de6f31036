"""ECDSA over P-256 with SHA-256, in the raw form that quotes use: r and s, x and y, 32 bytes each, big-endian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from strongroom.crypto.hashing import sha256

__all__ = [
    "POINT_BYTES",
    "SIGNATURE_BYTES",
    "EcdsaPrivateKey",
    "EcdsaPublicKey",
    "public_key",
    "verify_der",
    "verify_raw",
]

POINT_BYTES: Final = 64
SIGNATURE_BYTES: Final = 64
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SEC 2 section 2.4.2
_ALGORITHM: Final = ec.ECDSA(SHA256())
_OF_DIGEST: Final = ec.ECDSA(Prehashed(SHA256()))  # hashlib's SHA-256 costs less than the library's own
_CURVE: Final = ec.SECP256R1()

EcdsaPublicKey = ec.EllipticCurvePublicKey
"""A public key object of the library, kept to spare its decoding on a second use."""


def public_key(point: bytes) -> EcdsaPublicKey | None:
    """Decode a 64-byte point, or give ``None`` when it is not on the curve."""
    if len(point) != POINT_BYTES:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + point)
    except ValueError:
        return None


def verify_raw(key: EcdsaPublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether a 64-byte signature is ``key``'s over ``message``; r and s are taken from 1 to n - 1 only."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        return False
    return verify_der(key, message, encode_dss_signature(r, s))


def verify_der(key: EcdsaPublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature in DER, as certificates have it, is ``key``'s over ``message``."""
    try:
        key.verify(signature, sha256(message), _OF_DIGEST)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True, repr=False)
class EcdsaPrivateKey:
    """A private key of the simulated platform: certification, attestation and signing keys."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> EcdsaPrivateKey:
        """Draw a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_scalar(cls, scalar: bytes) -> EcdsaPrivateKey:
        """Make the key that 32 bytes determine (reduced into the range of scalars)."""
        return cls(ec.derive_private_key(int.from_bytes(scalar, "big") % (_ORDER - 1) + 1, ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> EcdsaPrivateKey:
        """Read an unencrypted PKCS #8 key; ``ValueError`` when it is not a P-256 key."""
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a P-256 private key")  # noqa: TRY004 - the key is at fault, not the caller's types
        return cls(key)

    def to_pem(self) -> bytes:
        """Write the key as unencrypted PKCS #8."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def point(self) -> bytes:
        """The public point, x and y, 64 bytes."""
        numbers = self.private.public_key().public_numbers()
        return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def sign_raw(self, message: bytes) -> bytes:
        """Sign; r and s, 64 bytes."""
        r, s = decode_dss_signature(self.private.sign(message, _ALGORITHM))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
