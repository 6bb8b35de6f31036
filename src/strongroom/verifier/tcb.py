"""TCB levels: which one a platform has, and what several statuses make together.

The tables are those of docs/spec/appraisal.md section 7. Pure functions over parsed structures.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

from strongroom.formats.tcb_levels import TcbStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from strongroom.formats.pck_extension import PckTcb
    from strongroom.formats.tcb_info import TcbComponent, TcbLevel
    from strongroom.formats.tcb_levels import IsvSvnLevel

__all__ = ["converge", "isv_svn_level", "of_later_module", "platform_level", "relaunch", "shortfalls"]

_WITH_OUT_OF_DATE: Final = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
}
_OUT_OF_DATE: Final = (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED)
_CONFIGURATION: Final = (
    TcbStatus.CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
    TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
)


def of_later_module(tdx_svn: bytes) -> bool:
    """Tell whether a TEE TCB SVN is of a TDX module with its own identity, which its first two bytes then belong to."""
    return tdx_svn[1] > 0


def platform_level(levels: Sequence[TcbLevel], tcb: PckTcb, tdx_svn: bytes | None = None) -> TcbLevel | None:
    """Step 7.2: the highest level that all components and the PCESVN reach, or ``None``.

    ``tdx_svn`` is the TEE TCB SVN (16 bytes) of a trust domain's report. The order of levels in the document is not
    relied on.
    """
    reached = [
        level
        for level in levels
        if tcb.pce_svn >= level.pce_svn
        and _reaches(tcb.components, level.order[0])
        and (tdx_svn is None or _reaches(tdx_svn[_first(tdx_svn) :], level.order[2][_first(tdx_svn) :]))
    ]
    return max(reached, key=lambda level: level.order, default=None)


def shortfalls(levels: Sequence[TcbLevel], tcb: PckTcb, tdx_svn: bytes | None = None) -> tuple[str, ...]:
    """Say what is missing from the highest level, one line for each component below it."""
    top = max(levels, key=lambda level: level.order)
    lines = []
    numbered = zip(range(1, 17), tcb.components, top.components, strict=True)
    for kind, compared in (("component", numbered), ("TDX component", _tdx(top, tdx_svn))):
        for number, has, needs in compared:
            if has < needs.svn:
                name = f" ({needs.kind})" if needs.kind else ""
                lines.append(f"{kind} {number}{name} is {has}, the newest level has {needs.svn}")
    if tcb.pce_svn < top.pce_svn:
        lines.append(f"PCESVN is {tcb.pce_svn}, the newest level has {top.pce_svn}")
    return tuple(lines)


def isv_svn_level(levels: Sequence[IsvSvnLevel], isv_svn: int) -> IsvSvnLevel | None:
    """Steps 6.5 and 7.9: the highest level that an Intel enclave's or module's ISVSVN reaches, or ``None``."""
    reached = [level for level in levels if level.isv_svn <= isv_svn]
    return max(reached, key=lambda level: level.isv_svn, default=None)


def converge(platform: TcbStatus, *components: TcbStatus) -> TcbStatus:
    """Step 7.3: Intel's table. The worst of all is *not* the answer: a needed configuration must not get lost.

    ``components`` are the statuses of the quoting enclave and of the TDX module.
    """
    if TcbStatus.REVOKED in (platform, *components):
        return TcbStatus.REVOKED
    if any(component in _OUT_OF_DATE for component in components):
        return _WITH_OUT_OF_DATE.get(platform, platform)
    return platform


def relaunch(launch: TcbStatus, current: TcbStatus) -> TcbStatus:
    """Step 7.10: the status of a domain that was launched on one TCB and now runs on another."""
    if launch not in _OUT_OF_DATE or current in (*_OUT_OF_DATE, TcbStatus.REVOKED):
        return launch
    if launch in _CONFIGURATION or current in _CONFIGURATION:
        return TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
    return TcbStatus.TD_RELAUNCH_ADVISED


def _reaches(has: Sequence[int], needs: Sequence[int]) -> bool:
    if len(has) != len(needs):
        raise ValueError(f"{len(has)} components cannot be compared with {len(needs)}")
    return all(map(operator.ge, has, needs))


def _first(tdx_svn: bytes) -> int:
    """The first two are the module's own versions: a module with an identity is judged by that (step 7.9)."""
    return 2 if of_later_module(tdx_svn) else 0


def _tdx(level: TcbLevel, tdx_svn: bytes | None) -> Iterator[tuple[int, int, TcbComponent]]:
    """Give (number, what there is, what the level needs) of the TDX components that count."""
    if tdx_svn is None or level.tdx_components is None:
        return
    for index in range(_first(tdx_svn), len(tdx_svn)):
        yield index + 1, tdx_svn[index], level.tdx_components[index]
