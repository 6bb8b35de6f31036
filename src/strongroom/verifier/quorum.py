"""k of n verifiers: signed results about one question in, one typed value or a refusal out. Pure.

Steps: docs/spec/remote-verifier.md 4. None of the verifiers is trusted alone. An answer that does not count is as
good as none; an answer that counts and says no refuses, since then somebody lies and the client cannot tell who.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, MalformedToken, Misconfigured
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import equal, sha256
from strongroom.verifier.eat import judge_ear
from strongroom.verifier.remote import read_statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.verifier.remote import Statement
    from strongroom.verifier.token_keys import PinnedKey

__all__ = ["FACTS", "MAX_VERIFIERS", "PinnedVerifier", "VouchRule", "Vouched", "judge_vouches"]

MAX_VERIFIERS: Final = 16
_MAX_TOKENS: Final = 4 * MAX_VERIFIERS
_MAX_NAME: Final = 64

FACTS: Final = ("kind", "anchor", "simulated", "claims", "tcb", "platform")
"""What a result says of the evidence, whoever says it and whenever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedVerifier:
    """A verifier that a client has chosen: a name of the client's own, and the key that its results are signed with."""

    name: str
    key: PinnedKey

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > _MAX_NAME or not self.name.isprintable():
            raise Misconfigured(f"a verifier's name has 1 to {_MAX_NAME} printable characters", setting="verifier.name")


@dataclass(frozen=True, slots=True, kw_only=True)
class VouchRule:
    """When a client believes others: ``required`` of ``verifiers`` under the policy of ``policy_digest`` (32 bytes).

    ``maximum_age`` is how old their word may be, ``clock_skew`` by how much clocks may differ. Nothing has a default
    but the skew, and there is no rule that no verifier has to meet.
    """

    verifiers: tuple[PinnedVerifier, ...]
    required: int
    policy_digest: bytes
    maximum_age: timedelta
    clock_skew: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        if not 1 <= len(self.verifiers) <= MAX_VERIFIERS:
            raise Misconfigured(f"1 to {MAX_VERIFIERS} verifiers are named", setting="verifier")
        if not 1 <= self.required <= len(self.verifiers):
            raise Misconfigured(
                f"{self.required} of {len(self.verifiers)} verifiers cannot be required", setting="required"
            )
        for what, values in (
            ("key", {(item.key.algorithm, item.key.public) for item in self.verifiers}),
            ("name", {item.name for item in self.verifiers}),
        ):
            if len(values) != len(self.verifiers):
                raise Misconfigured(f"two verifiers have one {what}, and would count twice", setting=f"verifier.{what}")
        if len(self.policy_digest) != 32:
            raise Misconfigured("a policy's digest has 32 bytes", setting="policy_digest")
        if self.maximum_age <= timedelta(0) or self.clock_skew < timedelta(0):
            raise Misconfigured("an age and a skew are not negative, and an age of nothing admits nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """At least ``required`` pinned verifiers accepted this evidence, under this policy, for this nonce.

    It is their word and nobody's own appraisal. ``by`` names them, ``statement`` is the first one's, the others'
    facts are the same. ``expires_at`` is the first end of any. ``notes`` says which answers did not count, and why.
    """

    by: tuple[str, ...]
    statement: Statement
    expires_at: datetime
    notes: tuple[Finding, ...]


def judge_vouches(
    tokens: Sequence[bytes],
    rule: VouchRule,
    *,
    nonce: bytes,
    evidence: bytes,
    collateral: bytes,
    at: datetime,
) -> Vouched:
    """Count verifiers, or raise ``AppraisalRefused`` with every finding about every answer.

    ``tokens`` are signed results, CWT or JWT, in any order. ``evidence`` and ``collateral`` are the bytes that were
    sent, ``nonce`` the one that was sent with them.
    """
    notes: list[Finding] = []
    yes: dict[str, Statement] = {}
    no: dict[str, Statement] = {}
    digests = sha256(evidence), sha256(collateral)
    if len(tokens) > _MAX_TOKENS:
        notes.append(_objection("4.1", f"{len(tokens)} answers, at most {_MAX_TOKENS} are read"))
    for place, token in enumerate(tokens[:_MAX_TOKENS], 1):
        try:
            who, statement = _signed(token, rule)
        except MalformedToken as error:
            notes.append(_objection("4.2", f"answer {place} is no signed result: {error.message}"))
            continue
        if who is None or statement is None:
            notes.append(_objection("4.3", f"answer {place} is signed by none of the pinned keys", Check.SIGNATURE))
            continue
        objections = _objections(statement, rule, who.name, digests=digests, nonce=nonce, at=at)
        if who.name in yes or who.name in no:
            objections.append(_objection("4.4", f"{who.name} answered more than once, and counts once"))
        if objections:
            notes += objections
        else:
            (yes if statement.accepted else no)[who.name] = statement
    findings = _disagreement(yes, no)
    if len(yes) < rule.required:
        findings.append(
            _objection(
                "4.9",
                "fewer verifiers accept than are required",
                expected=f"{rule.required} of {len(rule.verifiers)}",
                actual=", ".join(sorted(yes)) or "none",
            )
        )
    if findings:
        raise AppraisalRefused([*findings, *notes])
    by = tuple(item.name for item in rule.verifiers if item.name in yes)
    return Vouched(
        by=by,
        statement=yes[by[0]],
        expires_at=min(statement.ear.expires_at for statement in yes.values()),
        notes=tuple(notes),
    )


def _signed(token: bytes, rule: VouchRule) -> tuple[PinnedVerifier | None, Statement | None]:
    """Find whose word it is: the keys are tried, so that a token does not choose its own."""
    for verifier in rule.verifiers:
        try:
            return verifier, read_statement(token, verifier.key)
        except AppraisalRefused:
            continue
    return None, None


def _objections(
    statement: Statement, rule: VouchRule, name: str, *, digests: tuple[bytes, bytes], nonce: bytes, at: datetime
) -> list[Finding]:
    """Steps 4.5 to 4.7: about this evidence and collateral, under this policy, now, for this question."""
    findings = []
    for step, check, what, expected, actual in (
        ("4.5", Check.KEY_BINDING, "evidence", digests[0], statement.evidence_digest),
        ("4.5", Check.KEY_BINDING, "collateral", digests[1], statement.collateral_digest),
        ("4.6", Check.CONFIGURATION, "policy", rule.policy_digest, statement.policy_digest),
    ):
        if not equal(expected, actual):
            message = f"{name} speaks of another {what}"
            findings.append(_objection(step, message, check, expected=expected.hex(), actual=actual.hex()))
    findings += [
        _objection("4.7", f"{name}: {item.message}", item.check, expected=item.expected, actual=item.actual)
        for item in judge_ear(
            statement.ear, at=at, maximum_age=rule.maximum_age, nonce=nonce, clock_skew=rule.clock_skew
        )
    ]
    return findings


def _disagreement(yes: dict[str, Statement], no: dict[str, Statement]) -> list[Finding]:
    """Step 4.8: no verifier that counts says no, and all say the same of the evidence."""
    findings = []
    for name, statement in no.items():
        said = statement.ear.details.get("findings")
        checks = [str(item.get("check")) for item in said if isinstance(item, dict)] if isinstance(said, list) else []
        accepting = f"{', '.join(yes)} accept" if yes else "nobody accepts"
        findings.append(
            _objection("4.8", f"{name} refuses the evidence", expected=accepting, actual=", ".join(checks)[:200])
        )
    names = list(yes)
    for name in names[1:]:
        first, other = yes[names[0]].ear.details, yes[name].ear.details
        if differing := [fact for fact in FACTS if first.get(fact) != other.get(fact)]:
            findings.append(
                _objection(
                    "4.8", f"{names[0]} and {name} accept, and say different things", actual=", ".join(differing)
                )
            )
    return findings


def _objection(
    step: str, message: str, check: Check = Check.VERIFIER, *, expected: str = "", actual: str = ""
) -> Finding:
    section = f"remote-verifier {step}"
    return Finding(check=check, message=message, section=section, expected=expected, actual=actual)
