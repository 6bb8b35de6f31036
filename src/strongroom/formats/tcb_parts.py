"""The parts of a TCB info: components, the levels of platforms, and the TDX modules."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus

__all__ = ["TcbComponent", "TcbLevel", "TdxModule", "TdxModuleIdentity"]

_SVN: Final = operator.attrgetter("svn")


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbComponent:
    """One component's security version number (0 to 255); version 3 may say what it is."""

    svn: int
    category: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbLevel:
    """A platform at or above all 16 components and the PCESVN has this status, unless a higher level fits."""

    components: tuple[TcbComponent, ...]
    pce_svn: int
    tcb_date: datetime
    status: TcbStatus
    advisory_ids: tuple[str, ...] = ()
    tdx_components: tuple[TcbComponent, ...] | None = None

    order: tuple[bytes, int, bytes] = field(init=False, repr=False, compare=False)
    """What levels are sorted by, highest first: SVNs of the SGX components, PCESVN, SVNs of the TDX components."""

    def __post_init__(self) -> None:
        tdx = bytes(map(_SVN, self.tdx_components)) if self.tdx_components else b""
        object.__setattr__(self, "order", (bytes(map(_SVN, self.components)), self.pce_svn, tdx))


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxModule:
    """What the TDX module's report must show: ``mr_signer`` 48 bytes, attributes and mask 8 bytes each."""

    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxModuleIdentity:
    """One generation of the TDX module, by id (``TDX_03``), with levels by its ISVSVN."""

    id: str
    module: TdxModule
    levels: tuple[IsvSvnLevel, ...]
