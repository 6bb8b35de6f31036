"""Ed25519 (RFC 8032) over a message as it is, which JOSE and COSE ask for: RFC 8037, RFC 9053 section 2.2.

Our own statements carry a label (``crypto.signatures``). What is signed here has none, so a key for this belongs to
one use only. Should a key be used for both by mistake, no signature of one is one of the other: a labelled message
begins with the label's length, a JWS with ``ey``, a COSE structure with the head of a list of four.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

__all__ = ["PUBLIC_KEY_BYTES", "SEED_BYTES", "SIGNATURE_BYTES", "EddsaPrivateKey", "verify_raw"]

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True, repr=False)
class EddsaPrivateKey:
    """A private key. It has no representation, so that no log or traceback shows it."""

    _key: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> EddsaPrivateKey:
        """Draw a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> EddsaPrivateKey:
        """Make the key that a 32-byte seed determines."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> EddsaPrivateKey:
        """Read an unencrypted PKCS #8 key; ``ValueError`` when it is not an Ed25519 key."""
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 private key")  # noqa: TRY004 - the key is at fault, not the caller's types
        return cls(key)

    def to_pem(self) -> bytes:
        """Write the key as unencrypted PKCS #8."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign_raw(self, message: bytes) -> bytes:
        """Sign the message as it is; 64 bytes."""
        return self._key.sign(message)


def verify_raw(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a 64-byte signature is that of a 32-byte public key over the message as it is."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
