"""What an appraisal finds out: claims, TCB status, advisories, platform, and what the collateral says of its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Finding
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.pck_extension import PckExtension
from strongroom.formats.tcb_levels import TcbStatus

if TYPE_CHECKING:
    from strongroom.formats.sgx_report import SgxReport

__all__ = ["NOT_JUDGED", "Advisory", "Assessment", "AttestationResult", "CollateralFacts", "SgxClaims", "TcbFacts"]

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
class Advisory:
    """An advisory and where it came from: ``platform`` (TCB info) or ``quoting enclave`` (QE identity), or both."""

    id: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbFacts:
    """The status and what it was made of. ``date`` is the oldest of the matched levels' dates.

    ``shortfalls`` says, one line each, which component lies below the newest level.
    """

    status: TcbStatus
    platform_status: TcbStatus
    quoting_enclave_status: TcbStatus
    date: datetime
    advisories: tuple[Advisory, ...]
    shortfalls: tuple[str, ...]

    def to_json_object(self) -> dict[str, object]:
        """Give the facts as JSON."""
        return {
            "status": self.status.value,
            "platform_status": self.platform_status.value,
            "quoting_enclave_status": self.quoting_enclave_status.value,
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
    claims: SgxClaims
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
    claims: SgxClaims
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
    configuration = platform.configuration
    return {
        "fmspc": platform.fmspc.hex(),
        "pce_id": platform.pce_id.hex(),
        "ppid": platform.ppid.hex(),
        "pce_svn": platform.tcb.pce_svn,
        "components": list(platform.tcb.components),
        "sgx_type": platform.sgx_type.name.lower(),
        "platform_instance_id": None if platform.platform_instance_id is None else platform.platform_instance_id.hex(),
        "configuration": None
        if configuration is None
        else {
            "dynamic_platform": configuration.dynamic_platform,
            "cached_keys": configuration.cached_keys,
            "smt_enabled": configuration.smt_enabled,
        },
    }


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
