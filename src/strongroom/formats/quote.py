"""Any quote: the one way in for evidence of SGX and TDX, whatever its version."""

from __future__ import annotations

from strongroom.formats.quote_parts import QuoteHeader, begin
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tee_quote import TeeQuote

__all__ = ["Quote", "parse_quote"]

Quote = SgxQuote | TeeQuote
"""Version 3, or version 4 and 5: other classes, the same fields."""


def parse_quote(data: bytes) -> Quote:
    """Read one quote of version 3, 4 or 5, or raise ``MalformedQuote``."""
    header = QuoteHeader.read(begin(data))
    return SgxQuote.from_bytes(data) if header.version == 3 else TeeQuote.from_bytes(data)
