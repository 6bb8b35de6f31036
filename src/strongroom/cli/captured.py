"""Captured evidence: the root and the time that a command line names, and how the outcome looks to a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strongroom.base.errors import Malformed
from strongroom.cli.verdict import collateral_text, tcb_text
from strongroom.cli.wanted import read_file
from strongroom.verifier.anchors import INTEL_SGX_ROOT, SIMULATED_VENDOR, Anchor
from strongroom.verifier.result import NOT_JUDGED, SgxClaims

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.verifier.result import Assessment, TdxClaims

__all__ = ["anchor_of", "describe_captured", "instant_of"]


def anchor_of(root: Path | None) -> Anchor:
    """Take the root that a command line names, Intel's where it names none."""
    if root is None:
        return INTEL_SGX_ROOT
    anchor = Anchor.from_certificate(read_file(root), simulated=False)
    return Anchor(name=anchor.name, spki=anchor.spki, simulated=anchor.vendor == SIMULATED_VENDOR, vendor=anchor.vendor)


def instant_of(text: str) -> datetime:
    """Read a time of the command line; without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("not a time as RFC 3339 writes it", path="--at") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def describe_captured(assessment: Assessment, *, judged_with_policy: bool) -> str:
    """Describe what captured evidence says, in about twenty lines."""
    claims = assessment.claims
    unknown = "could not be found out"
    rows = [
        ("hardware root", assessment.anchor or unknown),
        ("measurement", claims.measurement.hex()),
        *_particulars(claims),
        ("debug", "yes" if claims.debug else "no"),
        ("report data", claims.report_data.hex()),
    ]
    if assessment.tcb is not None:
        rows.append(("TCB", tcb_text(assessment.tcb)))
        rows += [("", shortfall) for shortfall in assessment.tcb.shortfalls]
    if assessment.collateral is not None:
        rows.append(("collateral", collateral_text(assessment.collateral)))
    verdict = "genuine" if assessment.genuine else "refused"
    if assessment.simulated:
        verdict += ", from a SIMULATED PLATFORM that proves no hardware"
    lines = [f"{verdict}, judged at {assessment.appraised_at:%Y-%m-%d %H:%M} UTC", ""]
    lines += [f"  {name:<14} {value}" for name, value in rows]
    if judged_with_policy:
        lines += ["", "accepted by the policy"]
    else:
        lines += ["", "not judged, since there is no policy"]
        lines += [f"  - {text}" for text in NOT_JUDGED]
    return "\n".join(lines)


def _particulars(claims: SgxClaims | TdxClaims) -> list[tuple[str, str]]:
    if isinstance(claims, SgxClaims):
        signer = f"{claims.mr_signer.hex()}, product {claims.isv_prod_id}, security version {claims.isv_svn}"
        return [("signer", signer)]
    registers = (claims.rtmr_0, claims.rtmr_1, claims.rtmr_2, claims.rtmr_3)
    rows = [(f"register {number}", value.hex()) for number, value in enumerate(registers)]
    return [
        *rows,
        ("attributes", ", ".join(claims.td_attributes.names) or "none"),
        ("TDX module", claims.mr_seam.hex()),
    ]
