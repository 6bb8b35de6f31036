"""Quotes of versions 4 and 5: of trust domains (TDX), and of SGX enclaves in the newer frame. Read and written back.

Source: Intel TDX DCAP Quoting Library API, appendix A.3. Version 5 says in a descriptor which report body follows. It
judges nothing: neither a signature nor a vendor id is compared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.formats.quote_parts import (
    OpenedQuote,
    QuoteHeader,
    SignatureSection,
    TeeType,
    begin,
    write_signatures,
)
from strongroom.formats.sgx_report import REPORT_BYTES, SgxReport
from strongroom.formats.td_report import TdReport, TdReport15, TdReport15Ex

if TYPE_CHECKING:
    from strongroom.base.cursor import ByteCursor

__all__ = ["TeeQuote"]

_SGX_BODY: Final = 1
_TD_BODIES: Final[dict[int, type[TdReport]]] = {kind.BODY_TYPE: kind for kind in (TdReport, TdReport15, TdReport15Ex)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TeeQuote:
    """One quote of version 4 or 5; the fields are those of ``SgxQuote``.

    The QE's part is nested in certification data of type 6 on the wire; ``certification_data_type`` is the inner one.
    """

    header: QuoteHeader
    report: SgxReport | TdReport
    signature: bytes
    attestation_key: bytes
    qe_report: SgxReport
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_data_type: int
    certification_data: bytes
    padding: int = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> TeeQuote:
        """Read one quote, or raise ``MalformedQuote``; bytes after the signature section must be zero."""
        return cls.from_opened(cls.open(data))

    @staticmethod
    def open(data: bytes) -> OpenedQuote:
        """Read a quote as far as its signature section, or raise ``MalformedQuote``."""
        cursor = begin(data)
        header = QuoteHeader.read(cursor)
        if header.version not in (4, 5):
            raise cursor.fail(f"a quote of version {header.version} where one of version 4 or 5 is expected")
        report = _read_body(cursor, header.tee_type, described=header.version == 5)
        signed = data[: cursor.offset]
        section = SignatureSection.read(cursor, nested=True)
        return OpenedQuote(header=header, report=report, signed_bytes=signed, section=section)

    @classmethod
    def from_opened(cls, opened: OpenedQuote) -> TeeQuote:
        """Read the signature section too, or raise ``MalformedQuote``."""
        return cls(header=opened.header, report=opened.report, **opened.section.open())

    @property
    def signed_bytes(self) -> bytes:
        """Header, in version 5 the body's descriptor, and report body: what the attestation key signs."""
        body = self.report.to_bytes()
        if self.header.version == 4:
            return self.header.to_bytes() + body
        kind = self.report.BODY_TYPE if isinstance(self.report, TdReport) else _SGX_BODY
        return self.header.to_bytes() + kind.to_bytes(2, "little") + len(body).to_bytes(4, "little") + body

    def to_bytes(self) -> bytes:
        """Write the quote; ``ValueError`` when a field does not fit its place."""
        of_sgx = isinstance(self.report, SgxReport)
        if of_sgx != (self.header.tee_type is TeeType.SGX) or self.header.version not in (4, 5):
            raise ValueError("the header is not of the report body")
        if self.header.version == 4 and not (of_sgx or type(self.report) is TdReport):
            raise ValueError("version 4 carries reports of TD 1.0 only")
        return self.signed_bytes + write_signatures(self, nested=True)


def _read_body(cursor: ByteCursor, tee: TeeType, *, described: bool) -> SgxReport | TdReport:
    kind = TdReport.BODY_TYPE if tee is TeeType.TDX else _SGX_BODY
    if described:
        kind = cursor.u16("body type")
        if kind != _SGX_BODY and kind not in _TD_BODIES:
            raise cursor.fail(f"body type {kind} is unknown")
        if (kind == _SGX_BODY) != (tee is TeeType.SGX):
            raise cursor.fail(f"body type {kind} in a quote of {tee.name}")
        size = cursor.u32("body size")
        expected = REPORT_BYTES if kind == _SGX_BODY else _TD_BODIES[kind].size()
        if size != expected:
            raise cursor.fail(f"a body of type {kind} has {expected} bytes, not {size}")
    if kind == _SGX_BODY:
        return SgxReport.from_bytes(cursor.take(REPORT_BYTES, "report body"), path="quote.report")
    body = _TD_BODIES[kind]
    return body.from_bytes(cursor.take(body.size(), "report body"), path="quote.report")
