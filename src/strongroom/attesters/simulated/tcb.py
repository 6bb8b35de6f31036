"""The versions of the simulated platform and its quoting enclave, and what the TCB info says about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from strongroom.crypto.hashing import sha256
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.pck_extension import COMPONENTS, PckTcb
from strongroom.formats.sgx_report import Attributes
from strongroom.formats.tcb_info import TcbComponent, TcbLevel
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus

__all__ = [
    "FMSPC",
    "PCE_ID",
    "QE_ATTRIBUTES",
    "QE_ISV_PROD_ID",
    "QE_ISV_SVN",
    "QE_LEVELS",
    "QE_MR_ENCLAVE",
    "QE_MR_SIGNER",
    "TCB_LEVELS",
    "platform_tcb",
]

FMSPC: Final = bytes.fromhex("535253494d00")  # "SRSIM": one family, which no real platform belongs to
PCE_ID: Final = bytes(2)

QE_MR_ENCLAVE: Final = MrEnclave(sha256(b"strongroom simulated quoting enclave"))
QE_MR_SIGNER: Final = MrSigner(sha256(b"strongroom simulated quoting enclave's signer"))
QE_ISV_PROD_ID: Final = 1
QE_ISV_SVN: Final = 8
QE_ATTRIBUTES: Final = Attributes(flags=0x15, xfrm=0x07)  # INIT, MODE64, PROVISIONKEY, as Intel's quoting enclave has

_NAMED: Final = (
    ("BIOS", "Early Microcode Update"),
    ("OS/VMM", "SGX Late Microcode Update"),
    ("OS/VMM", "TXT SINIT"),
)


def _components(*leading: int) -> tuple[int, ...]:
    return leading + (0,) * (COMPONENTS - len(leading))


def _level(components: tuple[int, ...], pce_svn: int, date: datetime, status: TcbStatus, *advisories: str) -> TcbLevel:
    names: tuple[tuple[str | None, str | None], ...] = (*_NAMED, *((None, None),) * (COMPONENTS - len(_NAMED)))
    return TcbLevel(
        components=tuple(
            TcbComponent(svn=svn, category=category, kind=kind)
            for svn, (category, kind) in zip(components, names, strict=True)
        ),
        pce_svn=pce_svn,
        tcb_date=date,
        status=status,
        advisory_ids=advisories,
    )


# highest first, as Intel serves them; the advisories' names say that they are not Intel's
TCB_LEVELS: Final = (
    _level(_components(12, 12, 3, 3, 255, 255, 1), 13, datetime(2026, 5, 13, tzinfo=UTC), TcbStatus.UP_TO_DATE),
    _level(
        _components(9, 9, 3, 3, 255, 255, 1),
        13,
        datetime(2025, 2, 12, tzinfo=UTC),
        TcbStatus.OUT_OF_DATE,
        "SIMULATED-SA-00002",
    ),
    _level(
        _components(4, 4, 3, 3, 255, 255),
        5,
        datetime(2023, 8, 9, tzinfo=UTC),
        TcbStatus.OUT_OF_DATE,
        "SIMULATED-SA-00001",
        "SIMULATED-SA-00002",
    ),
)

QE_LEVELS: Final = (
    IsvSvnLevel(isv_svn=QE_ISV_SVN, tcb_date=datetime(2026, 5, 13, tzinfo=UTC), status=TcbStatus.UP_TO_DATE),
    IsvSvnLevel(
        isv_svn=6,
        tcb_date=datetime(2023, 8, 9, tzinfo=UTC),
        status=TcbStatus.OUT_OF_DATE,
        advisory_ids=("SIMULATED-SA-00001",),
    ),
)


def platform_tcb(status: TcbStatus) -> PckTcb:
    """Give the versions of a platform whose highest matching level has ``status``."""
    level = next(level for level in TCB_LEVELS if level.status is status)
    components = tuple(component.svn for component in level.components)
    return PckTcb(components=components, pce_svn=level.pce_svn, cpu_svn=bytes(components))
