"""Certification data of a quote: what it says about the PCK certificate, in each of the forms there are.

Source: Intel SGX ECDSA Quote Library API, appendix A.4.9 ("QE Certification Data"). The verifier uses the PCK
certificate chain (type 5) only; the others name the platform whose certificate has to be looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import MalformedQuote

__all__ = ["CertificationData", "Opaque", "PckChain", "PlatformName", "parse"]

_PPID_BYTES: Final = {1: 16, 2: 256, 3: 384}  # in clear; under RSA-2048 OAEP; under RSA-3072 OAEP


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformName:
    """Types 1 to 3: the platform by its PPID (in clear or encrypted to Intel) with its SVNs.

    ``pce_id`` (2 bytes) is absent in the 34-byte form of type 1 that old quoting libraries wrote.
    """

    ppid: bytes
    encrypted: bool
    cpu_svn: bytes
    pce_svn: int
    pce_id: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PckChain:
    """Types 4 and 5: the PCK certificate alone or with its issuers, as PEM text, with or without a NUL at its end."""

    pem: bytes
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """Types 6 (nested, a form of version 4) and 7 (platform manifest): kept as bytes."""

    data: bytes


CertificationData = PlatformName | PckChain | Opaque


def parse(kind: int, data: bytes) -> CertificationData:
    """Read certification data of type ``kind`` (1 to 7), or raise ``MalformedQuote``."""
    match kind:
        case 1 | 2 | 3:
            return _platform_name(kind, data)
        case 4 | 5:
            return PckChain(pem=data, complete=kind == 5)
        case 6 | 7:
            return Opaque(data=data)
        case _:
            raise MalformedQuote(f"certification data type {kind} is unknown", path="quote.certification")


def _platform_name(kind: int, data: bytes) -> PlatformName:
    cursor = ByteCursor(data, path="quote.certification", error=MalformedQuote)
    ppid = cursor.take(_PPID_BYTES[kind], "PPID")
    cpu_svn = cursor.take(16, "CPUSVN")
    pce_svn = cursor.u16("PCESVN")
    pce_id = None if kind == 1 and not cursor.remaining else cursor.take(2, "PCEID")
    cursor.expect_end()
    return PlatformName(ppid=ppid, encrypted=kind != 1, cpu_svn=cpu_svn, pce_svn=pce_svn, pce_id=pce_id)
