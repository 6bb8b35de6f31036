"""Appraisal of quotes of SGX and TDX: bytes, collateral, policy and an instant in; a result or all objections out.

The steps and their numbers are those of docs/spec/appraisal.md; they run in one pass and none is skipped because
another failed. ``assess`` runs sections 1 to 7, which need no policy; ``appraise`` adds section 8. Neither proves that
evidence is fresh or belongs to a session: that is ``verifier.binding``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from strongroom.base.errors import AppraisalRefused, MalformedCollateral, MalformedQuote
from strongroom.base.findings import Check
from strongroom.crypto.certificates import Certificate, RevocationList, split_pem
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote import parse_quote
from strongroom.formats.quote_parts import PCK_CERTIFICATE_CHAIN
from strongroom.formats.tcb_info import TcbInfo
from strongroom.formats.td_report import TdReport
from strongroom.verifier.chains import Chain, Kind, judge_chain, judge_one_root
from strongroom.verifier.documents import judge_qe_identity, judge_tcb_info
from strongroom.verifier.inquiry import Inquiry
from strongroom.verifier.memo import Memo
from strongroom.verifier.policy import AppraisalPolicy
from strongroom.verifier.policy_compose import judge_composition
from strongroom.verifier.quoting_enclave import judge_qe_report, judge_quote
from strongroom.verifier.result import Assessment, AttestationResult, CollateralFacts, SgxClaims, TdxClaims
from strongroom.verifier.revocation import judge_revocation
from strongroom.verifier.rules import judge_policy
from strongroom.verifier.tcb_status import judge_tcb
from strongroom.verifier.trust_domain import judge_td_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.formats.quote import Quote
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.policy_compose import Policy

__all__ = ["appraise", "assess"]

T = TypeVar("T")


def appraise(
    evidence: bytes, collateral: Collateral, policy: Policy, *, at: datetime, memo: Memo | None = None
) -> AttestationResult:
    """Judge evidence under a policy, or a composition of policies, at an instant.

    ``memo`` spares signatures and parsing that were done before; it never changes a verdict. Raises
    ``AppraisalRefused`` with every finding, ``MalformedQuote``, ``MalformedCollateral``.
    """
    if not isinstance(policy, AppraisalPolicy):
        shared = memo or Memo(capacity=64)
        return judge_composition(policy, lambda part: appraise(evidence, collateral, part, at=at, memo=shared))
    inquiry = Inquiry(
        anchors=policy.anchors, memo=memo or Memo(capacity=64), at=at, grace=policy.expired_collateral_grace
    )
    assessment, documents = _assess(inquiry, evidence, collateral)
    judge_policy(inquiry, policy, assessment, documents.issue_dates)
    if inquiry.findings:
        raise AppraisalRefused(inquiry.findings)
    return AttestationResult(
        kind=assessment.kind,
        claims=assessment.claims,
        tcb=_known(assessment.tcb),
        platform=_known(assessment.platform),
        collateral=replace(_known(assessment.collateral), expires_at=min(inquiry.ends)),
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
    inquiry = Inquiry(anchors=anchors, memo=memo or Memo(capacity=64), at=at, grace=timedelta(0))
    assessment, _ = _assess(inquiry, evidence, collateral)
    return assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Documents:
    """The collateral, read."""

    tcb_info: TcbInfo
    qe_identity: QeIdentity
    root_crl: RevocationList
    pck_crl: RevocationList

    @property
    def issue_dates(self) -> dict[str, datetime]:
        return {
            "the TCB info": self.tcb_info.issue_date,
            "the QE identity": self.qe_identity.issue_date,
            "the PCK CRL": self.pck_crl.this_update,
        }


def _assess(inquiry: Inquiry, evidence: bytes, collateral: Collateral) -> tuple[Assessment, _Documents]:
    quote = parse_quote(evidence)
    tee = quote.header.tee_type
    memo = inquiry.memo
    documents = _Documents(
        tcb_info=memo.parsed("TCB info", collateral.tcb_info, read=TcbInfo.from_bytes),
        qe_identity=memo.parsed("QE identity", collateral.qe_identity, read=QeIdentity.from_bytes),
        root_crl=memo.parsed("root CRL", collateral.root_ca_crl, read=_root_crl),
        pck_crl=memo.parsed("PCK CRL", collateral.pck_crl, read=_pck_crl),
    )
    pck = _pck_chain(inquiry, quote)
    pck_crl_chain = _collateral_chain(inquiry, collateral, "pck_crl_issuer_chain", Kind.PCK_CRL)
    tcb_chain = _collateral_chain(inquiry, collateral, "tcb_info_issuer_chain", Kind.TCB_INFO)
    qe_chain = _collateral_chain(inquiry, collateral, "qe_identity_issuer_chain", Kind.QE_IDENTITY)
    judge_one_root(inquiry, (pck, pck_crl_chain, tcb_chain, qe_chain))
    platform = _platform(inquiry, pck)

    judge_revocation(
        inquiry,
        root_crl=documents.root_crl,
        pck_crl=documents.pck_crl,
        pck=pck,
        pck_crl_chain=pck_crl_chain,
        others=(tcb_chain, qe_chain),
    )
    judge_tcb_info(
        inquiry,
        documents.tcb_info,
        body=collateral.tcb_info,
        signature=collateral.tcb_info_signature,
        chain=tcb_chain,
        platform=platform,
        tee=tee,
    )
    judge_qe_identity(
        inquiry,
        documents.qe_identity,
        body=collateral.qe_identity,
        signature=collateral.qe_identity_signature,
        chain=qe_chain,
        tee=tee,
    )
    judge_quote(inquiry, quote, pck)
    qe_level = judge_qe_report(inquiry, quote.qe_report, documents.qe_identity)
    if isinstance(quote.report, TdReport):
        judge_td_report(inquiry, quote.report)
    tcb = judge_tcb(inquiry, documents.tcb_info, platform, quote.report, qe_level)

    anchor = pck.anchor if pck is not None else None
    assessment = Assessment(
        kind=f"{tee.name.lower()}-dcap-{quote.header.version}",
        claims=TdxClaims.of(quote.report) if isinstance(quote.report, TdReport) else SgxClaims.of(quote.report),
        findings=tuple(inquiry.findings),
        tcb=tcb,
        platform=platform,
        collateral=_facts(documents, inquiry),
        anchor=anchor.name if anchor is not None else None,
        simulated=anchor is not None and anchor.simulated,
        appraised_at=inquiry.at,
    )
    return assessment, documents


def _pck_chain(inquiry: Inquiry, quote: Quote) -> Chain | None:
    """Steps 1.2 and 2: the chain inside the quote."""
    if not inquiry.require(
        quote.certification_data_type == PCK_CERTIFICATE_CHAIN,
        Check.CHAIN,
        "1.2",
        "the quote does not carry its PCK certificate chain",
        expected=f"certification data type {PCK_CERTIFICATE_CHAIN}",
        actual=str(quote.certification_data_type),
    ):
        return None
    return judge_chain(inquiry, _quoted_chain(inquiry.memo, quote.certification_data), Kind.PCK)


def _collateral_chain(inquiry: Inquiry, collateral: Collateral, name: str, kind: Kind) -> Chain | None:
    data: bytes = getattr(collateral, name)
    return judge_chain(inquiry, _chain(inquiry.memo, data, f"collateral.{name}"), kind)


def _platform(inquiry: Inquiry, pck: Chain | None) -> PckExtension | None:
    """Steps 2.10 and 7.1: the platform by its PCK certificate, whose two accounts of its versions must agree."""
    if pck is None:
        return None
    value = pck.leaf.extensions.get(PCK_EXTENSION_OID)
    if value is None:
        inquiry.require(False, Check.PLATFORM, "2.10", "the PCK certificate does not name its platform")
        return None
    try:
        platform = inquiry.memo.parsed("PCK extension", value, read=PckExtension.from_bytes)
    except MalformedCollateral as error:
        raise MalformedQuote(str(error), path="quote.certification") from error
    inquiry.require(
        bytes(platform.tcb.components) == platform.tcb.cpu_svn,
        Check.PLATFORM,
        "7.1",
        "the PCK certificate's components differ from its CPUSVN",
        expected=bytes(platform.tcb.components).hex(),
        actual=platform.tcb.cpu_svn.hex(),
    )
    return platform


def _facts(documents: _Documents, inquiry: Inquiry) -> CollateralFacts:
    issued = documents.issue_dates.values()
    return CollateralFacts(
        tcb_evaluation_data_number=min(
            documents.tcb_info.tcb_evaluation_data_number, documents.qe_identity.tcb_evaluation_data_number
        ),
        root_crl_number=documents.root_crl.number,
        pck_crl_number=documents.pck_crl.number,
        earliest_issue=min(issued),
        latest_issue=max(issued),
        expires_at=min(inquiry.ends),
    )


def _known(value: T | None) -> T:
    """Give a fact that exists whenever nothing was objected to."""
    if value is None:
        raise AssertionError("no finding, and yet something was not found out")
    return value


# Readers by the part of the collateral they read, so that an error names it.


def _root_crl(data: bytes) -> RevocationList:
    return RevocationList.from_der(data, path="collateral.root_ca_crl")


def _pck_crl(data: bytes) -> RevocationList:
    return RevocationList.from_der(data, path="collateral.pck_crl")


def _chain(memo: Memo, data: bytes, path: str) -> tuple[Certificate, ...]:
    def read(text: bytes) -> tuple[Certificate, ...]:  # remembered also one by one: a root stands in four chains
        return tuple(memo.parsed("certificate", part, read=Certificate.from_der) for part in split_pem(text, path=""))

    try:
        return memo.parsed("chain", data, read=read)
    except MalformedCollateral as error:
        raise MalformedCollateral(error.message, path=path) from error


def _quoted_chain(memo: Memo, data: bytes) -> tuple[Certificate, ...]:
    try:
        return _chain(memo, data, "quote.certification")
    except MalformedCollateral as error:
        raise MalformedQuote(error.message) from error
