"""The report of a trust domain (TD) as a quote carries it, in three sizes: TD 1.0, TD 1.5 and TD 1.5 with extensions.

Source: Intel TDX DCAP Quoting Library API, appendix A.3.2; QuoteStructures.h of Intel's Quote Verification Library for
the extended form. Numbers are little-endian. It judges nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from typing import Any, ClassVar, Final

from strongroom.base.errors import MalformedQuote
from strongroom.formats.measurements import (
    MrConfigId,
    MrOwner,
    MrOwnerConfig,
    MrSeam,
    MrServiceTd,
    MrSignerSeam,
    MrTd,
    Rtmr,
)

__all__ = ["NO_SERVICE_TD", "TdAttributes", "TdReport", "TdReport15", "TdReport15Ex"]

NO_SERVICE_TD: Final = MrServiceTd(bytes(48))
"""No service domain is bound."""


class TdAttributes(IntFlag):
    """The attributes of a trust domain (Intel TDX Module ABI, ATTRIBUTES). Bits without a name here are reserved.

    ``DEBUG``: the host can read and change the domain. ``LASS``: linear address-space separation.
    ``SEPT_VE_DISABLE``: the host cannot make pages vanish unnoticed by forcing exceptions. ``MIGRATABLE``: a service
    domain can move it to another machine. ``PKS``, ``KL``, ``PERFMON``: supervisor protection keys, Key Locker and
    performance monitoring are on.
    """

    DEBUG = 1 << 0
    LASS = 1 << 27
    SEPT_VE_DISABLE = 1 << 28
    MIGRATABLE = 1 << 29
    PKS = 1 << 30
    KL = 1 << 31
    PERFMON = 1 << 63

    @property
    def reserved(self) -> int:
        """The bits that are set and have no name."""
        return self.value & ~_NAMED

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the bits that are set, and ``bit 39`` for one without a name."""
        named = {flag.value: flag.name for flag in TdAttributes}
        set_bits = (1 << bit for bit in range(self.value.bit_length()) if self.value >> bit & 1)
        return tuple(named.get(value) or f"bit {value.bit_length() - 1}" for value in set_bits)


_NAMED: Final = sum(flag.value for flag in TdAttributes)
_LAYOUT_10: Final = (
    ("tee_tcb_svn", 16),
    ("mr_seam", 48),
    ("mr_signer_seam", 48),
    ("seam_attributes", 8),
    ("td_attributes", 8),
    ("xfam", 8),
    ("mr_td", 48),
    ("mr_config_id", 48),
    ("mr_owner", 48),
    ("mr_owner_config", 48),
    ("rtmr_0", 48),
    ("rtmr_1", 48),
    ("rtmr_2", 48),
    ("rtmr_3", 48),
    ("report_data", 64),
)
_LAYOUT_15: Final = (*_LAYOUT_10, ("tee_tcb_svn_2", 16), ("mr_service_td", 48))
_LAYOUT_15_EX: Final = (
    *_LAYOUT_15,
    ("vm_id", 1),
    ("td_id", 32),
    ("device_info", 48),
    ("initial_service_td_hash", 48),
    ("initial_service_td_attributes", 8),
    ("initial_cpu_svn", 16),
    ("initial_tee_tcb_svn", 16),
    ("initial_tee_fmspc", 12),
    ("current_service_td_hash", 48),
    ("current_service_td_attributes", 8),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """The report of TD 1.0, 584 bytes.

    ``tee_tcb_svn`` (16 bytes): the TDX module's own version, its major version, then further components.
    ``seam_attributes`` (8 bytes) are those of the TDX module. ``report_data`` (64) is the domain's own choice.
    """

    BODY_TYPE: ClassVar[int] = 2
    LAYOUT: ClassVar[tuple[tuple[str, int], ...]] = _LAYOUT_10
    """Fields in order with their sizes in bytes."""

    tee_tcb_svn: bytes
    mr_seam: MrSeam
    mr_signer_seam: MrSignerSeam
    seam_attributes: bytes
    td_attributes: TdAttributes
    xfam: int
    mr_td: MrTd
    mr_config_id: MrConfigId
    mr_owner: MrOwner
    mr_owner_config: MrOwnerConfig
    rtmr_0: Rtmr
    rtmr_1: Rtmr
    rtmr_2: Rtmr
    rtmr_3: Rtmr
    report_data: bytes

    @classmethod
    def size(cls) -> int:
        """How many bytes a report of this kind has."""
        return _SIZES[cls.BODY_TYPE]

    @classmethod
    def from_bytes(cls, data: bytes, *, path: str = "report") -> TdReport:
        """Read exactly the bytes of one report of this kind, or raise ``MalformedQuote``."""
        names, layout = _READING[cls.BODY_TYPE]
        if len(data) != layout.size:
            raise MalformedQuote(f"{len(data)} bytes, not {layout.size}", path=path)
        fields: dict[str, Any] = dict(zip(names, layout.unpack(data), strict=True))
        fields["td_attributes"] = _attributes(fields["td_attributes"])
        fields["xfam"] = int.from_bytes(fields["xfam"], "little")
        return cls(**fields)

    def to_bytes(self) -> bytes:
        """Write the bytes; ``ValueError`` when a field has another length than its place."""
        parts = []
        for name, size in self.LAYOUT:
            value: bytes | int = getattr(self, name)
            part = value.to_bytes(size, "little") if isinstance(value, int) else value
            if len(part) != size:
                raise ValueError(f"{name} has {len(part)} bytes where {size} belong")
            parts.append(part)
        return b"".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport15(TdReport):
    """The report of TD 1.5, 648 bytes.

    ``tee_tcb_svn`` says what ran when the domain was launched, ``tee_tcb_svn_2`` what runs now, after updates of the
    TDX module underneath it.
    """

    BODY_TYPE: ClassVar[int] = 3
    LAYOUT: ClassVar[tuple[tuple[str, int], ...]] = _LAYOUT_15

    tee_tcb_svn_2: bytes
    mr_service_td: MrServiceTd


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport15Ex(TdReport15):
    """The report of TD 1.5 with extensions, 885 bytes: where a migrated domain came from, and its service domains.

    Field sizes: ``vm_id`` 1, ``td_id`` 32, ``device_info``, ``initial_service_td_hash`` and
    ``current_service_td_hash`` 48, both service domain attributes 8, ``initial_cpu_svn`` and ``initial_tee_tcb_svn``
    16, ``initial_tee_fmspc`` 12.
    """

    BODY_TYPE: ClassVar[int] = 4
    LAYOUT: ClassVar[tuple[tuple[str, int], ...]] = _LAYOUT_15_EX

    vm_id: bytes
    td_id: bytes
    device_info: bytes
    initial_service_td_hash: bytes
    initial_service_td_attributes: bytes
    initial_cpu_svn: bytes
    initial_tee_tcb_svn: bytes
    initial_tee_fmspc: bytes
    current_service_td_hash: bytes
    current_service_td_attributes: bytes


_SIZES: Final = {kind.BODY_TYPE: sum(size for _, size in kind.LAYOUT) for kind in (TdReport, TdReport15, TdReport15Ex)}
_READING: Final = {
    kind.BODY_TYPE: (
        tuple(name for name, _ in kind.LAYOUT),
        struct.Struct("".join(f"{size}s" for _, size in kind.LAYOUT)),
    )
    for kind in (TdReport, TdReport15, TdReport15Ex)
}


@lru_cache(maxsize=64)  # domains have few different ones
def _attributes(data: bytes) -> TdAttributes:
    return TdAttributes(int.from_bytes(data, "little"))
