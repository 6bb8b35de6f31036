"""CRLs in the forms in which they are handed around: DER, PEM, or the hexadecimal text of DER."""

from __future__ import annotations

import binascii
import re
from typing import Final

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import MAX_CRL_BYTES, RevocationList

__all__ = ["crl_der", "parse_crl"]

# possessive, one white space after the marker: no text makes it try again, so its time is linear
_PEM: Final = re.compile(rb"\s*+-----BEGIN X509 CRL-----\s([A-Za-z0-9+/=\s]++)-----END X509 CRL-----[\s\0]*+", re.ASCII)
_HEX: Final = re.compile(rb"[0-9a-fA-F]+", re.ASCII)


def crl_der(data: bytes, *, path: str = "CRL") -> bytes:
    """Find the DER of one CRL in any of its forms, or raise ``MalformedCollateral``.

    A NUL after the list, which C programs leave there, is dropped.
    """
    if len(data) > 2 * MAX_CRL_BYTES:
        raise MalformedCollateral(f"{len(data)} bytes, at most {2 * MAX_CRL_BYTES} are read", path=path)
    if (block := _PEM.fullmatch(data)) is not None:
        try:
            return binascii.a2b_base64(b"".join(block[1].split()), strict_mode=True)
        except binascii.Error as error:
            raise MalformedCollateral(f"not base64: {error}", path=path) from error
    text = data.strip(b" \t\r\n\0")
    if len(text) % 2 == 0 and _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    return _without_nul(data)


def parse_crl(data: bytes, *, path: str = "CRL") -> RevocationList:
    """Read one CRL in any of its forms, or raise ``MalformedCollateral``."""
    return RevocationList.from_der(crl_der(data, path=path), path=path)


def _without_nul(data: bytes) -> bytes:
    # the last byte of a CRL is its signature's and may itself be zero, so the length the list states decides
    if data[:1] == b"\x30" and data[1:2] == b"\x82" and len(data) == 5 + int.from_bytes(data[2:4], "big"):
        return data[:-1] if data.endswith(b"\0") else data
    return data
