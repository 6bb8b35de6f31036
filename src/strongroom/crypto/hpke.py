"""HPKE base mode (RFC 9180) with the hybrid KEM MLKEM768-X25519, HKDF-SHA-256 and AES-256-GCM.

One-shot, as the library offers it: no associated data and no exporter. What a box is for therefore goes into
``info``, and further keys come from the sealed secret itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from strongroom.crypto.aead import OpenFailed

__all__ = ["PUBLIC_KEY_BYTES", "SEALED_SECRET_BYTES", "HpkePrivateKey", "InvalidPublicKey", "seal_to"]

_MLKEM_PUBLIC_BYTES: Final = 1184  # FIPS 203 table 3
_X25519_PUBLIC_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = _MLKEM_PUBLIC_BYTES + _X25519_PUBLIC_BYTES
SEALED_SECRET_BYTES: Final = 1120 + 32 + 16  # encapsulation, a 32-byte secret, tag

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class InvalidPublicKey(ValueError):
    """Not a public key of this KEM."""


@dataclass(frozen=True, slots=True, repr=False)
class HpkePrivateKey:
    """A one-time private key: made for one exchange, forgotten after it."""

    _key: MLKEM768X25519PrivateKey
    public: bytes

    @classmethod
    def generate(cls) -> HpkePrivateKey:
        """Draw a new key pair."""
        return cls._of(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_seeds(cls, mlkem_seed: bytes, x25519_key: bytes) -> HpkePrivateKey:
        """Make the pair that a 64-byte ML-KEM seed and a 32-byte X25519 key determine (test vectors)."""
        return cls._of(MLKEM768PrivateKey.from_seed_bytes(mlkem_seed), X25519PrivateKey.from_private_bytes(x25519_key))

    @classmethod
    def _of(cls, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> HpkePrivateKey:
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        return cls(MLKEM768X25519PrivateKey(mlkem, x25519), public)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Open what was sealed to this key for ``info``, or raise ``OpenFailed``."""
        try:
            return _SUITE.decrypt(sealed, self._key, info=info)
        except (InvalidTag, ValueError):
            raise OpenFailed from None


def seal_to(public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal ``plaintext`` to a 1,216-byte public key; the encapsulation comes first."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidPublicKey(f"a public key has {PUBLIC_KEY_BYTES} bytes")
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_BYTES])
        x25519 = X25519PublicKey.from_public_bytes(public_key[_MLKEM_PUBLIC_BYTES:])
        return _SUITE.encrypt(plaintext, MLKEM768X25519PublicKey(mlkem, x25519), info=info)
    except ValueError as cause:
        raise InvalidPublicKey("not a public key of MLKEM768-X25519") from cause
