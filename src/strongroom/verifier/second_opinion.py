"""A second opinion at run time: evidence is accepted when this verifier *and* ``dcap-qvl`` (Phala, in Rust) accept it.

Two implementations by different people share few faults. This one decides first; the other is then asked about the
same bytes at the same time, under the root certificate that the evidence's collateral carries and whose key this one
has found to be an accepted anchor. Needs the extra ``strongroom[second-opinion]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom.base.errors import AppraisalRefused, Misconfigured
from strongroom.base.findings import Check, Finding
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.verifier.appraisal import appraise

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.result import AttestationResult

__all__ = ["appraise_twice"]


def appraise_twice(
    evidence: bytes, collateral: Collateral, policy: Policy, *, at: datetime, memo: Memo | None = None
) -> AttestationResult:
    """Appraise, then ask ``dcap-qvl``; ``AppraisalRefused`` when either refuses or the two disagree on the TCB.

    The other verifier reads TCB info of version 3 only and refuses every debug enclave, so with it so does this.
    ``Misconfigured`` when it is not installed.
    """
    result = appraise(evidence, collateral, policy, at=at, memo=memo)
    status, advisories = _other(evidence, collateral, at)
    ours = {advisory.id for advisory in result.advisories}
    if status != result.tcb_status.value or advisories != ours:
        raise AppraisalRefused(
            [
                _objection(
                    "the second verifier came to another TCB status or other advisories",
                    expected=_text(result.tcb_status.value, ours),
                    actual=_text(status, advisories),
                )
            ]
        )
    return result


def _other(evidence: bytes, collateral: Collateral, at: datetime) -> tuple[str, set[str]]:
    try:
        import dcap_qvl  # noqa: PLC0415 - an extra
    except ImportError as cause:
        raise Misconfigured(
            "a second opinion needs dcap-qvl", setting="second_opinion", hint="pip install strongroom[second-opinion]"
        ) from cause
    # the last of the chain is its root; that its key is an accepted anchor's was step 2.2
    root = parse_pem_chain(collateral.tcb_info_issuer_chain, path="tcb_info_issuer_chain")[-1]
    try:
        theirs = dcap_qvl.QuoteCollateralV3.from_json(collateral.to_json().decode())
        report: Any = dcap_qvl.verify_with_root_ca(evidence, theirs, root.der, int(at.timestamp()))
    except ValueError as error:
        lines = str(error).splitlines()
        reason = "".join(character for character in (lines or [""])[-1] if character.isprintable())[:100]
        raise AppraisalRefused([_objection("the second verifier refuses the evidence", actual=reason)]) from error
    return str(report.status), set(report.advisory_ids)


def _objection(message: str, *, expected: str = "", actual: str = "") -> Finding:
    return Finding(
        check=Check.SECOND_OPINION, message=message, section="appraisal 12.1", expected=expected, actual=actual
    )


def _text(status: str, advisories: set[str]) -> str:
    return f"{status}, {', '.join(sorted(advisories)) or 'no advisories'}"
