"""Appraisal of quotes of SGX and TDX: bytes, collateral, policy and an instant in; a result or all objections out.

The steps and their numbers are those of docs/spec/appraisal.md; none is skipped because another failed. What a quote
shares with others of its platform is judged in ``basis`` and may be remembered; here is what each call has to do: the
quote's own report and signature, the instant, the policy. ``assess`` runs sections 1 to 7, which need no policy;
``appraise`` adds section 8. Neither proves that evidence is fresh or belongs to a session; ``verifier.binding`` does.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from strongroom.base.errors import AppraisalRefused
from strongroom.formats.quote import open_quote
from strongroom.formats.td_report import TdReport
from strongroom.verifier.basis import Basis, find_basis
from strongroom.verifier.inquiry import Inquiry
from strongroom.verifier.memo import Memo, Scratch
from strongroom.verifier.policy import AppraisalPolicy
from strongroom.verifier.policy_compose import judge_composition
from strongroom.verifier.quoting_enclave import judge_quote
from strongroom.verifier.result import Assessment, AttestationResult, SgxClaims, TdxClaims
from strongroom.verifier.rules import judge_policy
from strongroom.verifier.trust_domain import judge_td_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.formats.quote import OpenedQuote
    from strongroom.formats.quote_parts import TeeType
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.policy_compose import Policy

__all__ = ["appraise", "appraise_quote", "assess", "evidence_kind"]

_NO_MEMO: Final = Memo(capacity=0)  # what a call judges by itself is of no use to another
T = TypeVar("T")


def appraise(
    evidence: bytes, collateral: Collateral, policy: Policy, *, at: datetime, memo: Memo | None = None
) -> AttestationResult:
    """Judge evidence under a policy, or a composition of policies, at an instant.

    ``memo`` spares signatures and parsing that were done before; it never changes a verdict. Raises
    ``AppraisalRefused`` with every finding, ``MalformedQuote``, ``MalformedCollateral``.
    """
    return appraise_quote(open_quote(evidence), collateral, policy, at=at, memo=memo)


def appraise_quote(
    quote: OpenedQuote, collateral: Collateral, policy: Policy, *, at: datetime, memo: Memo | None = None
) -> AttestationResult:
    """Judge a quote that was opened already, as ``appraise`` does."""
    if not isinstance(policy, AppraisalPolicy):
        shared = memo or Scratch()
        return judge_composition(policy, lambda part: appraise_quote(quote, collateral, part, at=at, memo=shared))
    inquiry = Inquiry(anchors=policy.anchors, memo=_NO_MEMO, at=at, grace=policy.expired_collateral_grace)
    assessment, basis = _assess(inquiry, quote, collateral, memo)
    judge_policy(inquiry, policy, assessment, basis.issue_dates)
    if inquiry.findings:
        raise AppraisalRefused(inquiry.findings)
    expires_at = min(inquiry.ends)
    facts = assessment.collateral
    return AttestationResult(
        kind=assessment.kind,
        claims=assessment.claims,
        tcb=_known(assessment.tcb),
        platform=_known(assessment.platform),
        collateral=facts if facts and facts.expires_at == expires_at else basis.collateral_facts(expires_at),
        anchor=_known(assessment.anchor),
        simulated=assessment.simulated,
        appraised_at=at,
        policy_digest=policy.digest,
        confessions=tuple(inquiry.confessions),
    )


def assess(
    evidence: bytes, collateral: Collateral, anchors: Sequence[Anchor], *, at: datetime, memo: Memo | None = None
) -> Assessment:
    """Judge what needs no policy, at an instant. Raises ``MalformedQuote`` and ``MalformedCollateral`` only."""
    inquiry = Inquiry(anchors=anchors, memo=_NO_MEMO, at=at, grace=timedelta(0))
    assessment, _ = _assess(inquiry, open_quote(evidence), collateral, memo)
    return assessment


def evidence_kind(quote: OpenedQuote) -> str:
    """Name the kind of evidence: ``sgx-dcap-3``, ``tdx-dcap-4``."""
    return _kind(quote.header.tee_type, quote.header.version)


def _assess(
    inquiry: Inquiry, quote: OpenedQuote, collateral: Collateral, memo: Memo | None
) -> tuple[Assessment, Basis]:
    report = quote.report
    basis, signed = find_basis(quote, collateral, inquiry.anchors, memo)
    for finding in basis.findings:
        inquiry.repeat(finding)
    inquiry.within(basis.term)
    judge_quote(inquiry, quote, signed=signed)
    if isinstance(report, TdReport):
        judge_td_report(inquiry, report)
    anchor = basis.anchor
    assessment = Assessment(
        kind=evidence_kind(quote),
        claims=TdxClaims.of(report) if isinstance(report, TdReport) else SgxClaims.of(report),
        findings=tuple(inquiry.findings),
        tcb=basis.tcb,
        platform=basis.platform,
        collateral=basis.collateral_facts(min(inquiry.ends)),
        anchor=anchor.name if anchor is not None else None,
        simulated=anchor is not None and anchor.simulated,
        appraised_at=inquiry.at,
    )
    return assessment, basis


@cache
def _kind(tee: TeeType, version: int) -> str:
    return f"{tee.name.lower()}-dcap-{version}"


def _known(value: T | None) -> T:
    """Give a fact that exists whenever nothing was objected to."""
    if value is None:
        raise AssertionError("no finding, and yet something was not found out")
    return value
