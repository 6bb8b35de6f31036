"""The PKI of ``intel_pki`` with a platform that runs trust domains: TDX quotes, TCB info and QE identity of TDX."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from strongroom.crypto.hashing import sha256
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
from strongroom.formats.quote_parts import TeeType
from strongroom.formats.tcb_info import TcbComponent, TdxModule, TdxModuleIdentity
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus
from strongroom.formats.td_report import TdAttributes, TdReport, TdReport15, TdReport15Ex
from strongroom.formats.tee_quote import TeeQuote
from strongroom.testing.intel_pki import VENDOR, IntelPki, levels
from strongroom.verifier.policy import TD_MEASUREMENTS, TdRule

if TYPE_CHECKING:
    from strongroom.formats.collateral import Collateral
    from strongroom.formats.tcb_info import TcbLevel
    from strongroom.verifier.policy import AppraisalPolicy

__all__ = ["TDX_SVN", "TdxPki", "measurement", "module_levels", "tdx_levels"]

TDX_SVN: Final = bytes((5, 3, 4)) + bytes(13)
"""The TEE TCB SVN of an unchanged plan: version 5 of the module TDX_03, third component 4."""


def measurement(name: str) -> bytes:
    """Give 48 bytes that stand for a name."""
    return sha256(name.encode()) + bytes(16)


def tdx_levels(*statuses: tuple[int, int, TcbStatus, tuple[str, ...]]) -> tuple[TcbLevel, ...]:
    """Make TCB levels of TDX: (first component's SVN, third TDX component's SVN, status, advisories)."""
    return tuple(
        replace(
            level,
            tdx_components=tuple(TcbComponent(svn=svn) for svn in (5, 0, third, *(0,) * 13)),
        )
        for first, third, status, advisories in statuses
        for level in levels((first, status, advisories))
    )


def module_levels(*statuses: tuple[int, TcbStatus, tuple[str, ...]]) -> tuple[IsvSvnLevel, ...]:
    """Make levels of a TDX module: (its version, status, advisories)."""
    return tuple(
        IsvSvnLevel(
            isv_svn=version,
            tcb_date=datetime(2018 + version, 6, 1, tzinfo=UTC),
            status=status,
            advisory_ids=advisories,
        )
        for version, status, advisories in statuses
    )


class TdxPki(IntelPki):
    """The plan of one platform with a trust domain. Change attributes, then ``build``.

    ``td_report`` may be any of the kinds; ``version`` is that of the quote, 5 unless the report is of TD 1.0.
    """

    def __init__(self, vendor: str = VENDOR) -> None:
        super().__init__(vendor)
        module = TdxModule(mr_signer=bytes(48), attributes=bytes(8), attributes_mask=b"\xff" * 8)
        self.td_report: TdReport = TdReport(
            tee_tcb_svn=TDX_SVN,
            mr_seam=MrSeam(measurement("TDX module")),
            mr_signer_seam=MrSignerSeam(bytes(48)),
            seam_attributes=bytes(8),
            td_attributes=TdAttributes.SEPT_VE_DISABLE,
            xfam=0x602E7,
            mr_td=MrTd(measurement("domain")),
            mr_config_id=MrConfigId(bytes(48)),
            mr_owner=MrOwner(bytes(48)),
            mr_owner_config=MrOwnerConfig(bytes(48)),
            rtmr_0=Rtmr(measurement("firmware")),
            rtmr_1=Rtmr(measurement("kernel")),
            rtmr_2=Rtmr(measurement("command line")),
            rtmr_3=Rtmr(bytes(48)),
            report_data=bytes(64),
        )
        self.version = 4
        self.tcb_info = replace(
            self.tcb_info,
            id="TDX",
            levels=tdx_levels(
                (12, 4, TcbStatus.UP_TO_DATE, ()),
                (12, 2, TcbStatus.OUT_OF_DATE, ("EXAMPLE-SA-1",)),
                (5, 2, TcbStatus.OUT_OF_DATE, ("EXAMPLE-SA-1", "EXAMPLE-SA-3")),
            ),
            tdx_module=module,
            tdx_module_identities=(
                TdxModuleIdentity(
                    id="TDX_03",
                    module=module,
                    levels=module_levels((5, TcbStatus.UP_TO_DATE, ()), (2, TcbStatus.OUT_OF_DATE, ("EXAMPLE-SA-4",))),
                ),
                TdxModuleIdentity(id="TDX_01", module=module, levels=module_levels((2, TcbStatus.UP_TO_DATE, ()))),
            ),
        )
        self.qe_report = replace(self.qe_report, isv_prod_id=2)
        self.qe_identity = replace(self.qe_identity, id="TD_QE", isv_prod_id=2)

    def become_td_15(self, current: bytes = TDX_SVN) -> None:
        """Make the report one of TD 1.5 with ``current`` as the second TEE TCB SVN."""
        shared = {name: getattr(self.td_report, name) for name, _ in TdReport.LAYOUT}
        self.td_report = TdReport15(**shared, tee_tcb_svn_2=current, mr_service_td=MrServiceTd(bytes(48)))
        self.version = 5

    def become_td_15_ex(self) -> None:
        """Make the report one of TD 1.5 with extensions."""
        self.become_td_15()
        fields: dict[str, Any] = {name: getattr(self.td_report, name) for name, _ in TdReport15.LAYOUT}
        fields |= {name: bytes(size) for name, size in TdReport15Ex.LAYOUT[len(TdReport15.LAYOUT) :]}
        self.td_report = TdReport15Ex(**fields)

    def change_module(self, name: str = "TDX_03", **changes: object) -> None:
        """Change the identity of one TDX module in the TCB info."""
        self.tcb_info = replace(
            self.tcb_info,
            tdx_module_identities=tuple(
                replace(item, **changes) if item.id == name else item  # type: ignore[arg-type]
                for item in self.tcb_info.tdx_module_identities or ()
            ),
        )

    def policy(self) -> AppraisalPolicy:
        """Give a policy that accepts the unchanged plan and nothing else."""
        of_report: dict[str, Any] = {name: getattr(self.td_report, name, bytes(48)) for name in TD_MEASUREMENTS}
        rule = TdRule(
            **of_report,
            mr_seam=frozenset({self.td_report.mr_seam}),
            accepted_attributes=TdAttributes(0),
            require_sept_ve_disable=True,
            accept_seam_attributes=False,
        )
        return replace(super().policy(), mr_enclaves=frozenset(), trust_domains=(rule,))

    def td_quote(self) -> TeeQuote:
        """Sign the quote of the trust domain."""
        header = replace(self.header, version=self.version, tee_type=TeeType.TDX)
        unsigned = TeeQuote(header=header, report=self.td_report, **self.signatures())
        return replace(unsigned, signature=self.sign(unsigned.signed_bytes))

    def build(self) -> tuple[bytes, Collateral]:
        """Sign everything: evidence and collateral."""
        return self.td_quote().to_bytes(), self.collateral()
