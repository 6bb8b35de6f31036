"""Collateral that was found genuine: the only form in which sources give it, keep it and pass it on.

Genuineness does not depend on the time: signatures, chains, names and revocation. When it may be used is a span of
time beside it. So a set is checked once, and asking whether it is valid now is a comparison. The checks are those of
sections 2 to 5 of docs/spec/appraisal.md, by the verifier's own functions; what needs a quote is left to the
appraisal, which repeats everything in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Check
from strongroom.collateral.kinds import PlatformKind, TeeKind, ca_of
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.crypto.certificates import RevocationList, parse_pem_chain
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote_parts import TeeType
from strongroom.formats.tcb_info import TcbInfo
from strongroom.verifier.anchors import INTEL_SGX_ROOT
from strongroom.verifier.chains import Kind, judge_chain, judge_one_root
from strongroom.verifier.documents import judge_qe_identity, judge_tcb_info
from strongroom.verifier.inquiry import Inquiry, label
from strongroom.verifier.memo import Memo
from strongroom.verifier.revocation import judge_revocation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.crypto.certificates import Certificate
    from strongroom.formats.collateral import Collateral
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.chains import Chain

__all__ = ["INTEL", "CheckedCollateral", "Edition", "Span", "check_collateral"]

INTEL: Final = (INTEL_SGX_ROOT,)
"""The anchors by default: Intel's root and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edition:
    """Which of several issues of one thing is newer: its number decides, and among equal numbers its issue date."""

    number: int
    issued: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When one part of a set may be used, both ends included."""

    name: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCollateral:
    """One genuine set, made by ``check_collateral`` alone."""

    collateral: Collateral
    kind: PlatformKind
    tcb_info: Edition
    qe_identity: Edition
    root_ca_crl: Edition
    pck_crl: Edition
    spans: tuple[Span, ...]
    anchor: str
    simulated: bool

    @property
    def tcb_evaluation_data_number(self) -> int:
        """The number that an appraisal reports: the lower of TCB info's and QE identity's."""
        return min(self.tcb_info.number, self.qe_identity.number)

    @property
    def valid_from(self) -> datetime:
        """The first instant at which every part may be used."""
        return max(span.begin for span in self.spans)

    @property
    def expires_at(self) -> datetime:
        """The last instant at which every part may be used."""
        return min(span.end for span in self.spans)

    def valid_at(self, at: datetime) -> bool:
        """Tell whether every part may be used at an instant."""
        return self.valid_from <= at <= self.expires_at

    def require(self, kind: PlatformKind, at: datetime, *, resource: str) -> CheckedCollateral:
        """Give the set itself when it is of this kind and valid at ``at``; else raise ``ResourceUnavailable``."""
        if self.kind != kind:
            raise ResourceUnavailable(f"is for {self.kind}, not for {kind}", resource=resource)
        for span in self.spans:
            if at < span.begin:
                text = f"{span.name} is not valid before {span.begin:%Y-%m-%dT%H:%M:%SZ}"
                raise ResourceUnavailable(text, resource=resource, hint="look at the clock of this machine")
            if at > span.end:
                raise ResourceUnavailable(f"{span.name} expired at {span.end:%Y-%m-%dT%H:%M:%SZ}", resource=resource)
        return self


def check_collateral(
    collateral: Collateral, *, anchors: Sequence[Anchor] = INTEL, memo: Memo | None = None, resource: str = "collateral"
) -> CheckedCollateral:
    """Check everything that needs neither a quote nor the time.

    Raises ``MalformedCollateral`` for a part that is not the thing, ``ResourceUnavailable`` with every finding.
    ``memo`` spares signatures that were verified before.
    """
    parts = _Parts.read(collateral)
    # the instant only decides about expiry, which is left out here
    inquiry = Inquiry(anchors=anchors, memo=memo or Memo(capacity=0), at=parts.tcb_info.issue_date, grace=timedelta(0))
    pck_crl_chain = _judge(inquiry, parts)
    findings = [finding for finding in inquiry.findings if finding.check is not Check.EXPIRY]
    if findings:
        text = "is not genuine: " + "; ".join(str(finding) for finding in findings)
        raise ResourceUnavailable(text, resource=resource)
    if pck_crl_chain is None or pck_crl_chain.anchor is None:
        raise AssertionError("no finding, and yet no anchor")
    return CheckedCollateral(
        collateral=collateral,
        kind=PlatformKind(
            tee=TeeKind(parts.tcb_info.id.lower()),
            fmspc=parts.tcb_info.fmspc,
            ca=ca_of(pck_crl_chain.leaf.common_name),
        ),
        tcb_info=Edition(number=parts.tcb_info.tcb_evaluation_data_number, issued=parts.tcb_info.issue_date),
        qe_identity=Edition(number=parts.qe_identity.tcb_evaluation_data_number, issued=parts.qe_identity.issue_date),
        root_ca_crl=_edition(parts.root_ca_crl),
        pck_crl=_edition(parts.pck_crl),
        spans=parts.spans,
        anchor=pck_crl_chain.anchor.name,
        simulated=pck_crl_chain.anchor.simulated,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The parts of a set, read."""

    tcb_info: TcbInfo
    qe_identity: QeIdentity
    root_ca_crl: RevocationList
    pck_crl: RevocationList
    chains: dict[Kind, tuple[Certificate, ...]]
    documents: Collateral

    @classmethod
    def read(cls, collateral: Collateral) -> _Parts:
        return cls(
            tcb_info=TcbInfo.from_bytes(collateral.tcb_info),
            qe_identity=QeIdentity.from_bytes(collateral.qe_identity),
            root_ca_crl=_read_list(collateral.root_ca_crl, "collateral.root_ca_crl"),
            pck_crl=_read_list(collateral.pck_crl, "collateral.pck_crl"),
            chains={
                Kind.PCK_CRL: parse_pem_chain(collateral.pck_crl_issuer_chain, path="collateral.pck_crl_issuer_chain"),
                Kind.TCB_INFO: parse_pem_chain(
                    collateral.tcb_info_issuer_chain, path="collateral.tcb_info_issuer_chain"
                ),
                Kind.QE_IDENTITY: parse_pem_chain(
                    collateral.qe_identity_issuer_chain, path="collateral.qe_identity_issuer_chain"
                ),
            },
            documents=collateral,
        )

    @property
    def spans(self) -> tuple[Span, ...]:
        """When each part may be used; what ends first comes first."""
        spans = [
            Span(name="the TCB info", begin=self.tcb_info.issue_date, end=self.tcb_info.next_update),
            Span(name="the QE identity", begin=self.qe_identity.issue_date, end=self.qe_identity.next_update),
        ]
        for name, revocations in (("the root CRL", self.root_ca_crl), ("the PCK CRL", self.pck_crl)):
            if revocations.next_update is not None:
                spans.append(Span(name=name, begin=revocations.this_update, end=revocations.next_update))
        certificates = {item.der: item for chain in self.chains.values() for item in chain}
        spans += [
            Span(name=f"certificate {label(item)}", begin=item.not_before, end=item.not_after)
            for item in certificates.values()
        ]
        return tuple(sorted(spans, key=lambda span: (span.end, span.name)))


def _judge(inquiry: Inquiry, parts: _Parts) -> Chain | None:
    chains = {kind: judge_chain(inquiry, certificates, kind) for kind, certificates in parts.chains.items()}
    tcb_chain, qe_chain = chains[Kind.TCB_INFO], chains[Kind.QE_IDENTITY]
    judge_one_root(inquiry, tuple(chains.values()))
    judge_revocation(
        inquiry,
        root_crl=parts.root_ca_crl,
        pck_crl=parts.pck_crl,
        pck=None,
        pck_crl_chain=chains[Kind.PCK_CRL],
        others=(tcb_chain, qe_chain),
    )
    documents, tee = parts.documents, TeeType[parts.tcb_info.id]
    judge_tcb_info(
        inquiry,
        parts.tcb_info,
        body=documents.tcb_info,
        signature=documents.tcb_info_signature,
        chain=tcb_chain,
        platform=None,
        tee=tee,
    )
    judge_qe_identity(
        inquiry,
        parts.qe_identity,
        body=documents.qe_identity,
        signature=documents.qe_identity_signature,
        chain=qe_chain,
        tee=tee,
    )
    for name, revocations in (("root CRL", parts.root_ca_crl), ("PCK CRL", parts.pck_crl)):
        inquiry.require(  # the verifier counts this as expiry, which is not looked at here
            revocations.next_update is not None,
            Check.REVOCATION,
            "3.3",
            f"the {name} does not say until when it is valid",
        )
    return chains[Kind.PCK_CRL]


def _read_list(data: bytes, path: str) -> RevocationList:
    return RevocationList.from_der(data, path=path)


def _edition(revocations: RevocationList) -> Edition:
    return Edition(number=revocations.number or 0, issued=revocations.this_update)
