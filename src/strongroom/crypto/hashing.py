"""SHA-256, with a label for each use so that a hash made for one purpose is never one made for another."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

__all__ = ["DIGEST_BYTES", "digest_of", "equal", "labelled_hash", "sha256"]

DIGEST_BYTES = 32


def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4), 32 bytes."""
    return hashlib.sha256(data).digest()


@lru_cache(maxsize=8)
def digest_of(document: bytes) -> bytes:
    """SHA-256 of a long public document that is hashed again and again, computed once while it is in use."""
    return sha256(document)


def labelled_hash(label: str, *parts: bytes) -> bytes:
    """SHA-256 over a label and parts, each preceded by its length in 8 bytes, so that no two inputs collide."""
    state = hashlib.sha256()
    for part in (label.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def equal(left: bytes, right: bytes) -> bool:
    """Compare in time that does not depend on where two values differ."""
    return hmac.compare_digest(left, right)
