"""Any quote: the one way in for evidence of SGX and TDX, whatever its version."""

from __future__ import annotations

from strongroom.formats.quote_parts import OpenedQuote
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tee_quote import TeeQuote

__all__ = ["OpenedQuote", "Quote", "open_quote", "parse_quote", "read_whole"]

Quote = SgxQuote | TeeQuote
"""Version 3, or version 4 and 5: other classes, the same fields."""


def parse_quote(data: bytes) -> Quote:
    """Read one quote of version 3, 4 or 5, or raise ``MalformedQuote``."""
    return read_whole(open_quote(data))


def open_quote(data: bytes) -> OpenedQuote:
    """Read one quote as far as its signature section, or raise ``MalformedQuote``."""
    version = int.from_bytes(data[:2], "little")
    return TeeQuote.open(data) if version in (4, 5) else SgxQuote.open(data)


def read_whole(opened: OpenedQuote) -> Quote:
    """Read the signature section of an opened quote too, or raise ``MalformedQuote``."""
    kind: type[Quote] = TeeQuote if opened.section.nested else SgxQuote
    return kind.from_opened(opened)
