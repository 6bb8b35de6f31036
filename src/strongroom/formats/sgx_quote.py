"""The SGX quote, version 3: a report body and the signatures that tie it to a PCK certificate. Read and written back.

Source: Intel SGX ECDSA Quote Library API, appendix A.4. It judges nothing: neither a signature nor a vendor id is
compared here. Newer versions are in ``tee_quote``; ``quote.parse_quote`` reads all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.formats.quote_parts import (
    INTEL_QE_VENDOR_ID,
    MAX_QUOTE_BYTES,
    PCK_CERTIFICATE_CHAIN,
    OpenedQuote,
    QuoteHeader,
    SignatureSection,
    begin,
    write_signatures,
)
from strongroom.formats.sgx_report import REPORT_BYTES, SgxReport

__all__ = [
    "INTEL_QE_VENDOR_ID",
    "MAX_QUOTE_BYTES",
    "PCK_CERTIFICATE_CHAIN",
    "SIGNED_BYTES",
    "QuoteHeader",
    "SgxQuote",
]

SIGNED_BYTES: Final = 48 + REPORT_BYTES  # the attestation key signs the header and the report body
_VERSION: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxQuote:
    """One quote of version 3.

    ``signature`` (64 bytes) is the attestation key's over ``signed_bytes``; ``attestation_key`` is its point (64);
    ``qe_report_signature`` (64) is the PCK's over the QE's report; ``qe_auth_data`` goes into that report's data.
    ``padding`` counts the zero bytes after the signature section, which kernels and clouds append.
    """

    header: QuoteHeader
    report: SgxReport
    signature: bytes
    attestation_key: bytes
    qe_report: SgxReport
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_data_type: int
    certification_data: bytes
    padding: int = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> SgxQuote:
        """Read one quote, or raise ``MalformedQuote``; bytes after the signature section must be zero."""
        return cls.from_opened(cls.open(data))

    @staticmethod
    def open(data: bytes) -> OpenedQuote:
        """Read a quote as far as its signature section, or raise ``MalformedQuote``."""
        cursor = begin(data)
        header = QuoteHeader.read(cursor)
        if header.version != _VERSION:
            raise cursor.fail(f"a quote of version {header.version} where one of version {_VERSION} is expected")
        report = SgxReport.from_bytes(cursor.take(REPORT_BYTES, "report body"), path="quote.report")
        signed = data[: cursor.offset]
        section = SignatureSection.read(cursor, nested=False)
        return OpenedQuote(header=header, report=report, signed_bytes=signed, section=section)

    @classmethod
    def from_opened(cls, opened: OpenedQuote) -> SgxQuote:
        """Read the signature section too, or raise ``MalformedQuote``."""
        if not isinstance(opened.report, SgxReport):
            raise TypeError("a quote of version 3 is of an enclave")
        return cls(header=opened.header, report=opened.report, **opened.section.open())

    @property
    def signed_bytes(self) -> bytes:
        """Header and report body, 432 bytes: what the attestation key signs."""
        return self.header.to_bytes() + self.report.to_bytes()

    def to_bytes(self) -> bytes:
        """Write the quote; ``ValueError`` when a field has another length than its place."""
        return self.signed_bytes + write_signatures(self, nested=False)
