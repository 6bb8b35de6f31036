"""Hash functions by their numbers in IANA's Named Information registry: the three that RA-TLS peers use."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["SHA256", "SHA384", "SHA512", "named_hash"]

SHA256: Final = 1
SHA384: Final = 7
SHA512: Final = 8
_NAMES: Final = {SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}


def named_hash(algorithm: int, data: bytes) -> bytes | None:
    """Hash by number, or give ``None`` when the number is none of the three."""
    name = _NAMES.get(algorithm)
    return None if name is None else hashlib.new(name, data).digest()
