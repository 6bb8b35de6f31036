"""TPM 2.0 structures, as far as a counter needs them (TCG TPM 2.0 Library, Part 2; commands by Part 3).

All numbers are big-endian; a ``TPM2B`` is a length in two bytes and as many bytes.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import AnchorUnavailable, Malformed

__all__ = [
    "COUNTER_ATTRIBUTES",
    "NO_SESSIONS",
    "NULL_ALGORITHM",
    "PRIMARY_TEMPLATE",
    "SESSIONS",
    "SHA256",
    "Command",
    "Handle",
    "NvAttribute",
    "Response",
    "counter_public",
    "name_of",
    "primary_point",
    "sized",
]

NO_SESSIONS: Final = 0x8001
SESSIONS: Final = 0x8002
SHA256: Final = 0x000B
NULL_ALGORITHM: Final = 0x0010
COUNTER_BYTES: Final = 8
_MAX_RESPONSE: Final = 4096
_ECC: Final = 0x0023
_AES: Final = 0x0006
_CFB: Final = 0x0043
_P256: Final = 0x0003
_ATTRIBUTES: Final = 0x00030472  # fixed to the TPM and made in it, empty password, no lockout, restricted decryption


class Command(IntEnum):
    """TPM_CC (Part 2 section 6.5.2)."""

    NV_DEFINE_SPACE = 0x0000012A
    CREATE_PRIMARY = 0x00000131
    NV_INCREMENT = 0x00000134
    NV_READ = 0x0000014E
    FLUSH_CONTEXT = 0x00000165
    START_AUTH_SESSION = 0x00000176
    READ_CLOCK = 0x00000181


class Handle(IntEnum):
    """TPM_RH (Part 2 section 7.4)."""

    OWNER = 0x40000001
    NULL = 0x40000007
    PASSWORD = 0x40000009


class NvAttribute(IntFlag):
    """TPMA_NV (Part 2 section 13.4)."""

    AUTHWRITE = 1 << 2
    COUNTER = 1 << 4
    AUTHREAD = 1 << 18
    NO_DA = 1 << 25
    ORDERLY = 1 << 26
    WRITTEN = 1 << 29


COUNTER_ATTRIBUTES: Final = (
    NvAttribute.COUNTER | NvAttribute.AUTHWRITE | NvAttribute.AUTHREAD | NvAttribute.NO_DA | NvAttribute.ORDERLY
)
"""Orderly: kept in the TPM's RAM and written now and then, for its memory wears out. After a loss of power the TPM
sets the counter to a value that it cannot have had before; it never goes back."""


def sized(content: bytes) -> bytes:
    """Write a TPM2B."""
    return struct.pack(">H", len(content)) + content


PRIMARY_TEMPLATE: Final = (
    struct.pack(">HHI", _ECC, SHA256, _ATTRIBUTES)
    + sized(b"")
    + struct.pack(">HHH", _AES, 128, _CFB)
    + struct.pack(">HHH", NULL_ALGORITHM, _P256, NULL_ALGORITHM)
    + sized(b"")
    + sized(b"")
)
"""TPMT_PUBLIC of a storage key on P-256. One TPM makes the same key of it until it is cleared."""


def name_of(public: bytes) -> bytes:
    """Give the Name of an object or an index: the algorithm and the hash of its public area (Part 1 section 16)."""
    return struct.pack(">H", SHA256) + hashlib.sha256(public).digest()


def counter_public(index: int, *, written: bool) -> bytes:
    """Write the TPMS_NV_PUBLIC of a counter (Part 2 section 13.5)."""
    attributes = COUNTER_ATTRIBUTES | (NvAttribute.WRITTEN if written else NvAttribute(0))
    return struct.pack(">IHI", index, SHA256, attributes) + sized(b"") + struct.pack(">H", COUNTER_BYTES)


def primary_point(public: bytes) -> tuple[bytes, bytes]:
    """Give the coordinates of the key that the TPM made of ``PRIMARY_TEMPLATE``; ``AnchorUnavailable`` otherwise."""
    template = PRIMARY_TEMPLATE[: -2 * len(sized(b""))]
    cursor = ByteCursor(public, path="TPMT_PUBLIC", error=Malformed)
    try:
        if cursor.take(len(template), "template") != template:
            raise AnchorUnavailable("the TPM made another key than it was asked for")
        x, y = (cursor.take(int.from_bytes(cursor.take(2, "size"), "big"), "coordinate") for _ in range(2))
        cursor.expect_end()
    except Malformed as cause:
        raise AnchorUnavailable("the TPM's key is cut short") from cause
    return x, y


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response's code and what follows the header."""

    code: int
    body: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Response:
        """Parse, or raise ``AnchorUnavailable``."""
        if not 10 <= len(data) <= _MAX_RESPONSE or int.from_bytes(data[2:6], "big") != len(data):
            raise AnchorUnavailable("the TPM's answer has a wrong length")
        return cls(code=int.from_bytes(data[6:10], "big"), body=data[10:])
