"""Whether a verifier lied: its signed word beside the same appraisal, done again at the instant it stated. Pure.

The exact rules, and what is no lie, are docs/spec/remote-verifier.md 6. A proof convinces whoever has the software
and the verifier's key, without a network and without believing the one who shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, Malformed, MalformedMessage, MalformedToken, Misconfigured
from strongroom.crypto.hashing import equal, sha256
from strongroom.formats.collateral import Collateral
from strongroom.verifier.appraisal import appraise
from strongroom.verifier.policy_compose import policy_from_toml
from strongroom.verifier.quorum import FACTS
from strongroom.verifier.remote import read_statement
from strongroom.verifier.token_keys import PinnedKey
from strongroom.verifier.trustworthiness import Tier, vector_of_result

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.base.findings import Finding
    from strongroom.formats.remote_appraisal import AppraisalProof
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.remote import Statement
    from strongroom.verifier.result import AttestationResult

__all__ = ["Outcome", "ProofVerdict", "check_proof"]

_STATED: Final = (*FACTS, "collateral", "confessions")


class Outcome(StrEnum):
    """What a proof shows."""

    LIE = "lie"
    TRUE = "true"
    PROVES_NOTHING = "proves-nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofVerdict:
    """What came of checking. ``rule`` is the step of docs/spec/remote-verifier.md that decided, ``reason`` says why.

    ``key`` is whom the proof is about: compare it with the verifier's, the file names it and proves nothing about
    whose it is. ``said`` and ``appraised`` are ``accepted`` or ``refused`` where they are known, ``findings`` those
    of the repeated appraisal.
    """

    outcome: Outcome
    rule: str
    reason: str
    key: PinnedKey
    build: str = ""
    stated_at: datetime | None = None
    said: str | None = None
    appraised: str | None = None
    findings: tuple[Finding, ...] = ()

    def to_json_object(self) -> dict[str, object]:
        """Give the verdict as JSON."""
        return {
            "outcome": self.outcome.value,
            "rule": self.rule,
            "reason": self.reason,
            "verifier_key": self.key.to_text(),
            "verifier_build": self.build,
            "stated_at": None if self.stated_at is None else self.stated_at.isoformat().replace("+00:00", "Z"),
            "said": self.said,
            "appraised": self.appraised,
            "findings": [[str(finding.check), finding.section, finding.message] for finding in self.findings],
        }


def check_proof(proof: AppraisalProof) -> ProofVerdict:
    """Repeat the appraisal that a proof is about and compare; raises ``MalformedMessage`` when the file is damaged."""
    try:
        key = PinnedKey.from_text(proof.key)
    except ValueError as error:
        raise MalformedMessage(str(error), path="appraisal proof.key") from error
    try:
        statement = read_statement(proof.token, key)
    except (AppraisalRefused, MalformedToken) as error:
        reason = f"the named key signed no such result: {error.message}"
        return ProofVerdict(outcome=Outcome.PROVES_NOTHING, rule="6.1", reason=reason, key=key)
    said = "accepted" if statement.accepted else "refused"

    def verdict(outcome: Outcome, rule: str, reason: str, **more: object) -> ProofVerdict:
        known = {"build": statement.ear.verifier.build, "stated_at": statement.appraised_at, "said": said, **more}
        return ProofVerdict(outcome=outcome, rule=rule, reason=reason, key=key, **known)  # type: ignore[arg-type]

    for rule, what, shown, stated in (
        ("6.2", "evidence", sha256(proof.evidence), statement.evidence_digest),
        ("6.3", "collateral", sha256(proof.collateral), statement.collateral_digest),
    ):
        if not equal(shown, stated):
            return verdict(Outcome.PROVES_NOTHING, rule, f"the result is about other {what} than the proof holds")
    try:
        policy = policy_from_toml(proof.policy)
    except Misconfigured as error:
        return verdict(Outcome.PROVES_NOTHING, "6.4", f"the proof holds no policy: {error.message}")
    if not equal(policy.digest, statement.policy_digest):
        return verdict(Outcome.PROVES_NOTHING, "6.4", "the result was made under another policy than the proof holds")

    result, findings, trouble = _again(proof, policy, statement.appraised_at)
    if result is None:
        again = {"appraised": "refused", "findings": findings}
        objections = trouble or "; ".join(str(finding) for finding in findings)
        if statement.accepted:
            return verdict(Outcome.LIE, "6.5", f"accepted what the appraisal refuses: {objections}", **again)
        if statement.ear.status is not Tier.CONTRAINDICATED:
            return verdict(Outcome.LIE, "6.8", "refused, and yet not contraindicated", **again)
        return verdict(Outcome.TRUE, "6.9", "refused, as the appraisal does", **again)
    if not statement.accepted:
        return verdict(Outcome.LIE, "6.6", "refused what the appraisal accepts", appraised="accepted")
    if differing := _differing(statement, result):
        reason = f"says other things of the evidence than it holds: {', '.join(differing)}"
        return verdict(Outcome.LIE, "6.7", reason, appraised="accepted")
    vector = vector_of_result(result, policy)
    if statement.ear.status < vector.tier:
        reason = f"status {statement.ear.status.label} is better than {vector.tier.label}"
        return verdict(Outcome.LIE, "6.8", reason, appraised="accepted")
    return verdict(Outcome.TRUE, "6.9", "accepted, as the appraisal does", appraised="accepted")


def _again(
    proof: AppraisalProof, policy: Policy, at: datetime
) -> tuple[AttestationResult | None, tuple[Finding, ...], str]:
    """Appraise; what cannot be read cannot be accepted either, and says so in words."""
    try:
        return appraise(proof.evidence, Collateral.from_json(proof.collateral), policy, at=at), (), ""
    except AppraisalRefused as refusal:
        return None, refusal.findings, ""
    except Malformed as error:
        return None, (), error.message


def _differing(statement: Statement, result: AttestationResult) -> list[str]:
    true, said = result.to_json_object(), statement.ear.details
    return [fact for fact in _STATED if fact in said and _contradicts(said[fact], true[fact])]


def _contradicts(said: object, true: object) -> bool:
    """Compare what both say: what one of them leaves out, another version of the software may not know."""
    if isinstance(said, dict) and isinstance(true, dict):
        return any(_contradicts(said[name], true[name]) for name in said.keys() & true.keys())
    return said != true
