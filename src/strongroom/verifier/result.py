"""What an appraisal finds out: claims, TCB status, advisories, platform, and what the collateral says of its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Finding
from strongroom.formats.measurements import (
    MrConfigId,
    MrEnclave,
    MrOwner,
    MrOwnerConfig,
    MrSeam,
    MrServiceTd,
    MrSigner,
    MrSignerSeam,
    MrTd,
    Rtmr,
)
from strongroom.formats.pck_extension import PckExtension
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes, TdReport, TdReport15, TdReport15Ex
from strongroom.verifier.platform import platform_flags

if TYPE_CHECKING:
    from strongroom.formats.sgx_report import SgxReport

__all__ = [
    "NOT_JUDGED",
    "Advisory",
    "Assessment",
    "AttestationResult",
    "CollateralFacts",
    "SgxClaims",
    "TcbFacts",
    "TdxClaims",
]

NOT_JUDGED: Final = (
    "whether this measurement or signer is one you accept",
    "whether the TCB status and its advisories are acceptable",
    "whether a debug enclave, a simulated platform or this very machine is acceptable",
    "whether the collateral is recent enough beyond its own expiry",
    "whether the evidence is fresh and belongs to a session",
)
"""What an assessment without a policy leaves open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxClaims:
    """What the enclave's report says. ``report_data`` (64 bytes) is the enclave's own choice."""

    mr_enclave: MrEnclave
    mr_signer: MrSigner
    isv_prod_id: int
    isv_svn: int
    debug: bool
    report_data: bytes
    cpu_svn: bytes
    attributes_flags: int
    attributes_xfrm: int
    misc_select: int
    config_id: bytes
    config_svn: int
    isv_ext_prod_id: bytes
    isv_family_id: bytes

    @classmethod
    def of(cls, report: SgxReport) -> SgxClaims:
        """Take the claims out of a report."""
        return cls(
            mr_enclave=report.mr_enclave,
            mr_signer=report.mr_signer,
            isv_prod_id=report.isv_prod_id,
            isv_svn=report.isv_svn,
            debug=report.attributes.debug,
            report_data=report.report_data,
            cpu_svn=report.cpu_svn,
            attributes_flags=report.attributes.flags,
            attributes_xfrm=report.attributes.xfrm,
            misc_select=report.misc_select,
            config_id=report.config_id,
            config_svn=report.config_svn,
            isv_ext_prod_id=report.isv_ext_prod_id,
            isv_family_id=report.isv_family_id,
        )

    @property
    def measurement(self) -> MrEnclave:
        """What identifies the code."""
        return self.mr_enclave

    def to_json_object(self) -> dict[str, object]:
        """Give the claims as JSON, bytes in hexadecimal."""
        return {
            "mr_enclave": self.mr_enclave.hex(),
            "mr_signer": self.mr_signer.hex(),
            "isv_prod_id": self.isv_prod_id,
            "isv_svn": self.isv_svn,
            "debug": self.debug,
            "report_data": self.report_data.hex(),
            "cpu_svn": self.cpu_svn.hex(),
            "attributes_flags": f"{self.attributes_flags:016x}",
            "attributes_xfrm": f"{self.attributes_xfrm:016x}",
            "misc_select": f"{self.misc_select:08x}",
            "config_id": self.config_id.hex(),
            "config_svn": self.config_svn,
            "isv_ext_prod_id": self.isv_ext_prod_id.hex(),
            "isv_family_id": self.isv_family_id.hex(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxClaims:
    """What the trust domain's report says. ``report_data`` (64 bytes) is the domain's own choice.

    ``tee_tcb_svn_2`` and ``mr_service_td`` are ``None`` in reports of TD 1.0. ``extension`` holds the further fields of
    TD 1.5 with extensions by their names in ``TdReport15Ex``, and nothing for other reports.
    """

    mr_td: MrTd
    rtmr_0: Rtmr
    rtmr_1: Rtmr
    rtmr_2: Rtmr
    rtmr_3: Rtmr
    mr_config_id: MrConfigId
    mr_owner: MrOwner
    mr_owner_config: MrOwnerConfig
    mr_seam: MrSeam
    mr_signer_seam: MrSignerSeam
    seam_attributes: bytes
    td_attributes: TdAttributes
    xfam: int
    tee_tcb_svn: bytes
    tee_tcb_svn_2: bytes | None
    mr_service_td: MrServiceTd | None
    report_data: bytes
    extension: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, report: TdReport) -> TdxClaims:
        """Take the claims out of a report."""
        return cls(
            mr_td=report.mr_td,
            rtmr_0=report.rtmr_0,
            rtmr_1=report.rtmr_1,
            rtmr_2=report.rtmr_2,
            rtmr_3=report.rtmr_3,
            mr_config_id=report.mr_config_id,
            mr_owner=report.mr_owner,
            mr_owner_config=report.mr_owner_config,
            mr_seam=report.mr_seam,
            mr_signer_seam=report.mr_signer_seam,
            seam_attributes=report.seam_attributes,
            td_attributes=report.td_attributes,
            xfam=report.xfam,
            tee_tcb_svn=report.tee_tcb_svn,
            tee_tcb_svn_2=report.tee_tcb_svn_2 if isinstance(report, TdReport15) else None,
            mr_service_td=report.mr_service_td if isinstance(report, TdReport15) else None,
            report_data=report.report_data,
            extension=_extension(report) if isinstance(report, TdReport15Ex) else (),
        )

    @property
    def measurement(self) -> MrTd:
        """What identifies the code that the domain started with; the registers say what it loaded since."""
        return self.mr_td

    @property
    def debug(self) -> bool:
        """Whether the domain can be read and changed from outside."""
        return TdAttributes.DEBUG in self.td_attributes

    def to_json_object(self) -> dict[str, object]:
        """Give the claims as JSON, bytes in hexadecimal, attributes by name."""
        return {
            "mr_td": self.mr_td.hex(),
            "rtmrs": [item.hex() for item in (self.rtmr_0, self.rtmr_1, self.rtmr_2, self.rtmr_3)],
            "mr_config_id": self.mr_config_id.hex(),
            "mr_owner": self.mr_owner.hex(),
            "mr_owner_config": self.mr_owner_config.hex(),
            "mr_seam": self.mr_seam.hex(),
            "mr_signer_seam": self.mr_signer_seam.hex(),
            "mr_service_td": None if self.mr_service_td is None else self.mr_service_td.hex(),
            "debug": self.debug,
            "report_data": self.report_data.hex(),
            "td_attributes": list(self.td_attributes.names),
            "xfam": f"{self.xfam:016x}",
            "seam_attributes": self.seam_attributes.hex(),
            "tee_tcb_svn": self.tee_tcb_svn.hex(),
            "tee_tcb_svn_2": None if self.tee_tcb_svn_2 is None else self.tee_tcb_svn_2.hex(),
            "extension": {name: value.hex() for name, value in self.extension},
        }


def _extension(report: TdReport15Ex) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, getattr(report, name)) for name, _ in report.LAYOUT[len(TdReport15.LAYOUT) :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """An advisory and where it came from.

    Sources are ``platform`` (TCB info), ``quoting enclave`` (QE identity) and ``TDX module`` (its identity).
    """

    id: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbFacts:
    """The status and what it was made of. ``date`` is the oldest of the matched levels' dates.

    ``tdx_module_status`` is of a TDX module that has its own identity, else ``None``. ``launch_status`` and
    ``current_status`` are those of a trust domain that tells (TD 1.5) what it was launched on and what runs now.
    ``shortfalls`` says, one line each, which component lies below the newest level.
    """

    status: TcbStatus
    platform_status: TcbStatus
    quoting_enclave_status: TcbStatus
    tdx_module_status: TcbStatus | None = None
    launch_status: TcbStatus | None = None
    current_status: TcbStatus | None = None
    date: datetime
    advisories: tuple[Advisory, ...]
    shortfalls: tuple[str, ...]

    def to_json_object(self) -> dict[str, object]:
        """Give the facts as JSON."""
        return {
            "status": self.status.value,
            "platform_status": self.platform_status.value,
            "quoting_enclave_status": self.quoting_enclave_status.value,
            "tdx_module_status": None if self.tdx_module_status is None else self.tdx_module_status.value,
            "launch_status": None if self.launch_status is None else self.launch_status.value,
            "current_status": None if self.current_status is None else self.current_status.value,
            "date": _instant(self.date),
            "advisories": [{"id": item.id, "sources": list(item.sources)} for item in self.advisories],
            "shortfalls": list(self.shortfalls),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralFacts:
    """The collateral's numbers and dates. ``tcb_evaluation_data_number`` is the smaller of its two documents'.

    Issue dates are of TCB info, QE identity and PCK CRL (the root CRL is issued once a year); ``expires_at`` is the
    earliest end of any certificate, CRL or document used. A client keeps the numbers as floors.
    """

    tcb_evaluation_data_number: int
    root_crl_number: int | None
    pck_crl_number: int | None
    earliest_issue: datetime
    latest_issue: datetime
    expires_at: datetime

    def to_json_object(self) -> dict[str, object]:
        """Give the facts as JSON; CRL numbers as decimal text, since they may exceed 64 bits."""
        return {
            "tcb_evaluation_data_number": self.tcb_evaluation_data_number,
            "root_crl_number": None if self.root_crl_number is None else str(self.root_crl_number),
            "pck_crl_number": None if self.pck_crl_number is None else str(self.pck_crl_number),
            "earliest_issue": _instant(self.earliest_issue),
            "latest_issue": _instant(self.latest_issue),
            "expires_at": _instant(self.expires_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything that can be judged without a policy, and all objections. It admits nobody: no policy was applied.

    A part that could not be found out is ``None``, and then ``findings`` says why.
    """

    kind: str
    claims: SgxClaims | TdxClaims
    findings: tuple[Finding, ...]
    tcb: TcbFacts | None
    platform: PckExtension | None
    collateral: CollateralFacts | None
    anchor: str | None
    simulated: bool
    appraised_at: datetime

    @property
    def genuine(self) -> bool:
        """Whether nothing was found against the evidence itself. It says nothing about whose code runs."""
        return not self.findings

    def to_json_object(self) -> dict[str, object]:
        """Give the assessment as JSON; it names what was not judged."""
        return {
            "verdict": "assessed-without-policy" if self.genuine else "refused",
            "judged_with_policy": False,
            "not_judged": list(NOT_JUDGED),
            "findings": [finding_to_json(finding) for finding in self.findings],
            **_facts(self),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationResult:
    """Evidence that a policy accepted.

    ``confessions`` names every leniency the policy used: a simulated platform, a debug enclave, expired collateral.
    ``policy_digest`` is 32 bytes.
    """

    kind: str
    claims: SgxClaims | TdxClaims
    tcb: TcbFacts
    platform: PckExtension
    collateral: CollateralFacts
    anchor: str
    simulated: bool
    appraised_at: datetime
    policy_digest: bytes
    confessions: tuple[str, ...]

    @property
    def tcb_status(self) -> TcbStatus:
        """The converged TCB status."""
        return self.tcb.status

    @property
    def advisories(self) -> tuple[Advisory, ...]:
        """The advisories of the matched levels with their sources."""
        return self.tcb.advisories

    @property
    def tcb_date(self) -> datetime:
        """The oldest date of the matched levels."""
        return self.tcb.date

    @property
    def expires_at(self) -> datetime:
        """When the first thing ends that this verdict rests on."""
        return self.collateral.expires_at

    def to_json_object(self) -> dict[str, object]:
        """Give the result as JSON."""
        return {
            "verdict": "accepted",
            "judged_with_policy": True,
            "policy_digest": self.policy_digest.hex(),
            "confessions": list(self.confessions),
            "findings": [],
            **_facts(self),
        }


def finding_to_json(finding: Finding) -> dict[str, object]:
    """Give one finding as JSON."""
    return {
        "check": finding.check.value,
        "section": finding.section,
        "message": finding.message,
        "expected": finding.expected,
        "actual": finding.actual,
    }


def _facts(of: Assessment | AttestationResult) -> dict[str, object]:
    return {
        "kind": of.kind,
        "appraised_at": _instant(of.appraised_at),
        "anchor": of.anchor,
        "simulated": of.simulated,
        "claims": of.claims.to_json_object(),
        "tcb": None if of.tcb is None else of.tcb.to_json_object(),
        "platform": None if of.platform is None else _platform(of.platform),
        "collateral": None if of.collateral is None else of.collateral.to_json_object(),
    }


def _platform(platform: PckExtension) -> dict[str, object]:
    return {
        "fmspc": platform.fmspc.hex(),
        "pce_id": platform.pce_id.hex(),
        "ppid": platform.ppid.hex(),
        "pce_svn": platform.tcb.pce_svn,
        "components": list(platform.tcb.components),
        "sgx_type": platform.sgx_type.name.lower(),
        "platform_instance_id": None if platform.platform_instance_id is None else platform.platform_instance_id.hex(),
        "configuration": platform_flags(platform),
    }


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
