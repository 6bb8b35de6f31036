"""Doing some of the appraisals oneself: what keeps verifiers honest. Pure: chance is an argument.

A verifier cannot tell which of its answers will be checked, and one lie that is found convicts it for everybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused, MalformedToken
from strongroom.verifier.lie import Outcome, ProofVerdict, check_proof
from strongroom.verifier.remote import read_statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.formats.remote_appraisal import AppraisalProof, SignedAppraisal
    from strongroom.verifier.quorum import PinnedVerifier, VouchRule

__all__ = ["is_due", "lies_in"]


def is_due(draw: bytes, *, one_in: int) -> bool:
    """Tell whether an answer is to be checked. ``draw`` is 8 random bytes of the client's own, drawn after the answer.

    ``one_in`` 1 checks every answer.
    """
    if one_in < 1 or len(draw) != 8:
        raise ValueError("one in one or more, and 8 bytes of chance")
    return int.from_bytes(draw, "big") % one_in == 0


def lies_in(answers: Iterable[SignedAppraisal], rule: VouchRule) -> list[tuple[str, ProofVerdict, AppraisalProof]]:
    """Check answers, both tokens of each; gives name, verdict and proof of every lie of a pinned verifier.

    An answer by nobody who is pinned is passed over: it counts for nothing and convicts nobody.
    """
    lies = []
    for answer in answers:
        for token in (answer.cwt, answer.jwt):
            who = _signer(token, rule)
            if who is None:
                continue
            proof = answer.proof(who.key.to_text(), token=token)
            verdict = check_proof(proof)
            if verdict.outcome is Outcome.LIE:
                lies.append((who.name, verdict, proof))
                break
    return lies


def _signer(token: bytes, rule: VouchRule) -> PinnedVerifier | None:
    for verifier in rule.verifiers:
        try:
            read_statement(token, verifier.key)
        except (AppraisalRefused, MalformedToken):
            continue
        return verifier
    return None
