"""Step 3: the root's and the PCK issuer's CRLs, and every certificate they cover (docs/spec/appraisal.md section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.findings import Check
from strongroom.verifier.inquiry import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.crypto.certificates import Certificate, RevocationList
    from strongroom.verifier.chains import Chain
    from strongroom.verifier.inquiry import Objections

__all__ = ["judge_list", "judge_revocation"]


def judge_revocation(
    inquiry: Objections,
    *,
    root_crl: RevocationList,
    pck_crl: RevocationList,
    pck: Chain | None,
    pck_crl_chain: Chain | None,
    others: Sequence[Chain | None],
) -> None:
    """Judge both lists and look up every certificate of every chain in the list of its issuer.

    ``pck_crl_chain`` is the list's own issuer chain from the collateral: its CA must be the one that issued the PCK.
    """
    chains = [chain for chain in (pck, pck_crl_chain, *others) if chain is not None]
    if chains:
        judge_list(inquiry, "the root CRL", root_crl, chains[0].root)
    issuer = pck.issuer if pck is not None else pck_crl_chain.leaf if pck_crl_chain is not None else None
    if issuer is not None:
        judge_list(inquiry, "the PCK CRL", pck_crl, issuer)
    if pck is not None and pck_crl_chain is not None:
        same = (pck.issuer.subject, pck.issuer.spki) == (pck_crl_chain.leaf.subject, pck_crl_chain.leaf.spki)
        inquiry.require(
            same,
            Check.REVOCATION,
            "3.1",
            "the PCK CRL is of another CA than the one that issued the PCK certificate",
            expected=label(pck.issuer),
            actual=label(pck_crl_chain.leaf),
        )
    certificates = {certificate.der: certificate for chain in chains for certificate in chain.certificates}
    for certificate in certificates.values():
        for revocations in (root_crl, pck_crl):
            if certificate.issuer == revocations.issuer and revocations.revokes(certificate.serial):
                inquiry.object(
                    Check.REVOCATION,
                    "3.5",
                    f"certificate {label(certificate)} is revoked",
                    actual=f"serial {certificate.serial:x}",
                )


def judge_list(inquiry: Objections, name: str, revocations: RevocationList, issuer: Certificate) -> None:
    """Steps 3.1 to 3.4: one list is its issuer's, signed, in time, and of a kind that is understood."""
    inquiry.require(
        revocations.issuer == issuer.subject,
        Check.REVOCATION,
        "3.1",
        f"{name} is of another issuer",
        expected=label(issuer),
        actual=ascii(revocations.issuer_common_name),
    )
    inquiry.require(
        inquiry.signed_by(issuer, revocations),
        Check.SIGNATURE,
        "3.2",
        f"{name} is not signed by the key of {label(issuer)}",
    )
    if inquiry.require(
        revocations.next_update is not None, Check.EXPIRY, "3.3", f"{name} does not say until when it is valid"
    ) and (end := revocations.next_update):
        inquiry.in_time("3.3", name, revocations.this_update, end, graced=True)
    inquiry.require(
        revocations.number is not None
        and revocations.authority_key_id is not None
        and issuer.subject_key_id in (None, revocations.authority_key_id)
        and not revocations.critical_extensions,
        Check.REVOCATION,
        "3.4",
        f"{name} lacks a number or its issuer's key identifier, or has a critical extension",
    )
