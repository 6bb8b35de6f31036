"""What quotes of all versions have in common: the header, and the signatures from the PCK down to the report body.

Source: Intel SGX ECDSA Quote Library API, appendix A.4; Intel TDX DCAP Quoting Library API, appendix A.3. Numbers are
little-endian; signatures are r and s, keys x and y, big-endian. It judges nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypedDict

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import MalformedQuote
from strongroom.formats.sgx_report import REPORT_BYTES, SgxReport

if TYPE_CHECKING:
    from strongroom.formats.td_report import TdReport

__all__ = [
    "INTEL_QE_VENDOR_ID",
    "MAX_QUOTE_BYTES",
    "PCK_CERTIFICATE_CHAIN",
    "OpenedQuote",
    "QuoteHeader",
    "SignatureSection",
    "Signatures",
    "TeeType",
    "begin",
    "exact",
    "write_signatures",
]

MAX_QUOTE_BYTES: Final = 256 * 1024  # 64 KiB of QE data and 64 KiB of certificates fit; genuine quotes have 5 to 8 KB
INTEL_QE_VENDOR_ID: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
PCK_CERTIFICATE_CHAIN: Final = 5  # certification data type: leaf, intermediate and root in PEM

_VERSIONS: Final = (3, 4, 5)
_ECDSA_P256: Final = 2
_QE_REPORT: Final = 6  # certification data type: the QE's report and its signature, with other data inside
_LAST_CERTIFICATION_DATA_TYPE: Final = 7
_HEADER: Final = struct.Struct("<H H I H H 16s 20s")
_POINT_AND_SIGNATURE: Final = 128


class TeeType(IntEnum):
    """Which kind of trusted execution environment a quote is of."""

    SGX = 0
    TDX = 0x81


_TEE_TYPES: Final = {kind.value: kind for kind in TeeType}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteHeader:
    """The header, 48 bytes. The attestation key type is always 2 (ECDSA over P-256).

    ``qe_svn`` and ``pce_svn`` are what the host wrote; the SVN that counts for the PCE is in the PCK certificate.
    """

    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes
    version: int = 3
    tee_type: TeeType = TeeType.SGX

    @classmethod
    def read(cls, cursor: ByteCursor) -> QuoteHeader:
        """Read 48 bytes; ``MalformedQuote`` for another version, key type or TEE type."""
        header = _header(cursor.take(_HEADER.size, "header"))
        if isinstance(header, str):
            raise cursor.fail(header)
        return header

    def to_bytes(self) -> bytes:
        """Write the 48 bytes."""
        constants = self.version.to_bytes(2, "little") + _ECDSA_P256.to_bytes(2, "little")
        numbers = self.tee_type.to_bytes(4, "little") + self.qe_svn.to_bytes(2, "little")
        numbers += self.pce_svn.to_bytes(2, "little")
        return constants + numbers + exact(self.qe_vendor_id, 16) + exact(self.user_data, 20)


@lru_cache(maxsize=64)  # the quotes of one platform share theirs
def _header(data: bytes) -> QuoteHeader | str:
    """Read 48 bytes; a broken rule is given as a text."""
    version, key_type, number, qe_svn, pce_svn, qe_vendor_id, user_data = _HEADER.unpack(data)
    if version not in _VERSIONS:
        return f"quote version {version} is unknown"
    if key_type != _ECDSA_P256:
        return f"attestation key type {key_type} is not 2 (ECDSA over P-256)"
    if version == 3 and number:
        return f"TEE type {number:#x} in a quote of version 3, which is of SGX only"
    if (tee_type := _TEE_TYPES.get(number)) is None:
        return f"TEE type {number:#x} is neither 0 (SGX) nor 0x81 (TDX)"
    return QuoteHeader(
        qe_svn=qe_svn,
        pce_svn=pce_svn,
        qe_vendor_id=qe_vendor_id,
        user_data=user_data,
        version=version,
        tee_type=tee_type,
    )


class Signatures(TypedDict):
    """The fields of a signature section."""

    signature: bytes
    attestation_key: bytes
    qe_report: SgxReport
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_data_type: int
    certification_data: bytes
    padding: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureSection:
    """The signature section as its bytes, which few readers need in full.

    ``nested`` is the form of versions 4 and 5: the QE's part is certification data of type 6, with the PCK's inside.
    ``padding`` counts the zero bytes after the section.
    """

    data: bytes
    nested: bool
    padding: int

    @classmethod
    def read(cls, cursor: ByteCursor, *, nested: bool) -> SignatureSection:
        """Read what follows the report body to the end; bytes after the signature section must be zero."""
        data = cursor.take(cursor.u32("signature section's size"), "signature section")
        tail = cursor.rest()
        if tail.count(0) != len(tail):
            raise cursor.fail(f"{len(tail)} bytes after the signature section are not all zero")
        if len(data) < _POINT_AND_SIGNATURE:
            rule = f"quote signature and attestation key need {_POINT_AND_SIGNATURE} bytes, {len(data)} are there"
            raise MalformedQuote(rule, path="quote.signature", offset=0)
        return cls(data=data, nested=nested, padding=len(tail))

    @property
    def signature(self) -> bytes:
        """The attestation key's signature, 64 bytes."""
        return self.data[:64]

    @property
    def certified(self) -> bytes:
        """The attestation key and all that vouches for it: the same in every quote until the QE draws another key."""
        return self.data[64:]

    def open(self) -> Signatures:
        """Read all fields, or raise ``MalformedQuote``."""
        section = ByteCursor(self.data, path="quote.signature", error=MalformedQuote)
        signature = section.take(64, "quote signature")
        attestation_key = section.take(64, "attestation key")
        if self.nested:
            outer_type = section.u16("certification data type")
            if outer_type != _QE_REPORT:
                raise section.fail(f"certification data type {outer_type} is not 6 (the QE's report)")
            inner = section.take(section.u32("certification data's size"), "certification data")
            section.expect_end()
            section = ByteCursor(inner, path="quote.certification", error=MalformedQuote)
        qe_report = SgxReport.from_bytes(section.take(REPORT_BYTES, "QE report"), path="quote.qe_report")
        qe_report_signature = section.take(64, "QE report signature")
        qe_auth_data = section.take(section.u16("QE authentication data's size"), "QE authentication data")
        certification_data_type = section.u16("certification data type")
        if not 1 <= certification_data_type <= _LAST_CERTIFICATION_DATA_TYPE:
            raise section.fail(f"certification data type {certification_data_type} is unknown")
        if self.nested and certification_data_type == _QE_REPORT:
            raise section.fail("certification data of type 6 inside of type 6")
        certification_data = section.take(section.u32("certification data's size"), "certification data")
        section.expect_end()
        return Signatures(
            signature=signature,
            attestation_key=attestation_key,
            qe_report=qe_report,
            qe_report_signature=qe_report_signature,
            qe_auth_data=qe_auth_data,
            certification_data_type=certification_data_type,
            certification_data=certification_data,
            padding=self.padding,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedQuote:
    """A quote as far as it differs from one to the next: header and report are read, the signature section is not.

    ``signed_bytes`` are those that the attestation key signs, as they stand in the quote.
    """

    header: QuoteHeader
    report: SgxReport | TdReport
    signed_bytes: bytes
    section: SignatureSection


class _Signed(Protocol):
    """A quote whose signature section can be written."""

    @property
    def signature(self) -> bytes: ...
    @property
    def attestation_key(self) -> bytes: ...
    @property
    def qe_report(self) -> SgxReport: ...
    @property
    def qe_report_signature(self) -> bytes: ...
    @property
    def qe_auth_data(self) -> bytes: ...
    @property
    def certification_data_type(self) -> int: ...
    @property
    def certification_data(self) -> bytes: ...
    @property
    def padding(self) -> int: ...


def begin(data: bytes) -> ByteCursor:
    """Start to read a quote, or raise ``MalformedQuote`` for too many bytes and for a CBOR Web Token."""
    if len(data) > MAX_QUOTE_BYTES:
        raise MalformedQuote(f"{len(data)} bytes, at most {MAX_QUOTE_BYTES} are read", path="quote")
    # Platforms with DICE attestation make TDX quotes as CBOR Web Tokens (RFC 8392): CWT tag 61, COSE_Sign1 tag 18, or
    # a bare COSE_Sign1 array whose first element is a byte string
    if data[:2] == b"\xd8\x3d" or data[:1] == b"\xd2" or (data[:1] == b"\x84" and data[1:2] and data[1] >> 5 == 2):
        rule = "a quote in the form of a CBOR Web Token (DICE-based attestation) is not supported yet"
        raise MalformedQuote(rule, path="quote", offset=0)
    return ByteCursor(data, path="quote", error=MalformedQuote)


def write_signatures(quote: _Signed, *, nested: bool) -> bytes:
    """Write the signature section, its size first and the zeros last; ``ValueError`` for a field of a wrong length."""
    certified = b"".join(
        (
            quote.qe_report.to_bytes(),
            exact(quote.qe_report_signature, 64),
            len(quote.qe_auth_data).to_bytes(2, "little"),
            quote.qe_auth_data,
            quote.certification_data_type.to_bytes(2, "little"),
            len(quote.certification_data).to_bytes(4, "little"),
            quote.certification_data,
        )
    )
    if nested:
        certified = _QE_REPORT.to_bytes(2, "little") + len(certified).to_bytes(4, "little") + certified
    section = exact(quote.signature, 64) + exact(quote.attestation_key, 64) + certified
    return len(section).to_bytes(4, "little") + section + bytes(quote.padding)


def exact(value: bytes, length: int) -> bytes:
    """Give the value back when it has this length; ``ValueError`` when not."""
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes where {length} belong")
    return value
