"""Names and keys on the command line: hexadecimal, of a known length."""

from __future__ import annotations

from strongroom.base.errors import Misconfigured

__all__ = ["from_hex"]


def from_hex(text: str, *, setting: str, lengths: tuple[int, ...] = (32,)) -> bytes:
    """Read hexadecimal of one of these lengths in bytes, or raise ``Misconfigured``."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) not in lengths:
        wanted = " or ".join(str(length) for length in lengths)
        raise Misconfigured(f"--{setting} takes {wanted} bytes in hexadecimal", setting=setting)
    return value
