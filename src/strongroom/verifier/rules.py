"""Step 8: what a policy has to say about evidence (docs/spec/appraisal.md section 8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from strongroom.base.findings import Check
from strongroom.verifier.platform import platform_flags
from strongroom.verifier.policy import ANY, PLATFORM_FLAGS, AnyValue
from strongroom.verifier.result import TdxClaims
from strongroom.verifier.trust_domain import judge_trust_domain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from strongroom.formats.pck_extension import PckExtension
    from strongroom.verifier.inquiry import Inquiry
    from strongroom.verifier.policy import AppraisalPolicy, TcbRule
    from strongroom.verifier.result import Assessment, SgxClaims, TcbFacts

__all__ = ["judge_policy"]


def judge_policy(
    inquiry: Inquiry, policy: AppraisalPolicy, assessment: Assessment, issue_dates: Mapping[str, datetime]
) -> None:
    """Judge an assessment under a policy; ``issue_dates`` are of the parts whose age counts."""
    _simulated(inquiry, policy, assessment)
    if isinstance(assessment.claims, TdxClaims):
        judge_trust_domain(inquiry, policy, assessment.claims)
    else:
        _debug(inquiry, policy, assessment.claims)
        _code(inquiry, policy, assessment.claims)
    if assessment.tcb is not None:
        _tcb(inquiry, policy, assessment.claims, assessment.tcb)
    _collateral(inquiry, policy, assessment, issue_dates)
    if (
        not isinstance(policy.platforms, AnyValue)
        and assessment.platform is not None
        and assessment.platform.ppid not in policy.platforms
    ):
        inquiry.object(
            Check.PLATFORM,
            "8.9",
            "the platform is not one that the policy accepts",
            expected=f"one of {len(policy.platforms)} PPIDs",
            actual=assessment.platform.ppid.hex(),
        )
    if assessment.platform is not None:
        _settings(inquiry, policy, assessment.platform)


def _simulated(inquiry: Inquiry, policy: AppraisalPolicy, assessment: Assessment) -> None:
    if not assessment.simulated:
        return
    if inquiry.require(
        policy.accept_simulated_platform,
        Check.SIMULATED,
        "8.1",
        "the evidence comes from a simulated platform, which proves no hardware",
    ):
        inquiry.confessions.append("a simulated platform is accepted: no hardware is proven")


def _debug(inquiry: Inquiry, policy: AppraisalPolicy, claims: SgxClaims) -> None:
    if not claims.debug:
        return
    if inquiry.require(
        policy.accept_debug_enclaves,
        Check.DEBUG,
        "8.2",
        "the enclave runs in debug mode, so its host can read and change it",
    ):
        inquiry.confessions.append("a debug enclave is accepted: its host can read and change it")


def _code(inquiry: Inquiry, policy: AppraisalPolicy, claims: SgxClaims) -> None:
    """Steps 8.3 and 8.4: the measurement is listed, or a signer's rule fits; otherwise each says what it wanted."""
    if claims.mr_enclave in policy.mr_enclaves:
        return
    of_signer = [rule for rule in policy.signers if rule.mr_signer == claims.mr_signer]
    of_product = [rule for rule in of_signer if rule.isv_prod_id == claims.isv_prod_id]
    if any(claims.isv_svn >= rule.minimum_isv_svn for rule in of_product):
        return
    inquiry.require(
        not policy.mr_enclaves and bool(policy.signers),
        Check.MEASUREMENT,
        "8.3",
        "the enclave's measurement is not one that the policy accepts",
        expected=", ".join(sorted(item.hex() for item in policy.mr_enclaves)) or "no measurement is accepted",
        actual=claims.mr_enclave.hex(),
    )
    if not policy.signers:
        return
    if not of_signer:
        message = "the enclave's signer is not one that the policy accepts"
        expected = ", ".join(sorted({rule.mr_signer.hex() for rule in policy.signers}))
        actual = claims.mr_signer.hex()
    elif not of_product:
        message = "the signer is accepted for other products only"
        expected = f"ISVPRODID {', '.join(str(rule.isv_prod_id) for rule in of_signer)}"
        actual = f"ISVPRODID {claims.isv_prod_id}"
    else:
        message = "the enclave is an older version than the policy accepts"
        expected = f"ISVSVN at least {min(rule.minimum_isv_svn for rule in of_product)}"
        actual = f"ISVSVN {claims.isv_svn}"
    inquiry.require(False, Check.SIGNER, "8.4", message, expected=expected, actual=actual)


def _tcb(inquiry: Inquiry, policy: AppraisalPolicy, claims: SgxClaims | TdxClaims, tcb: TcbFacts) -> None:
    """Steps 8.5, 8.6 and 8.15: one rule fits the status and this measurement, takes every advisory and the TCB date."""
    rules = [
        rule
        for rule in policy.tcb
        if rule.status is tcb.status and (rule.measurement is ANY or rule.measurement == claims.measurement)
    ]
    if not rules:
        why = _shortfalls(tcb)
        accepted = ", ".join(sorted({rule.status.value for rule in policy.tcb})) or "no TCB status"
        inquiry.object(
            Check.TCB_STATUS,
            "8.5",
            f"TCB status is {tcb.status.value}, policy accepts {accepted}{why}",
            expected=accepted,
            actual=tcb.status.value,
        )
        return
    age = inquiry.at - tcb.date
    best = rules[0]
    if len(rules) > 1:
        best = min(rules, key=lambda rule: (len(_unaccepted(rule, tcb)), _overdue(rule, age)))
    if excess := _unaccepted(best, tcb):
        inquiry.object(
            Check.ADVISORY,
            "8.6",
            f"advisories with TCB status {tcb.status.value} that the policy does not accept",
            actual=", ".join(excess),
        )
    if best.maximum_tcb_age is ANY:
        return
    inquiry.holds_until(tcb.date, best.maximum_tcb_age)
    if age > best.maximum_tcb_age:
        inquiry.object(
            Check.TCB_STATUS,
            "8.15",
            f"TCB status {tcb.status.value} is of an older TCB than the policy accepts{_shortfalls(tcb)}",
            expected=f"at most {best.maximum_tcb_age}",
            actual=str(age),
        )


def _shortfalls(tcb: TcbFacts) -> str:
    return f" ({'; '.join(tcb.shortfalls)})" if tcb.shortfalls else ""


def _unaccepted(rule: TcbRule, tcb: TcbFacts) -> list[str]:
    """Name the advisories that a rule does not take, each with where it came from."""
    if rule.advisories is ANY:
        return []
    return [f"{item.id} ({' and '.join(item.sources)})" for item in tcb.advisories if item.id not in rule.advisories]


def _overdue(rule: TcbRule, age: timedelta) -> float:
    """Give by how many seconds a TCB of this age is older than a rule takes."""
    return -math.inf if rule.maximum_tcb_age is ANY else (age - rule.maximum_tcb_age).total_seconds()


def _settings(inquiry: Inquiry, policy: AppraisalPolicy, platform: PckExtension) -> None:
    """Step 8.14: what the policy wants on is on, what it wants off is off, and undefined is neither."""
    rules: dict[str, bool] = {name: rule for name in PLATFORM_FLAGS if (rule := getattr(policy, name)) is not ANY}
    stated_flags = platform_flags(platform) if rules else {}
    for name, wanted in rules.items():
        stated = stated_flags[name]
        if stated is not wanted:
            inquiry.object(
                Check.CONFIGURATION,
                "8.14",
                f"the platform's setting {name} is not what the policy wants",
                expected=f"{name} = {wanted}",
                actual="undefined" if stated is None else str(stated),
            )


def _collateral(
    inquiry: Inquiry, policy: AppraisalPolicy, assessment: Assessment, issue_dates: Mapping[str, datetime]
) -> None:
    if assessment.collateral is not None:
        number = assessment.collateral.tcb_evaluation_data_number
        if number < policy.minimum_tcb_evaluation_data_number:
            inquiry.object(
                Check.FRESHNESS,
                "8.7",
                "the collateral belongs to an older TCB evaluation than the policy accepts",
                expected=f"at least {policy.minimum_tcb_evaluation_data_number}",
                actual=str(number),
            )
    if isinstance(policy.maximum_collateral_age, AnyValue):
        return
    for name, issued in issue_dates.items():
        age = inquiry.at - issued
        inquiry.holds_until(issued, policy.maximum_collateral_age)
        if age > policy.maximum_collateral_age:
            inquiry.object(
                Check.FRESHNESS,
                "8.8",
                f"{name} is older than the policy accepts",
                expected=f"at most {policy.maximum_collateral_age}",
                actual=str(age),
            )
