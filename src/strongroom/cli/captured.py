"""Judging captured evidence offline: a verdict with a policy, without one an assessment that says what is open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from strongroom.base.errors import AppraisalRefused, Malformed
from strongroom.cli.output import emit, emit_json
from strongroom.cli.verdict import collateral_text, tcb_text
from strongroom.cli.wanted import read_file
from strongroom.formats.collateral import Collateral
from strongroom.verifier import appraise, assess
from strongroom.verifier.anchors import INTEL_SGX_ROOT, SIMULATED_VENDOR, Anchor
from strongroom.verifier.policy_file import from_toml
from strongroom.verifier.result import NOT_JUDGED, SgxClaims

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.verifier.result import Assessment, TdxClaims

__all__ = ["judge_captured"]


def judge_captured(
    evidence: Path, collateral: Path, *, at: str | None, root: Path | None, policy: Path | None, as_json: bool
) -> None:
    """Judge and print; ``AppraisalRefused`` with every finding where there are any."""
    quote = read_file(evidence)
    endorsements = Collateral.from_json(read_file(collateral))
    instant = datetime.now(UTC) if at is None else _instant(at)
    assessment = assess(quote, endorsements, (_anchor(root),), at=instant)
    if policy is not None:
        result = appraise(quote, endorsements, from_toml(read_file(policy)), at=instant)
        shown: dict[str, Any] = result.to_json_object()
    else:
        shown = assessment.to_json_object()
    if as_json:
        emit_json(shown)
    else:
        emit(_describe(assessment, judged_with_policy=policy is not None))
    if policy is None and assessment.findings:
        if as_json:
            raise SystemExit(AppraisalRefused.exit_code)  # the findings stand in the result already
        raise AppraisalRefused(assessment.findings)


def _anchor(root: Path | None) -> Anchor:
    if root is None:
        return INTEL_SGX_ROOT
    anchor = Anchor.from_certificate(read_file(root), simulated=False)
    return Anchor(name=anchor.name, spki=anchor.spki, simulated=anchor.vendor == SIMULATED_VENDOR, vendor=anchor.vendor)


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("not a time as RFC 3339 writes it", path="--at") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


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


def _describe(assessment: Assessment, *, judged_with_policy: bool) -> str:
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
