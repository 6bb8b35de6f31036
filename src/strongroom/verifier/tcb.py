"""TCB levels: which one a platform has, and what a platform's and a quoting enclave's status make together.

The tables are those of docs/spec/appraisal.md section 7. Pure functions over parsed structures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.formats.tcb_levels import TcbStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.formats.pck_extension import PckTcb
    from strongroom.formats.tcb_info import TcbLevel
    from strongroom.formats.tcb_levels import IsvSvnLevel

__all__ = ["converge", "isv_svn_level", "platform_level", "shortfalls"]

_WITH_OUT_OF_DATE: Final = {
    TcbStatus.UP_TO_DATE: TcbStatus.OUT_OF_DATE,
    TcbStatus.SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE,
    TcbStatus.CONFIGURATION_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
}
_OUT_OF_DATE: Final = (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED)


def platform_level(levels: Sequence[TcbLevel], tcb: PckTcb) -> TcbLevel | None:
    """Step 7.2: the highest level that all 16 components and the PCESVN reach, or ``None``.

    The order of levels in the document is not relied on.
    """
    reached = [
        level
        for level in levels
        if tcb.pce_svn >= level.pce_svn
        and all(has >= needs.svn for has, needs in zip(tcb.components, level.components, strict=True))
    ]
    return max(reached, key=lambda level: level.order, default=None)


def shortfalls(levels: Sequence[TcbLevel], tcb: PckTcb) -> tuple[str, ...]:
    """Say what is missing from the highest level, one line for each component below it."""
    top = max(levels, key=lambda level: level.order)
    lines = []
    for number, (has, needs) in enumerate(zip(tcb.components, top.components, strict=True), 1):
        if has < needs.svn:
            name = f" ({needs.kind})" if needs.kind else ""
            lines.append(f"component {number}{name} is {has}, the newest level has {needs.svn}")
    if tcb.pce_svn < top.pce_svn:
        lines.append(f"PCESVN is {tcb.pce_svn}, the newest level has {top.pce_svn}")
    return tuple(lines)


def isv_svn_level(levels: Sequence[IsvSvnLevel], isv_svn: int) -> IsvSvnLevel | None:
    """Step 6.5: the highest level that an Intel enclave's ISVSVN reaches, or ``None``."""
    reached = [level for level in levels if level.isv_svn <= isv_svn]
    return max(reached, key=lambda level: level.isv_svn, default=None)


def converge(platform: TcbStatus, quoting_enclave: TcbStatus) -> TcbStatus:
    """Step 7.3: Intel's table. The worse of the two is *not* the answer: a needed configuration must not get lost."""
    if TcbStatus.REVOKED in (platform, quoting_enclave):
        return TcbStatus.REVOKED
    if quoting_enclave in _OUT_OF_DATE:
        return _WITH_OUT_OF_DATE.get(platform, platform)
    return platform
