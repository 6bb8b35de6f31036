"""The SGX quote, version 3: a report body and the signatures that tie it to a PCK certificate. Read and written back.

Source: Intel SGX ECDSA Quote Library API, appendix A.4. Numbers are little-endian; signatures are r and s, keys x and
y, big-endian. It judges nothing: neither a signature nor a vendor id is compared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import MalformedQuote
from strongroom.formats.sgx_report import REPORT_BYTES, SgxReport

__all__ = [
    "INTEL_QE_VENDOR_ID",
    "MAX_QUOTE_BYTES",
    "PCK_CERTIFICATE_CHAIN",
    "SIGNED_BYTES",
    "QuoteHeader",
    "SgxQuote",
]

MAX_QUOTE_BYTES: Final = 256 * 1024  # 64 KiB of QE data and 64 KiB of certificates fit; genuine quotes have 5 to 8 KB
SIGNED_BYTES: Final = 48 + REPORT_BYTES  # the attestation key signs the header and the report body
INTEL_QE_VENDOR_ID: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
PCK_CERTIFICATE_CHAIN: Final = 5  # certification data type: leaf, intermediate and root in PEM

_VERSION: Final = 3
_ECDSA_P256: Final = 2
_OTHER_VERSIONS: Final = {
    4: "quote version 4 (TDX, or SGX in the newer frame) is not supported yet",
    5: "quote version 5 (TDX 1.5) is not supported yet",
}
_LAST_CERTIFICATION_DATA_TYPE: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteHeader:
    """The header's variable fields. Version 3, key type 2 (ECDSA P-256) and the zero TEE type are constants here.

    ``qe_svn`` and ``pce_svn`` are what the host wrote; the SVN that counts for the PCE is in the PCK certificate.
    """

    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes

    @classmethod
    def read(cls, cursor: ByteCursor) -> QuoteHeader:
        """Read 48 bytes; ``MalformedQuote`` for another version, key type or TEE type."""
        version = cursor.u16("version")
        if version != _VERSION:
            raise cursor.fail(_OTHER_VERSIONS.get(version, f"quote version {version} is unknown"))
        key_type = cursor.u16("attestation key type")
        if key_type != _ECDSA_P256:
            raise cursor.fail(f"attestation key type {key_type} is not 2 (ECDSA over P-256)")
        tee_type = cursor.u32("TEE type")
        if tee_type:
            raise cursor.fail(f"TEE type {tee_type:#x} in a quote of version 3, which is of SGX only")
        return cls(
            qe_svn=cursor.u16("QE SVN"),
            pce_svn=cursor.u16("PCE SVN"),
            qe_vendor_id=cursor.take(16, "QE vendor id"),
            user_data=cursor.take(20, "user data"),
        )

    def to_bytes(self) -> bytes:
        """Write the 48 bytes."""
        constants = _VERSION.to_bytes(2, "little") + _ECDSA_P256.to_bytes(2, "little") + bytes(4)
        svns = self.qe_svn.to_bytes(2, "little") + self.pce_svn.to_bytes(2, "little")
        return constants + svns + _exact(self.qe_vendor_id, 16) + _exact(self.user_data, 20)


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
        if len(data) > MAX_QUOTE_BYTES:
            raise MalformedQuote(f"{len(data)} bytes, at most {MAX_QUOTE_BYTES} are read", path="quote")
        _refuse_web_token(data)
        cursor = ByteCursor(data, path="quote", error=MalformedQuote)
        header = QuoteHeader.read(cursor)
        report = SgxReport.from_bytes(cursor.take(REPORT_BYTES, "report body"), path="quote.report")
        section = ByteCursor(
            cursor.take(cursor.u32("signature section's size"), "signature section"),
            path="quote.signature",
            error=MalformedQuote,
        )
        tail = cursor.rest()
        if tail.count(0) != len(tail):
            raise cursor.fail(f"{len(tail)} bytes after the signature section are not all zero")
        signature = section.take(64, "quote signature")
        attestation_key = section.take(64, "attestation key")
        qe_report = SgxReport.from_bytes(section.take(REPORT_BYTES, "QE report"), path="quote.qe_report")
        qe_report_signature = section.take(64, "QE report signature")
        qe_auth_data = section.take(section.u16("QE authentication data's size"), "QE authentication data")
        certification_data_type = section.u16("certification data type")
        if not 1 <= certification_data_type <= _LAST_CERTIFICATION_DATA_TYPE:
            raise section.fail(f"certification data type {certification_data_type} is unknown")
        certification_data = section.take(section.u32("certification data's size"), "certification data")
        section.expect_end()
        return cls(
            header=header,
            report=report,
            signature=signature,
            attestation_key=attestation_key,
            qe_report=qe_report,
            qe_report_signature=qe_report_signature,
            qe_auth_data=qe_auth_data,
            certification_data_type=certification_data_type,
            certification_data=certification_data,
            padding=len(tail),
        )

    @property
    def signed_bytes(self) -> bytes:
        """Header and report body, 432 bytes: what the attestation key signs."""
        return self.header.to_bytes() + self.report.to_bytes()

    def to_bytes(self) -> bytes:
        """Write the quote; ``ValueError`` when a field has another length than its place."""
        section = b"".join(
            (
                _exact(self.signature, 64),
                _exact(self.attestation_key, 64),
                self.qe_report.to_bytes(),
                _exact(self.qe_report_signature, 64),
                len(self.qe_auth_data).to_bytes(2, "little"),
                self.qe_auth_data,
                self.certification_data_type.to_bytes(2, "little"),
                len(self.certification_data).to_bytes(4, "little"),
                self.certification_data,
            )
        )
        return self.signed_bytes + len(section).to_bytes(4, "little") + section + bytes(self.padding)


def _exact(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes where {length} belong")
    return value


def _refuse_web_token(data: bytes) -> None:
    """Name the TDX quotes of platforms with DICE attestation, which are CBOR Web Tokens (RFC 8392)."""
    # CWT tag 61, COSE_Sign1 tag 18, or a bare COSE_Sign1 array whose first element is a byte string
    if data[:2] in (b"\xd8\x3d",) or data[:1] == b"\xd2" or (data[:1] == b"\x84" and data[1:2] and data[1] >> 5 == 2):
        _unsupported("a quote in the form of a CBOR Web Token (DICE-based attestation) is not supported yet")


def _unsupported(rule: str) -> NoReturn:
    raise MalformedQuote(rule, path="quote", offset=0)
