"""What an appraisal rests on beside the quote's own report and signature: judged once for all quotes that share it.

Collateral, anchors, the PCK certificate, the quoting enclave's report and the attestation key are the same in every
quote that a platform makes until its quoting enclave draws another key. A ``Basis`` is what the steps of
docs/spec/appraisal.md have to say about them at any instant: the findings that no instant changes, the facts, and every
date that an instant has to be compared with. What decides it is in its key, and one with a finding is not remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from strongroom.base.errors import MalformedCollateral, MalformedQuote
from strongroom.base.findings import Check
from strongroom.crypto import ecdsa
from strongroom.crypto.certificates import Certificate, RevocationList, pem_blocks, pem_der
from strongroom.crypto.hashing import labelled_hash, sha256
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote import read_whole
from strongroom.formats.quote_parts import PCK_CERTIFICATE_CHAIN
from strongroom.formats.tcb_info import TcbInfo
from strongroom.formats.td_report import TdReport, TdReport15
from strongroom.verifier.anchors import KNOWN_ROOTS
from strongroom.verifier.chains import Chain, Kind, judge_chain, judge_one_root
from strongroom.verifier.documents import judge_qe_identity, judge_tcb_info
from strongroom.verifier.inquiry import Lasting, Objections, Term
from strongroom.verifier.memo import Memo, Scratch
from strongroom.verifier.quoting_enclave import judge_attestation_key, judge_qe_report, quote_signed
from strongroom.verifier.result import CollateralFacts, TcbFacts
from strongroom.verifier.revocation import judge_revocation
from strongroom.verifier.tcb_status import judge_tcb

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from strongroom.base.findings import Finding
    from strongroom.crypto.ecdsa import EcdsaPublicKey
    from strongroom.formats.collateral import Collateral
    from strongroom.formats.quote import OpenedQuote, Quote
    from strongroom.verifier.anchors import Anchor

__all__ = ["Basis", "find_basis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What holds of every quote with one platform, attestation key and TDX module, under one set of collateral.

    ``attestation_key`` is ``None`` when its point is not on the curve. ``issue_dates`` are of the parts whose age a
    policy may limit. A fact that could not be found out is ``None``, and then ``findings`` says why.
    """

    findings: tuple[Finding, ...]
    term: Term
    attestation_key: EcdsaPublicKey | None
    anchor: Anchor | None
    platform: PckExtension | None
    tcb: TcbFacts | None
    tcb_evaluation_data_number: int
    root_crl_number: int | None
    pck_crl_number: int | None
    issue_dates: Mapping[str, datetime]
    earliest_issue: datetime
    latest_issue: datetime

    def collateral_facts(self, expires_at: datetime) -> CollateralFacts:
        """Give what a result says of the collateral."""
        return CollateralFacts(
            tcb_evaluation_data_number=self.tcb_evaluation_data_number,
            root_crl_number=self.root_crl_number,
            pck_crl_number=self.pck_crl_number,
            earliest_issue=self.earliest_issue,
            latest_issue=self.latest_issue,
            expires_at=expires_at,
        )


def find_basis(
    quote: OpenedQuote, collateral: Collateral, anchors: tuple[Anchor, ...], memo: Memo | None
) -> tuple[Basis, bool]:
    """Recall or judge what a quote rests on, and tell whether its own signature is good.

    Raises ``MalformedQuote`` and ``MalformedCollateral``.
    """
    if memo is None:
        scratch = Scratch()
        basis = _judge(quote, collateral, anchors, shared=scratch, own=scratch)
        return basis, quote_signed(quote, basis.attestation_key)
    key = _key(quote, collateral, anchors, memo)
    found = memo.find(key)
    if found is not None:
        basis = cast("Basis", found)
        return basis, quote_signed(quote, basis.attestation_key)
    # parts of the quote that anybody may have made up are not to drive out what is known to be good
    basis = _judge(quote, collateral, anchors, shared=memo, own=Scratch(behind=memo))
    signed = quote_signed(quote, basis.attestation_key)
    if signed and not basis.findings:
        memo.keep(key, basis, size=len(quote.section.data))
    return basis, signed


def _key(quote: OpenedQuote, collateral: Collateral, anchors: tuple[Anchor, ...], memo: Memo) -> tuple[object, ...]:
    """Everything that ``_judge`` looks at, long texts by their digests."""
    name = ("collateral", collateral)
    digest = memo.find(name)
    if digest is None:
        parts = [getattr(collateral, part) for part in collateral.__slots__]
        digest = labelled_hash("strongroom collateral in a memo", *parts)
        memo.keep(name, digest, size=sum(map(len, parts)))
    report = quote.report
    module: tuple[bytes, ...] | None = None
    if isinstance(report, TdReport):
        current = (report.tee_tcb_svn_2,) if isinstance(report, TdReport15) else ()
        module = (report.mr_signer_seam, report.seam_attributes, report.tee_tcb_svn, *current)
    section = quote.section
    return "basis", digest, sha256(section.certified), section.nested, quote.header.tee_type, module, anchors


def _judge(
    opened: OpenedQuote, collateral: Collateral, anchors: tuple[Anchor, ...], *, shared: Memo, own: Memo
) -> Basis:
    """Run every step that neither an instant nor a policy changes, but for the quote's own signature and report.

    ``shared`` remembers parts of the collateral, ``own`` those of this quote.
    """
    quote = read_whole(opened)
    tee = quote.header.tee_type
    tcb_info = shared.parsed("TCB info", collateral.tcb_info, read=TcbInfo.from_bytes)
    qe_identity = shared.parsed("QE identity", collateral.qe_identity, read=QeIdentity.from_bytes)
    root_crl = shared.parsed("root CRL", collateral.root_ca_crl, read=_root_crl)
    pck_crl = shared.parsed("PCK CRL", collateral.pck_crl, read=_pck_crl)

    # reading and verifying apart: each runs faster when the other does not drive its code out of the processor's caches
    pck_crl_issuers = _chain(shared, collateral.pck_crl_issuer_chain, "collateral.pck_crl_issuer_chain")
    tcb_issuers = _chain(shared, collateral.tcb_info_issuer_chain, "collateral.tcb_info_issuer_chain")
    qe_issuers = _chain(shared, collateral.qe_identity_issuer_chain, "collateral.qe_identity_issuer_chain")
    quoted = _quoted_chain(own, quote)

    inquiry = Lasting(anchors=anchors, memo=shared)
    pck_crl_chain = judge_chain(inquiry, pck_crl_issuers, Kind.PCK_CRL)
    tcb_chain = judge_chain(inquiry, tcb_issuers, Kind.TCB_INFO)
    qe_chain = judge_chain(inquiry, qe_issuers, Kind.QE_IDENTITY)
    inquiry.memo = own
    pck = _pck_chain(inquiry, quote, quoted)
    judge_one_root(inquiry, (pck, pck_crl_chain, tcb_chain, qe_chain))
    platform = _platform(inquiry, pck)

    inquiry.memo = shared
    judge_revocation(
        inquiry,
        root_crl=root_crl,
        pck_crl=pck_crl,
        pck=pck,
        pck_crl_chain=pck_crl_chain,
        others=(tcb_chain, qe_chain),
    )
    judge_tcb_info(
        inquiry,
        tcb_info,
        body=collateral.tcb_info,
        signature=collateral.tcb_info_signature,
        chain=tcb_chain,
        platform=platform,
        tee=tee,
    )
    judge_qe_identity(
        inquiry,
        qe_identity,
        body=collateral.qe_identity,
        signature=collateral.qe_identity_signature,
        chain=qe_chain,
        tee=tee,
    )
    inquiry.memo = own
    judge_attestation_key(inquiry, quote, pck)
    qe_level = judge_qe_report(inquiry, quote.qe_report, qe_identity)
    tcb = judge_tcb(inquiry, tcb_info, platform, quote.report, qe_level)
    issue_dates = {
        "the TCB info": tcb_info.issue_date,
        "the QE identity": qe_identity.issue_date,
        "the PCK CRL": pck_crl.this_update,
    }
    return Basis(
        findings=tuple(inquiry.findings),
        term=inquiry.term,
        attestation_key=ecdsa.public_key(quote.attestation_key),
        anchor=pck.anchor if pck is not None else None,
        platform=platform,
        tcb=tcb,
        tcb_evaluation_data_number=min(tcb_info.tcb_evaluation_data_number, qe_identity.tcb_evaluation_data_number),
        root_crl_number=root_crl.number,
        pck_crl_number=pck_crl.number,
        issue_dates=issue_dates,
        earliest_issue=min(issue_dates.values()),
        latest_issue=max(issue_dates.values()),
    )


def _pck_chain(inquiry: Objections, quote: Quote, certificates: tuple[Certificate, ...] | None) -> Chain | None:
    """Steps 1.2 and 2: the chain inside the quote, ``None`` when it has none."""
    if certificates is None:
        inquiry.object(
            Check.CHAIN,
            "1.2",
            "the quote does not carry its PCK certificate chain",
            expected=f"certification data type {PCK_CERTIFICATE_CHAIN}",
            actual=str(quote.certification_data_type),
        )
        return None
    return judge_chain(inquiry, certificates, Kind.PCK)


def _platform(inquiry: Objections, pck: Chain | None) -> PckExtension | None:
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


# Readers by the part of the collateral they read, so that an error names it.


def _root_crl(data: bytes) -> RevocationList:
    return RevocationList.from_der(data, path="collateral.root_ca_crl")


def _pck_crl(data: bytes) -> RevocationList:
    return RevocationList.from_der(data, path="collateral.pck_crl")


def _chain(memo: Memo, data: bytes, path: str) -> tuple[Certificate, ...]:
    def read(text: bytes) -> tuple[Certificate, ...]:  # remembered one by one too: a root stands in four chains
        return tuple([memo.parsed("certificate", block, read=_certificate) for block in pem_blocks(text, path="")])

    try:
        return memo.parsed("chain", data, read=read)
    except MalformedCollateral as error:
        raise MalformedCollateral(error.message, path=path) from error


def _certificate(block: bytes) -> Certificate:
    der = pem_der(block, path="")
    return KNOWN_ROOTS.get(der) or Certificate.from_der(der)


def _quoted_chain(memo: Memo, quote: Quote) -> tuple[Certificate, ...] | None:
    if quote.certification_data_type != PCK_CERTIFICATE_CHAIN:
        return None
    try:
        return _chain(memo, quote.certification_data, "quote.certification")
    except MalformedCollateral as error:
        raise MalformedQuote(error.message) from error
