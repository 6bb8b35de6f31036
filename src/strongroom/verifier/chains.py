"""Step 2: certificate chains, from a leaf to a root whose key is an anchor (docs/spec/appraisal.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Check
from strongroom.formats.pck_extension import PCK_EXTENSION_OID
from strongroom.verifier.anchors import SIMULATED_VENDOR, Anchor
from strongroom.verifier.inquiry import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.crypto.certificates import Certificate
    from strongroom.verifier.inquiry import Objections

__all__ = ["Chain", "Kind", "judge_chain", "judge_one_root"]

_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_KEY_USAGE: Final = "2.5.29.15"
_UNDERSTOOD: Final = frozenset({_BASIC_CONSTRAINTS, _KEY_USAGE})
_UNDERSTOOD_OF_PCK: Final = _UNDERSTOOD | {PCK_EXTENSION_OID}
_ROOT_SUFFIX: Final = " SGX Root CA"
_X509_V3: Final = 3


class Kind(Enum):
    """Which chain it is: what to call it, how many certificates it has, what its end is called below the vendor."""

    PCK = ("the PCK certificate chain", 3, ("SGX PCK Certificate",), False)
    TCB_INFO = ("the TCB info issuer chain", 2, ("SGX TCB Signing",), False)
    QE_IDENTITY = ("the QE identity issuer chain", 2, ("SGX TCB Signing",), False)
    PCK_CRL = ("the PCK CRL issuer chain", 2, ("SGX PCK Processor CA", "SGX PCK Platform CA"), True)

    def __init__(self, title: str, length: int, names: tuple[str, ...], ca: bool) -> None:
        self.title = title
        self.length = length
        self.names = names
        self.ca = ca


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain in order, leaf first. ``anchor`` is ``None`` when its root is no anchor; the finding was made."""

    certificates: tuple[Certificate, ...]
    anchor: Anchor | None

    @property
    def leaf(self) -> Certificate:
        """The certificate that the chain is for."""
        return self.certificates[0]

    @property
    def issuer(self) -> Certificate:
        """The leaf's issuer."""
        return self.certificates[1]

    @property
    def root(self) -> Certificate:
        """The self-issued end."""
        return self.certificates[-1]


def judge_chain(inquiry: Objections, certificates: Sequence[Certificate], kind: Kind) -> Chain | None:
    """Judge one chain, given in any order; ``None`` when it does not have the right number of certificates.

    What does not depend on the instant is remembered of chains that nothing was said against; dates are judged always.
    """
    # an unopposed chain of one document is one of the other's too, where the same offices sign both
    content = (kind.length, kind.names, kind.ca, inquiry.anchors, *[certificate.der for certificate in certificates])
    chain = inquiry.memo.lasting(
        content, lambda: inquiry.unopposed(lambda: _judge_lasting(inquiry, certificates, kind))
    )
    for certificate in chain.certificates if chain is not None else ():
        begin, end = certificate.not_before, certificate.not_after
        inquiry.in_time("2.4", f"certificate {label(certificate)}", begin, end, graced=False)
    return chain


def _judge_lasting(inquiry: Objections, certificates: Sequence[Certificate], kind: Kind) -> Chain | None:
    """Step 2 without 2.4."""
    if not inquiry.require(
        len(certificates) == kind.length,
        Check.CHAIN,
        "2.1",
        f"{kind.title} has {len(certificates)} certificates",
        expected=str(kind.length),
        actual=str(len(certificates)),
    ):
        return None
    ordered = _arrange(certificates)
    inquiry.require(
        ordered is not None, Check.CHAIN, "2.1", f"the names in {kind.title} do not form a chain from a root to a leaf"
    )
    chain = ordered if ordered is not None else tuple(certificates)
    anchor = _anchor(inquiry, chain[-1])
    vendor = anchor.vendor if anchor is not None else chain[-1].common_name.removesuffix(_ROOT_SUFFIX)
    for position, certificate in enumerate(chain):
        _judge_certificate(inquiry, certificate, chain[min(position + 1, len(chain) - 1)])
        if not _may(certificate, _ca_certificates_below(position, kind)):
            inquiry.object(Check.CHAIN, "2.5", f"certificate {label(certificate)} may not be used in its place")
        understood = _UNDERSTOOD_OF_PCK if kind is Kind.PCK and not position else _UNDERSTOOD
        if unknown := certificate.critical_extensions - understood:
            inquiry.object(
                Check.CHAIN,
                "2.8",
                f"certificate {label(certificate)} has a critical extension that is not understood",
                actual=", ".join(sorted(unknown)),
            )
    _judge_names(inquiry, chain, kind, vendor)
    return Chain(certificates=chain, anchor=anchor)


def judge_one_root(inquiry: Objections, chains: Sequence[Chain | None]) -> None:
    """Step 2.9: all chains end in one root, so that no anchor vouches for another anchor's platforms."""
    roots = {(chain.root.subject, chain.root.spki) for chain in chains if chain is not None}
    inquiry.require(len(roots) <= 1, Check.CHAIN, "2.9", "the chains end in different roots")


def _arrange(certificates: Sequence[Certificate]) -> tuple[Certificate, ...] | None:
    roots = [item for item in certificates if item.subject == item.issuer]
    if len(roots) != 1:
        return None
    chain, rest = [roots[0]], [item for item in certificates if item is not roots[0]]
    while rest:
        below = [item for item in rest if item.issuer == chain[0].subject]
        if len(below) != 1:
            return None
        chain.insert(0, below[0])
        rest.remove(below[0])
    return tuple(chain)


def _anchor(inquiry: Objections, root: Certificate) -> Anchor | None:
    """Step 2.2. The key decides, not the certificate's bytes: three issues of Intel's root circulate."""
    for anchor in inquiry.anchors:
        if anchor.is_root(root):
            return anchor
    inquiry.require(
        False,
        Check.CHAIN,
        "2.2",
        f"the root {label(root)} is not an accepted anchor",
        expected=", ".join(anchor.name for anchor in inquiry.anchors) or "no anchor is accepted",
        actual=label(root),
    )
    inquiry.require(
        any(anchor.simulated for anchor in inquiry.anchors) or not root.common_name.startswith(SIMULATED_VENDOR),
        Check.SIMULATED,
        "2.2",
        "the evidence comes from a simulated platform, which proves no hardware",
    )
    return None


def _ca_certificates_below(position: int, kind: Kind) -> int | None:
    """How many CA certificates may stand between this one and the end; ``None`` for an end that is no CA."""
    if position == 0:
        return 0 if kind.ca else None
    return position - 1 + (1 if kind.ca else 0)


def _judge_certificate(inquiry: Objections, certificate: Certificate, issuer: Certificate) -> None:
    name = label(certificate)
    if not certificate.ecdsa_p256_sha256:
        inquiry.object(Check.CHAIN, "2.6", f"certificate {name} is not of a P-256 key signed by ECDSA with SHA-256")
    if certificate.issuer != issuer.subject:
        inquiry.object(Check.CHAIN, "2.3", f"certificate {name} names another issuer")
    if not inquiry.signed_by(issuer, certificate):
        inquiry.object(Check.SIGNATURE, "2.3", f"certificate {name} is not signed by the key of {label(issuer)}")


def _may(certificate: Certificate, ca_below: int | None) -> bool:
    """Step 2.5: version 3, basicConstraints and keyUsage as RFC 5280 section 4.2.1 wants them in this place."""
    usages = certificate.key_usages
    if certificate.version != _X509_V3 or usages is None or certificate.ca is None:
        return False
    if ca_below is None:
        return not certificate.ca and "digitalSignature" in usages and "keyCertSign" not in usages
    length = certificate.path_length
    return certificate.ca and {"keyCertSign", "cRLSign"} <= usages and (length is None or length >= ca_below)


def _judge_names(inquiry: Objections, chain: tuple[Certificate, ...], kind: Kind, vendor: str) -> None:
    """Step 2.7: each certificate has the name of its office, so that a PCK leaf cannot sign TCB info."""
    for certificate, names in zip(chain, _offices(kind, vendor), strict=True):
        if certificate.common_name not in names:
            inquiry.object(
                Check.CHAIN,
                "2.7",
                f"a certificate of {kind.title} has the name of another office",
                expected=" or ".join(names),
                actual=label(certificate),
            )


@lru_cache(maxsize=64)  # the vendors are few
def _offices(kind: Kind, vendor: str) -> tuple[tuple[str, ...], ...]:
    """Give the names that a chain's certificates may have, leaf first."""
    wanted = [kind.names]
    if kind is Kind.PCK:
        wanted.append(Kind.PCK_CRL.names)
    return *(tuple(f"{vendor} {name}" for name in names) for names in wanted), (f"{vendor}{_ROOT_SUFFIX}",)
