"""The first 432 bytes of an EPID quote, which Intel's attestation service repeats in its reports.

Source: ``sgx_quote_t`` of Intel's SGX SDK for Linux (common/inc/sgx_quote.h). The signature that follows in a whole
quote is encrypted to the service, so nobody else could ever check one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import MalformedQuote
from strongroom.formats.sgx_report import SgxReport

__all__ = ["QUOTE_BODY_BYTES", "EpidQuoteBody", "SignType"]

QUOTE_BODY_BYTES: Final = 432
_REPORT_BYTES: Final = 384
_VERSIONS: Final = frozenset({1, 2})


class SignType(IntEnum):
    """Whether two quotes of one platform for one service provider can be linked."""

    UNLINKABLE = 0
    LINKABLE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EpidQuoteBody:
    """``group_id`` is the EPID group as a number; ``base_name`` has 32 bytes: the provider's SPID and 16 more."""

    version: int
    sign_type: SignType
    group_id: int
    qe_svn: int
    pce_svn: int
    extended_group_id: int
    base_name: bytes
    report: SgxReport

    @classmethod
    def from_bytes(cls, data: bytes) -> EpidQuoteBody:
        """Decode 432 bytes, or raise ``MalformedQuote``."""
        cursor = ByteCursor(data, path="EPID quote", error=MalformedQuote)
        version = cursor.u16("version")
        if version not in _VERSIONS:
            raise cursor.fail(f"version {version} is none of an EPID quote")
        sign_type = cursor.u16("signature type")
        if sign_type not in SignType.__members__.values():
            raise cursor.fail(f"signature type {sign_type} is unknown")
        body = cls(
            version=version,
            sign_type=SignType(sign_type),
            group_id=cursor.u32("EPID group"),
            qe_svn=cursor.u16("QE SVN"),
            pce_svn=cursor.u16("PCE SVN"),
            extended_group_id=cursor.u32("extended EPID group"),
            base_name=cursor.take(32, "base name"),
            report=SgxReport.from_bytes(cursor.take(_REPORT_BYTES, "report"), path="EPID quote.report"),
        )
        cursor.expect_end()
        return body
