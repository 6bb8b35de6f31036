from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, MalformedToken
from strongroom.base.findings import Check, Finding
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import ANY
from strongroom.verifier.eat import (
    PROFILE,
    Ear,
    base64url,
    ear_of_refusal,
    ear_of_result,
    from_base64url,
    judge_ear,
)
from strongroom.verifier.trustworthiness import Tier, TrustworthinessVector
from tokens import NONCE, POLICY, RESULT, VERIFIER, ear, ears


@given(ears())
def test_claims_read_back_from_both_encodings(claims: Ear) -> None:
    assert Ear.from_json_claims(json.loads(json.dumps(claims.to_json_claims()))) == claims
    assert Ear.from_cbor_claims(cbor2.loads(cbor2.dumps(claims.to_cbor_claims()))) == claims


@given(ears())
def test_the_cbor_is_what_another_encoder_writes_deterministically(claims: Ear) -> None:
    ours = canonical.encode(claims.to_cbor_claims())
    assert cbor2.loads(ours) == claims.to_cbor_claims()
    again = cbor2.loads(ours)
    assert canonical.encode(again) == ours


def test_the_claims_have_the_draft_s_names_and_labels() -> None:
    in_json, in_cbor = ear().to_json_claims(), ear().to_cbor_claims()
    assert in_json["eat_profile"] == in_cbor[265] == PROFILE
    assert in_json["iat"] == in_cbor[6] == int(AT.timestamp())
    assert in_json["exp"] == in_cbor[4] == int(AT.timestamp()) + 3600
    assert in_cbor[10] == NONCE
    assert in_cbor[1004] == {0: VERIFIER.developer, 1: VERIFIER.build}
    assert in_cbor[266]["sgx-dcap-3"][1000] == 2
    assert in_cbor[266]["sgx-dcap-3"][1001] == {1: 3, 2: 3, 4: 2, 5: 2}
    submodule = in_json["submods"]["sgx-dcap-3"]
    assert submodule["ear_status"] == "affirming"
    assert submodule["ear_appraisal_policy_ids"] == [f"strongroom-policy:sha-256:{RESULT.policy_digest.hex()}"]
    assert submodule["strongroom_result"] == in_cbor[266]["sgx-dcap-3"][-70100] == RESULT.to_json_object()


def test_a_token_ends_with_what_the_verdict_rests_on() -> None:
    far = ear_of_result(RESULT, POLICY, verifier=VERIFIER, at=AT, lifetime=timedelta(days=900), nonce=None)
    assert far.expires_at == RESULT.expires_at


@pytest.mark.parametrize("late", [timedelta(seconds=-1), timedelta(days=28)])
def test_no_token_is_made_before_the_appraisal_or_after_its_end(late: timedelta) -> None:
    with pytest.raises(ValueError, match="between its appraisal and its end"):
        ear_of_result(RESULT, POLICY, verifier=VERIFIER, at=AT + late, lifetime=timedelta(hours=1), nonce=None)


def test_a_simulated_platform_s_token_is_contraindicated() -> None:
    simulated = replace(RESULT, simulated=True)
    claims = ear_of_result(simulated, POLICY, verifier=VERIFIER, at=AT, lifetime=timedelta(hours=1), nonce=None)
    assert claims.status is Tier.CONTRAINDICATED
    assert not claims.affirming


@given(st.lists(st.sampled_from(Check), min_size=1, max_size=3))
def test_a_refusal_s_token_is_contraindicated(checks: list[Check]) -> None:
    refusal = AppraisalRefused([Finding(check=check, message="m", section="s") for check in checks])
    claims = ear_of_refusal(
        refusal,
        kind="sgx-dcap-3",
        policy_digest=IntelPki().policy().digest,
        verifier=VERIFIER,
        at=AT,
        lifetime=timedelta(hours=1),
        nonce=NONCE,
    )
    assert claims.status is Tier.CONTRAINDICATED
    assert [item["check"] for item in claims.details["findings"]] == [check.value for check in checks]
    assert Ear.from_json_claims(claims.to_json_claims()) == claims


def broken(path: str, value: object) -> dict[str, object]:
    """Give the claims with one thing changed; ``...`` leaves it out."""
    claims = json.loads(json.dumps(ear().to_json_claims()))
    *way, last = path.split("/")
    place = claims
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return claims


APPRAISAL = "submods/sgx-dcap-3"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("eat_profile", "tag:ietf.org,2026:rats/ear#03"),
        ("eat_profile", ...),
        ("iat", ...),
        ("iat", -1),
        ("iat", True),
        ("iat", "1780315200"),
        ("exp", ...),
        ("exp", 253_402_300_800),
        ("eat_nonce", "AAAA"),
        ("eat_nonce", base64url(bytes(65))),
        ("eat_nonce", base64url(bytes(8)) + "="),
        ("eat_nonce", ["AAAAAAAAAAA"]),
        ("ear_verifier_id", ...),
        ("ear_verifier_id/build", ...),
        ("submods", {}),
        ("submods", {"a": {}, "b": {}}),
        ("submods", {"UPPER": {}}),
        ("submods", []),
        (f"{APPRAISAL}/ear_status", ...),
        (f"{APPRAISAL}/ear_status", 2),
        (f"{APPRAISAL}/ear_status", "splendid"),
        (f"{APPRAISAL}/ear_status", "none"),  # better than the worst claim
        (f"{APPRAISAL}/ear_trustworthiness_vector", ...),
        (f"{APPRAISAL}/ear_trustworthiness_vector/hardware", 128),
        (f"{APPRAISAL}/ear_trustworthiness_vector/hardware", "2"),
        (f"{APPRAISAL}/ear_trustworthiness_vector/hardware", True),
        (f"{APPRAISAL}/ear_trustworthiness_vector/hardware", 99),  # and the status stays affirming
        (f"{APPRAISAL}/ear_appraisal_policy_ids", []),
        (f"{APPRAISAL}/ear_appraisal_policy_ids", [1]),
        (f"{APPRAISAL}/strongroom_result", ...),
        (f"{APPRAISAL}/strongroom_result", []),
    ],
)
def test_an_ill_formed_claim_is_malformed(path: str, value: object) -> None:
    with pytest.raises(MalformedToken):
        Ear.from_json_claims(broken(path, value))


def test_unknown_claims_are_left_out() -> None:
    claims = broken(f"{APPRAISAL}/ear_trustworthiness_vector/new", "?")
    claims["cnf"] = {}
    assert Ear.from_json_claims(claims) == ear()
    assert Ear.from_cbor_claims({**ear().to_cbor_claims(), 8: {}, b"x": 1}) == ear()


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), lambda x: st.dictionaries(st.text(), x)))
def test_anything_else_is_malformed(value: object) -> None:
    for read in (Ear.from_json_claims, Ear.from_cbor_claims):
        with pytest.raises(MalformedToken):
            read(value)


@given(st.binary(max_size=40))
def test_base64url_has_one_form(data: bytes) -> None:
    text = base64url(data)
    assert from_base64url(text, path="p") == data
    for other in (text + "=", text + "\n", " " + text, text + "A" * (len(text) % 4 == 0)):
        if other != text:
            with pytest.raises(MalformedToken):
                from_base64url(other, path="p")


def test_spare_bits_are_zero() -> None:
    with pytest.raises(MalformedToken):
        from_base64url("AB", path="p")


def found(claims: Ear, **settings: object) -> set[tuple[str, str]]:
    terms = {"at": AT, "maximum_age": ANY, "nonce": ANY, "clock_skew": timedelta(0), **settings}
    return {(finding.check.value, finding.section) for finding in judge_ear(claims, **terms)}


@pytest.mark.parametrize(
    ("settings", "objection"),
    [
        ({"at": AT - timedelta(seconds=1)}, ("expiry", "attestation-results 3.3.1")),
        ({"at": AT + timedelta(hours=1)}, ("expiry", "attestation-results 3.3.2")),
        (
            {"at": AT + timedelta(minutes=2), "maximum_age": timedelta(minutes=1)},
            ("freshness", "attestation-results 3.3.3"),
        ),
        ({"nonce": b"another nonce"}, ("freshness", "attestation-results 3.3.4")),
    ],
)
def test_times_and_nonce(settings: dict[str, object], objection: tuple[str, str]) -> None:
    assert found(ear()) == set()
    assert found(ear(), **settings) == {objection}


def test_a_clock_may_be_off_by_what_the_caller_says() -> None:
    skew = timedelta(seconds=5)
    assert found(ear(), at=AT - skew, clock_skew=skew) == set()
    assert found(ear(), at=AT + timedelta(hours=1, seconds=4), clock_skew=skew) == set()
    assert found(ear(), at=AT + timedelta(hours=1, seconds=5), clock_skew=skew)


def test_a_token_without_a_nonce_does_not_answer_one() -> None:
    assert found(ear(nonce=None), nonce=NONCE)
    assert not found(ear(nonce=None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": Tier.NONE, "vector": TrustworthinessVector(hardware=2)},
        {"nonce": b"short"},
        {"policy_ids": ()},
        {"issued_at": AT.replace(microsecond=1)},
        {"issued_at": AT.replace(tzinfo=None)},
    ],
)
def test_an_ill_formed_result_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(ear(), **wrong)
