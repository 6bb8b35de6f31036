"""Steps 7.2 to 7.10: the platform's level, the converged status, what a relaunch would change.

The checks of docs/spec/appraisal.md section 7; the tables are in ``tcb``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.base.findings import Check
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdReport, TdReport15
from strongroom.verifier.result import Advisory, TcbFacts
from strongroom.verifier.tcb import converge, of_later_module, platform_level, relaunch, shortfalls
from strongroom.verifier.tdx_module import judge_module, module_level, module_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.formats.pck_extension import PckExtension
    from strongroom.formats.sgx_report import SgxReport
    from strongroom.formats.tcb_info import TcbInfo, TcbLevel
    from strongroom.formats.tcb_levels import IsvSvnLevel
    from strongroom.verifier.inquiry import Objections

__all__ = ["judge_tcb"]


def judge_tcb(
    inquiry: Objections,
    info: TcbInfo,
    platform: PckExtension | None,
    report: SgxReport | TdReport,
    qe_level: IsvSvnLevel | None,
) -> TcbFacts | None:
    """Give the TCB status and what it was made of; ``None`` when something was missing, which is a finding then."""
    tdx = isinstance(report, TdReport)
    if (info.id == "TDX") != tdx or platform is None:
        return None  # steps 4.3 and 2.10 have objected
    if isinstance(report, TdReport):
        judge_module(inquiry, info, report)
    launch = _match(inquiry, info, platform, report.tee_tcb_svn if isinstance(report, TdReport) else None, qe_level)
    current = None
    if isinstance(report, TdReport15):
        current = _match(inquiry, info, platform, report.tee_tcb_svn_2, qe_level, step="7.10")
        if current is None:
            return None
    if launch is None:
        return None
    matches = [launch] if current is None else [launch, current]
    return TcbFacts(
        status=launch.status if current is None else relaunch(launch.status, current.status),
        platform_status=launch.platform.status,
        quoting_enclave_status=launch.quoting_enclave.status,
        tdx_module_status=None if launch.module is None else launch.module.status,
        launch_status=None if current is None else launch.status,
        current_status=None if current is None else current.status,
        date=min(level.tcb_date for match in matches for _, level in match.levels()),
        advisories=_advisories(matches),
        shortfalls=() if launch.status is TcbStatus.UP_TO_DATE else tuple(_shortfalls(info, platform, launch)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """The levels that hold for one TEE TCB SVN, which is ``None`` for SGX."""

    tdx_svn: bytes | None
    platform: TcbLevel
    quoting_enclave: IsvSvnLevel
    module: IsvSvnLevel | None

    @property
    def status(self) -> TcbStatus:
        components = [self.quoting_enclave.status]
        if self.module is not None:
            components.append(self.module.status)
        return converge(self.platform.status, *components)

    def levels(self) -> Iterator[tuple[str, TcbLevel | IsvSvnLevel]]:
        yield "platform", self.platform
        yield "quoting enclave", self.quoting_enclave
        if self.module is not None:
            yield "TDX module", self.module


def _match(
    inquiry: Objections,
    info: TcbInfo,
    platform: PckExtension,
    tdx_svn: bytes | None,
    qe_level: IsvSvnLevel | None,
    *,
    step: str | None = None,
) -> _Match | None:
    """Steps 7.2, 7.4, 7.6 and 7.9, or all of them as step 7.10."""
    level = platform_level(info.levels, platform.tcb, tdx_svn)
    when = " with what runs now" if step else ""
    inquiry.require(
        level is not None, Check.TCB_STATUS, step or "7.2", f"the platform lies below every TCB level{when}"
    )
    inquiry.require(
        level is None or level.status is not TcbStatus.REVOKED,
        Check.TCB_STATUS,
        step or "7.4",
        f"the platform's TCB level is revoked{when}",
    )
    module = None
    if tdx_svn is not None and of_later_module(tdx_svn):
        module = module_level(inquiry, info, tdx_svn, step=step)
        if module is None:
            return None
    if level is None or qe_level is None:
        return None
    return _Match(tdx_svn=tdx_svn, platform=level, quoting_enclave=qe_level, module=module)


def _advisories(matches: list[_Match]) -> tuple[Advisory, ...]:
    """Step 7.5. Sources in the order in which the levels were looked for."""
    found: dict[str, dict[str, None]] = {}
    for match in matches:
        for source, level in match.levels():
            for advisory in level.advisory_ids:
                found.setdefault(advisory, {})[source] = None
    return tuple(Advisory(id=item, sources=tuple(found[item])) for item in sorted(found))


def _shortfalls(info: TcbInfo, platform: PckExtension, match: _Match) -> Iterator[str]:
    if match.platform.status is not TcbStatus.UP_TO_DATE:
        yield from shortfalls(info.levels, platform.tcb, match.tdx_svn)
    if match.tdx_svn is None or match.module is None or match.module.status is TcbStatus.UP_TO_DATE:
        return
    name = module_name(match.tdx_svn)
    newest = max(
        level.isv_svn for item in info.tdx_module_identities or () if item.id.upper() == name for level in item.levels
    )
    yield f"the TDX module {name} has version {match.tdx_svn[0]}, the newest level has {newest}"
