"""Whether a verifier lied: every rule of docs/spec/remote-verifier.md 6, and what is no lie."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import damaged
from strongroom.base.errors import MalformedMessage
from strongroom.crypto.hashing import sha256
from strongroom.formats.remote_appraisal import AppraisalProof, AppraisalRequest, SignedAppraisal
from strongroom.testing.intel_pki import AT
from strongroom.verifier.cwt import sign_cwt
from strongroom.verifier.eat import Ear
from strongroom.verifier.jwt import sign_jwt
from strongroom.verifier.lie import Outcome, check_proof
from strongroom.verifier.policy_compose import policy_to_toml
from strongroom.verifier.quorum import PinnedVerifier, VouchRule
from strongroom.verifier.recheck import is_due, lies_in
from strongroom.verifier.remote import appraise_for, read_statement
from strongroom.verifier.trustworthiness import Tier
from tokens import EDDSA, ES256, PKI, POLICY, VERIFIER

NONCE = bytes(range(32))
EVIDENCE, COLLATERAL = PKI.quote().to_bytes(), PKI.collateral().to_json()
REFUSING = replace(POLICY, mr_enclaves=frozenset(), signers=())


def said(policy=POLICY, *, evidence: bytes = EVIDENCE, at=AT) -> SignedAppraisal:
    request = AppraisalRequest(evidence=evidence, collateral=COLLATERAL, nonce=NONCE)
    return appraise_for(request, policy, EDDSA, verifier=VERIFIER, at=at)


YES, NO = said(), said(REFUSING)


def ear_of(answer: SignedAppraisal) -> Ear:
    return read_statement(answer.cwt, EDDSA.pinned).ear


def proof(answer: SignedAppraisal, ear: Ear | None = None, **changes: object) -> AppraisalProof:
    token = answer.cwt if ear is None else sign_cwt(ear, EDDSA)
    return replace(answer.proof(EDDSA.pinned.to_text(), token=token), **changes)


def checked(evidence_of_lie: AppraisalProof) -> tuple[str, str]:
    verdict = check_proof(evidence_of_lie)
    return verdict.outcome.value, verdict.rule


@pytest.mark.parametrize("answer", [YES, NO], ids=["yes", "no"])
@pytest.mark.parametrize("form", ["cwt", "jwt"])
def test_the_truth(answer: SignedAppraisal, form: str) -> None:
    verdict = check_proof(answer.proof(EDDSA.pinned.to_text(), token=getattr(answer, form)))
    assert (verdict.outcome, verdict.rule) == (Outcome.TRUE, "6.9")
    assert verdict.said == verdict.appraised
    assert verdict.stated_at == AT.replace(microsecond=0)
    assert verdict.build == VERIFIER.build


def test_said_yes_where_the_appraisal_refuses() -> None:
    yes = ear_of(YES)
    lie = replace(ear_of(NO), status=Tier.AFFIRMING, vector=yes.vector, details=yes.details)
    verdict = check_proof(proof(NO, lie))
    assert (verdict.outcome, verdict.rule) == (Outcome.LIE, "6.5")
    assert "measurement" in verdict.reason
    assert (verdict.said, verdict.appraised) == ("accepted", "refused")
    assert verdict.findings


def test_said_yes_in_a_jwt() -> None:
    yes = ear_of(YES)
    lie = replace(ear_of(NO), status=Tier.AFFIRMING, vector=yes.vector, details=yes.details)
    signed = NO.proof(ES256.pinned.to_text(), token=sign_jwt(lie, ES256))
    assert checked(signed) == ("lie", "6.5")


def test_said_yes_to_bytes_that_are_no_evidence() -> None:
    rubbish = b"no quote at all"
    details = {**ear_of(YES).details, "evidence_sha256": sha256(rubbish).hex()}
    lie = replace(ear_of(YES), details=details)
    assert checked(proof(YES, lie, evidence=rubbish)) == ("lie", "6.5")


def test_said_no_where_the_appraisal_accepts() -> None:
    no = ear_of(NO)
    details = {**no.details, "evidence_sha256": ear_of(YES).details["evidence_sha256"]}
    lie = replace(ear_of(YES), status=no.status, vector=no.vector, details=details)
    assert checked(proof(YES, lie)) == ("lie", "6.6")


def test_said_something_else_of_the_evidence() -> None:
    true = ear_of(YES)
    claims = {**true.details["claims"], "mr_enclave": "ff" * 32}
    verdict = check_proof(proof(YES, replace(true, details={**true.details, "claims": claims})))
    assert (verdict.outcome, verdict.rule) == (Outcome.LIE, "6.7")
    assert "claims" in verdict.reason


def test_a_refusal_that_looks_well() -> None:
    lie = replace(ear_of(NO), status=Tier.AFFIRMING, vector=ear_of(YES).vector)
    assert checked(proof(NO, lie)) == ("lie", "6.8")


def test_a_status_that_is_better_than_the_evidence() -> None:
    outdated = said(at=AT)
    true = ear_of(outdated)
    worse = replace(true, status=Tier.WARNING)
    assert checked(proof(outdated, worse)) == ("true", "6.9"), "a worse status is no lie"
    better = replace(true, status=Tier.NONE, vector=type(true.vector)())
    assert checked(proof(outdated, better)) == ("lie", "6.8")


def test_evidence_that_was_good_at_the_stated_time_is_no_lie_today() -> None:
    assert checked(proof(said(at=AT + timedelta(days=3)))) == ("true", "6.9")


def test_expired_when_stated() -> None:
    late = AT + timedelta(days=4000)
    assert checked(proof(said(at=late))) == ("true", "6.9")
    assert checked(proof(YES, replace(ear_of(YES), issued_at=late, expires_at=late))) == ("lie", "6.5")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"key": ES256.pinned.to_text()}, "6.1"),
        ({"token": b"rubbish"}, "6.1"),
        ({"evidence": EVIDENCE + b"\0"}, "6.2"),
        ({"collateral": COLLATERAL + b" "}, "6.3"),
        ({"policy": policy_to_toml(REFUSING)}, "6.4"),
        ({"policy": b"version = 2"}, "6.4"),
    ],
)
def test_what_proves_nothing(changes: dict[str, object], rule: str) -> None:
    assert checked(proof(YES, **changes)) == ("proves-nothing", rule)


def test_other_findings_in_other_words_are_no_lie() -> None:
    no = ear_of(NO)
    assert checked(proof(NO, replace(no, details={**no.details, "findings": []}))) == ("true", "6.9")


def test_what_a_token_leaves_out_is_no_lie() -> None:
    true = ear_of(YES)
    details = {name: value for name, value in true.details.items() if name not in {"platform", "collateral"}}
    assert checked(proof(YES, replace(true, details=details))) == ("true", "6.9")


def test_a_key_that_is_none_is_a_damaged_file() -> None:
    with pytest.raises(MalformedMessage):
        check_proof(replace(proof(YES), key="EdDSA:zz"))


def test_a_proof_reads_as_it_was_written() -> None:
    assert AppraisalProof.from_bytes(proof(YES).to_bytes()) == proof(YES)
    assert SignedAppraisal.from_bytes(YES.to_bytes()) == YES
    request = AppraisalRequest(evidence=EVIDENCE, collateral=COLLATERAL, nonce=NONCE)
    assert AppraisalRequest.from_bytes(request.to_bytes()) == request


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_proof_never_convicts(data: st.DataObject) -> None:
    """Nobody can make a truthful verifier a liar by altering the file."""
    try:
        verdict = check_proof(AppraisalProof.from_bytes(data.draw(damaged([proof(YES).to_bytes()]))))
    except MalformedMessage:
        return
    assert verdict.outcome is not Outcome.LIE or verdict.key != EDDSA.pinned


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
@pytest.mark.parametrize("kind", [AppraisalRequest, SignedAppraisal, AppraisalProof])
def test_any_bytes_are_one_or_malformed(kind, data: bytes) -> None:
    with suppress(MalformedMessage):
        assert kind.from_bytes(data).to_bytes() == data


def test_a_client_that_rechecks_convicts_the_liar_and_nobody_else() -> None:
    yes = ear_of(YES)
    lie = replace(ear_of(NO), status=Tier.AFFIRMING, vector=yes.vector, details=yes.details)
    liar = replace(NO, cwt=sign_cwt(lie, EDDSA))
    honest_request = AppraisalRequest(evidence=EVIDENCE, collateral=COLLATERAL, nonce=NONCE)
    honest = appraise_for(honest_request, REFUSING, ES256, verifier=VERIFIER, at=AT)
    rule = VouchRule(
        verifiers=(PinnedVerifier(name="liar", key=EDDSA.pinned), PinnedVerifier(name="honest", key=ES256.pinned)),
        required=1,
        policy_digest=REFUSING.digest,
        maximum_age=timedelta(minutes=1),
    )
    [(name, verdict, shown)] = lies_in([honest, liar, replace(liar, cwt=b"")], rule)
    assert (name, verdict.rule) == ("liar", "6.5")
    assert checked(AppraisalProof.from_bytes(shown.to_bytes())) == ("lie", "6.5")


def test_sampling() -> None:
    assert is_due(bytes(8), one_in=1)
    assert sum(is_due(n.to_bytes(8, "big"), one_in=10) for n in range(1000)) == 100
    with pytest.raises(ValueError, match="one in one"):
        is_due(bytes(8), one_in=0)
