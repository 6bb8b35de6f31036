"""Ed25519 (RFC 8032) for our own statements: deployment, instance, head, account and device keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["PUBLIC_KEY_BYTES", "SEED_BYTES", "SIGNATURE_BYTES", "SigningKey", "verify"]

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key. It has no representation, so that no log or traceback shows it."""

    _key: Ed25519PrivateKey
    public: bytes

    @classmethod
    def generate(cls) -> SigningKey:
        """Draw a new key."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Make the key that a 32-byte seed determines."""
        return cls._of(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def _of(cls, key: Ed25519PrivateKey) -> SigningKey:
        return cls(key, key.public_key().public_bytes_raw())

    @property
    def seed(self) -> bytes:
        """The 32 bytes to seal when the key has to be kept."""
        return self._key.private_bytes_raw()

    def sign(self, label: str, message: bytes) -> bytes:
        """Sign ``message`` for the purpose ``label``; 64 bytes."""
        return self._key.sign(_framed(label, message))


def verify(public_key: bytes, label: str, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` is the key's over ``message`` for the purpose ``label``."""
    try:
        _public(public_key).verify(signature, _framed(label, message))
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=64)  # a client meets the same few instances and devices again and again
def _public(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)


def _framed(label: str, message: bytes) -> bytes:
    # the label is part of what is signed, so that no signature can be shown as one made for another purpose
    text = label.encode()
    return len(text).to_bytes(2, "big") + text + message
