"""HKDF-SHA-256 (RFC 5869) and the keyed hash that hides identifiers."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KEY_BYTES", "derive", "expand_each", "hkdf", "keyed_hash"]

KEY_BYTES = 32
_SHA256 = hashes.SHA256()


def hkdf(secret: bytes, info: bytes, *, length: int = KEY_BYTES, salt: bytes | None = None) -> bytes:
    """Extract and expand ``secret``; ``info`` says what the result is for (RFC 5869 section 3.2)."""
    return HKDF(algorithm=_SHA256, length=length, salt=salt, info=info).derive(secret)


def expand_each(secret: bytes, infos: Sequence[bytes]) -> list[bytes]:
    """Give ``hkdf(secret, info)`` for each info; what they share, extraction and keyed state, is done once.

    A key is as long as the hash, so its expansion is one block: HMAC of info and 0x01 (RFC 5869 section 2.3).
    """
    keyed = hmac.new(HKDF.extract(_SHA256, None, secret), digestmod=hashlib.sha256)
    keys = []
    for info in infos:
        block = keyed.copy()
        block.update(info + b"\x01")
        keys.append(block.digest())
    return keys


def derive(secret: bytes, label: str, *context: bytes, length: int = KEY_BYTES) -> bytes:
    """Derive a key for one purpose: HKDF whose info is the label and each context, each preceded by its length.

    The lengths make the encoding unambiguous: ("ab", "c") and ("a", "bc") give different keys.
    """
    info = b"".join(len(part).to_bytes(4, "big") + part for part in (label.encode(), *context))
    return hkdf(secret, info, length=length)


def keyed_hash(key: bytes, label: str, *parts: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) over a label and parts, each preceded by its length; 32 bytes."""
    state = hmac.new(key, digestmod=hashlib.sha256)
    for part in (label.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()
