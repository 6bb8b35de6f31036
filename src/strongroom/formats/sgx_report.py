"""The SGX report body: 384 bytes that say which enclave runs on which CPU version, and 64 bytes it chose itself.

Source: Intel SDM volume 3D, "REPORT"; sgx_report.h of Intel's SGX SDK. Numbers are little-endian. It judges nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from strongroom.base.errors import MalformedQuote
from strongroom.formats.measurements import MrEnclave, MrSigner

__all__ = ["FLAG_DEBUG", "REPORT_BYTES", "REPORT_DATA_BYTES", "Attributes", "SgxReport"]

REPORT_BYTES: Final = 384
REPORT_DATA_BYTES: Final = 64
_LAYOUT: Final = struct.Struct("<16s I 12s 16s Q Q 32s 32s 32s 32s 64s H H H 42s 16s 64s")
FLAG_DEBUG: Final = 0x02  # attributes flags, bit 1: the host can read and change the enclave's memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The 16 bytes of attributes: ``flags`` (bit 1 is DEBUG) and ``xfrm``, 64 bits each."""

    flags: int
    xfrm: int

    @property
    def debug(self) -> bool:
        """Whether the enclave can be read and changed from outside."""
        return bool(self.flags & FLAG_DEBUG)

    def to_bytes(self) -> bytes:
        """Write the 16 bytes; ``OverflowError`` for a number that does not fit."""
        return self.flags.to_bytes(8, "little") + self.xfrm.to_bytes(8, "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxReport:
    """One report body. Reserved bytes are kept, so that what was signed can be written back.

    ``isv_ext_prod_id`` (16 bytes), ``config_id`` (64), ``config_svn`` and ``isv_family_id`` (16) carry meaning only
    where the enclave uses key separation and sharing (KSS); elsewhere they are reserved.
    """

    cpu_svn: bytes
    misc_select: int
    attributes: Attributes
    mr_enclave: MrEnclave
    mr_signer: MrSigner
    isv_prod_id: int
    isv_svn: int
    report_data: bytes
    isv_ext_prod_id: bytes = bytes(16)
    config_id: bytes = bytes(64)
    config_svn: int = 0
    isv_family_id: bytes = bytes(16)
    reserved_1: bytes = bytes(12)
    reserved_2: bytes = bytes(32)
    reserved_3: bytes = bytes(32)
    reserved_4: bytes = bytes(42)

    @classmethod
    def from_bytes(cls, data: bytes, *, path: str = "report") -> SgxReport:
        """Read exactly 384 bytes, or raise ``MalformedQuote``."""
        if len(data) != REPORT_BYTES:
            raise MalformedQuote(f"{len(data)} bytes, not {REPORT_BYTES}", path=path)
        (
            cpu_svn,
            misc_select,
            reserved_1,
            isv_ext_prod_id,
            flags,
            xfrm,
            mr_enclave,
            reserved_2,
            mr_signer,
            reserved_3,
            config_id,
            isv_prod_id,
            isv_svn,
            config_svn,
            reserved_4,
            isv_family_id,
            report_data,
        ) = _LAYOUT.unpack(data)
        return cls(
            cpu_svn=cpu_svn,
            misc_select=misc_select,
            attributes=Attributes(flags=flags, xfrm=xfrm),
            mr_enclave=MrEnclave(mr_enclave),
            mr_signer=MrSigner(mr_signer),
            isv_prod_id=isv_prod_id,
            isv_svn=isv_svn,
            report_data=report_data,
            isv_ext_prod_id=isv_ext_prod_id,
            config_id=config_id,
            config_svn=config_svn,
            isv_family_id=isv_family_id,
            reserved_1=reserved_1,
            reserved_2=reserved_2,
            reserved_3=reserved_3,
            reserved_4=reserved_4,
        )

    def to_bytes(self) -> bytes:
        """Write the 384 bytes; ``ValueError`` when a field has another length than its place."""
        written = b"".join(
            (
                self.cpu_svn,
                self.misc_select.to_bytes(4, "little"),
                self.reserved_1,
                self.isv_ext_prod_id,
                self.attributes.to_bytes(),
                self.mr_enclave,
                self.reserved_2,
                self.mr_signer,
                self.reserved_3,
                self.config_id,
                self.isv_prod_id.to_bytes(2, "little"),
                self.isv_svn.to_bytes(2, "little"),
                self.config_svn.to_bytes(2, "little"),
                self.reserved_4,
                self.isv_family_id,
                self.report_data,
            )
        )
        if len(written) != REPORT_BYTES:
            raise ValueError(f"the fields add up to {len(written)} bytes, a report body has {REPORT_BYTES}")
        return written
