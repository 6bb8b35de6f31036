"""Any quote: the one way in for evidence of SGX and TDX, whatever its version."""

from __future__ import annotations

from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tee_quote import TeeQuote

__all__ = ["Quote", "parse_quote"]

Quote = SgxQuote | TeeQuote
"""Version 3, or version 4 and 5: other classes, the same fields."""


def parse_quote(data: bytes) -> Quote:
    """Read one quote of version 3, 4 or 5, or raise ``MalformedQuote``."""
    version = int.from_bytes(data[:2], "little")
    return TeeQuote.from_bytes(data) if version in (4, 5) else SgxQuote.from_bytes(data)
