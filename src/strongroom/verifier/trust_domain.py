"""Steps 6.8 and 6.9, and of step 8 what concerns a trust domain (docs/spec/appraisal.md sections 6 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Check, Finding
from strongroom.formats.td_report import NO_SERVICE_TD, TdAttributes
from strongroom.verifier.policy import ANY, TD_MEASUREMENTS

if TYPE_CHECKING:
    from strongroom.formats.td_report import TdReport
    from strongroom.verifier.inquiry import Inquiry, Objections
    from strongroom.verifier.policy import AnyValue, AppraisalPolicy, TdRule
    from strongroom.verifier.result import TdxClaims

__all__ = ["judge_td_report", "judge_trust_domain"]

# Intel TDX Module ABI, XFAM: x87 and SSE are always on; of the rest only these bits exist
_XFAM_ALWAYS: Final = 0x3
_XFAM_ALLOWED: Final = 0x0006DBE7


def judge_td_report(inquiry: Objections, report: TdReport) -> None:
    """Steps 6.8 and 6.9: no attribute without a known meaning, and extended features as every TDX module fixes them."""
    if reserved := report.td_attributes.reserved:
        inquiry.object(
            Check.CONFIGURATION,
            "6.8",
            "the trust domain has attributes whose meaning is not known",
            expected="named attributes only",
            actual=", ".join(TdAttributes(reserved).names),
        )
    if report.xfam & _XFAM_ALWAYS != _XFAM_ALWAYS or report.xfam & ~_XFAM_ALLOWED:
        inquiry.object(
            Check.CONFIGURATION,
            "6.9",
            "the trust domain has extended features that no TDX module allows",
            expected=f"{_XFAM_ALWAYS:#x} and none outside {_XFAM_ALLOWED:#x}",
            actual=f"{report.xfam:#x}",
        )


def judge_trust_domain(inquiry: Inquiry, policy: AppraisalPolicy, claims: TdxClaims) -> None:
    """Steps 8.2 and 8.10 to 8.13: one rule fits in everything; otherwise the nearest one says what it wanted."""
    if not policy.trust_domains:
        inquiry.require(
            False,
            Check.MEASUREMENT,
            "8.10",
            "the policy accepts no trust domain",
            expected="no trust domain is accepted",
            actual=claims.mr_td.hex(),
        )
        return
    objections = [(_objections(rule, claims), rule) for rule in policy.trust_domains]
    nearest, rule = min(
        objections, key=lambda item: (sum(finding.check is Check.MEASUREMENT for finding in item[0]), len(item[0]))
    )
    inquiry.findings.extend(nearest)
    if not nearest:
        inquiry.confessions.extend(_confessions(rule, claims))


def _objections(rule: TdRule, claims: TdxClaims) -> list[Finding]:
    findings = [
        _finding(
            Check.MEASUREMENT,
            "8.10",
            f"the trust domain's {name.upper()} is not one that the policy accepts",
            wanted.hex(),
            shown.hex(),
        )
        for name in TD_MEASUREMENTS
        if (wanted := _wanted(rule, name)) is not ANY and wanted != (shown := _shown(claims, name))
    ]
    if rule.mr_seam is not ANY and claims.mr_seam not in rule.mr_seam:
        known = ", ".join(sorted(item.hex() for item in rule.mr_seam)) or "no TDX module is accepted"
        message = "the trust domain's MR_SEAM is not one that the policy accepts"
        findings.append(_finding(Check.MEASUREMENT, "8.10", message, known, claims.mr_seam.hex()))
    accepted = rule.accepted_attributes | TdAttributes.SEPT_VE_DISABLE
    surplus = claims.td_attributes & ~accepted
    if TdAttributes.DEBUG in surplus:
        message = "the trust domain runs in debug mode, so its host can read and change it"
        findings.append(_finding(Check.DEBUG, "8.2", message, "", ""))
    if others := surplus & ~TdAttributes.DEBUG:
        message = "the trust domain has attributes that the policy does not accept"
        allowed = ", ".join(accepted.names)
        findings.append(_finding(Check.CONFIGURATION, "8.11", message, allowed, ", ".join(others.names)))
    if rule.require_sept_ve_disable and TdAttributes.SEPT_VE_DISABLE not in claims.td_attributes:
        message = "the trust domain runs without SEPT_VE_DISABLE"
        findings.append(_finding(Check.CONFIGURATION, "8.12", message, "SEPT_VE_DISABLE", ""))
    if any(claims.seam_attributes) and not rule.accept_seam_attributes:
        message = "the TDX module has attributes"
        findings.append(_finding(Check.TDX_MODULE, "8.13", message, bytes(8).hex(), claims.seam_attributes.hex()))
    return findings


def _confessions(rule: TdRule, claims: TdxClaims) -> list[str]:
    texts = []
    if claims.debug:
        texts.append("a debug trust domain is accepted: its host can read and change it")
    if TdAttributes.MIGRATABLE in claims.td_attributes:
        texts.append("a migratable trust domain is accepted: a service domain can move it to another machine")
    if TdAttributes.SEPT_VE_DISABLE not in claims.td_attributes:
        texts.append("a trust domain without SEPT_VE_DISABLE is accepted")
    if any(claims.seam_attributes):
        texts.append("a TDX module with attributes is accepted")
    if rule.mr_service_td is ANY and claims.mr_service_td not in (None, NO_SERVICE_TD):
        texts.append("a trust domain with any service domain is accepted")
    return texts


def _wanted(rule: TdRule, name: str) -> bytes | AnyValue:
    wanted: bytes | AnyValue = getattr(rule, name)
    return wanted


def _shown(claims: TdxClaims, name: str) -> bytes:
    shown: bytes | None = getattr(claims, name)
    return NO_SERVICE_TD if shown is None else shown


def _finding(check: Check, step: str, message: str, expected: str, actual: str) -> Finding:
    return Finding(check=check, message=message, section=f"appraisal {step}", expected=expected, actual=actual)
