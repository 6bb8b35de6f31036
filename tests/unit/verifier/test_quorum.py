"""k of n verifiers: who counts, what refuses, and that fewer than k liars gain nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.base.errors import AppraisalRefused, Misconfigured
from strongroom.crypto.eddsa import EddsaPrivateKey
from strongroom.formats.remote_appraisal import AppraisalRequest
from strongroom.testing.intel_pki import AT
from strongroom.verifier.cwt import sign_cwt
from strongroom.verifier.quorum import PinnedVerifier, VouchRule, judge_vouches
from strongroom.verifier.remote import appraise_for, read_statement
from strongroom.verifier.token_keys import IssuerKey
from strongroom.verifier.trustworthiness import Tier
from tokens import PKI, POLICY, VERIFIER

NONCE = bytes(range(32))
EVIDENCE, COLLATERAL = PKI.quote().to_bytes(), PKI.collateral().to_json()
REFUSING = replace(POLICY, mr_enclaves=frozenset(), signers=())
KEYS = [IssuerKey(EddsaPrivateKey.from_seed(bytes([n]) * 32)) for n in range(1, 5)]
PINS = tuple(PinnedVerifier(name=f"verifier {n}", key=key.pinned) for n, key in enumerate(KEYS[:3], 1))


def rule(**changes: Any) -> VouchRule:
    terms: dict[str, Any] = {
        "verifiers": PINS,
        "required": 2,
        "policy_digest": POLICY.digest,
        "maximum_age": timedelta(minutes=1),
    }
    return VouchRule(**{**terms, **changes})


def token(number: int, **changes: Any) -> bytes:
    """What a verifier signs; changes are of the question, the policy or the time."""
    request = AppraisalRequest(
        evidence=changes.pop("evidence", EVIDENCE),
        collateral=changes.pop("collateral", COLLATERAL),
        nonce=changes.pop("nonce", NONCE),
    )
    at = changes.pop("at", AT)
    signed = appraise_for(request, changes.pop("policy", POLICY), KEYS[number], verifier=VERIFIER, at=at)
    return signed.jwt if changes.pop("jwt", False) else signed.cwt


def lying(number: int, **changes: object) -> bytes:
    """Sign something else than the appraisal found."""
    ear = read_statement(token(number), KEYS[number].pinned).ear
    return sign_cwt(replace(ear, details={**ear.details, **changes}), KEYS[number])


def a_liars_yes(number: int) -> bytes:
    """Sign yes under a policy that refuses, as a liar with all the software does."""
    no = read_statement(token(number, policy=REFUSING), KEYS[number].pinned).ear
    yes = read_statement(token(number), KEYS[number].pinned).ear
    return sign_cwt(
        replace(no, status=Tier.AFFIRMING, vector=yes.vector, details=yes.details),
        KEYS[number],
    )


def judged(tokens: list[bytes], terms: VouchRule | None = None) -> Any:
    return judge_vouches(
        tokens, terms or rule(), nonce=NONCE, evidence=EVIDENCE, collateral=COLLATERAL, at=AT + timedelta(seconds=2)
    )


def objections(tokens: list[bytes], terms: VouchRule | None = None) -> list[tuple[str, str]]:
    with pytest.raises(AppraisalRefused) as refused:
        judged(tokens, terms)
    return [(str(item.check), item.section.removeprefix("remote-verifier ")) for item in refused.value.findings]


TOO_FEW = ("verifier", "4.9")


@pytest.mark.parametrize("jwt", [False, True])
def test_two_of_three_vouch(jwt: bool) -> None:
    vouched = judged([token(0, jwt=jwt), token(2, jwt=jwt)])
    assert vouched.by == ("verifier 1", "verifier 3")
    assert vouched.notes == ()
    assert vouched.statement.accepted
    assert vouched.expires_at == AT.replace(microsecond=0) + timedelta(minutes=5)


def test_all_three_vouch_in_any_order_and_are_named_as_pinned() -> None:
    assert judged([token(2), token(0), token(1)]).by == ("verifier 1", "verifier 2", "verifier 3")


def test_an_empty_list_is_nobody() -> None:
    assert objections([]) == [TOO_FEW]


def test_fewer_than_required() -> None:
    assert objections([token(0)]) == [TOO_FEW]


def test_an_unknown_key_does_not_count() -> None:
    assert objections([token(0), token(3)]) == [TOO_FEW, ("signature", "4.3")]


def test_one_verifier_twice_counts_once() -> None:
    assert objections([token(0), token(0, jwt=True)]) == [TOO_FEW, ("verifier", "4.4")]


def test_an_answer_that_is_none_does_not_count() -> None:
    assert objections([token(0), b"\xd2 what?"]) == [TOO_FEW, ("verifier", "4.2")]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"evidence": PKI.quote().to_bytes()}, ("key-binding", "4.5")),
        ({"collateral": COLLATERAL + b"\n"}, ("key-binding", "4.5")),
        ({"policy": replace(POLICY, minimum_tcb_evaluation_data_number=1)}, ("configuration", "4.6")),
        ({"at": AT - timedelta(minutes=2)}, ("freshness", "4.7")),
        ({"at": AT + timedelta(minutes=2)}, ("expiry", "4.7")),
        ({"nonce": bytes(32)}, ("freshness", "4.7")),
    ],
    ids=["evidence", "collateral", "policy", "stale", "future", "replayed"],
)
def test_an_answer_to_something_else_does_not_count(changes: dict[str, Any], finding: tuple[str, str]) -> None:
    if "evidence" in changes:
        changed = PKI.quote()
        changes = {"evidence": replace(changed, report=replace(changed.report, report_data=b"x" * 64)).to_bytes()}
        signed = token(1, **changes)
        assert not read_statement(signed, KEYS[1].pinned).accepted
        assert objections([token(0), signed]) == [TOO_FEW, finding]
        return
    assert objections([token(0), token(1, **changes)]) == [TOO_FEW, finding]


def test_what_does_not_count_is_noted_where_enough_others_accept() -> None:
    vouched = judged([token(0), token(1, nonce=bytes(32)), token(2), token(3)])
    assert vouched.by == ("verifier 1", "verifier 3")
    assert [item.section for item in vouched.notes] == ["remote-verifier 4.7", "remote-verifier 4.3"]


def test_one_that_refuses_stops_the_client() -> None:
    said_no = lying(2, verdict="refused", findings=[{"check": "measurement"}])
    assert objections([token(0), token(1), said_no]) == [("verifier", "4.8")]


def test_all_refuse() -> None:
    terms = rule(policy_digest=REFUSING.digest)
    found = objections([token(n, policy=REFUSING) for n in range(3)], terms)
    assert found == [("verifier", "4.8")] * 3 + [TOO_FEW]


@pytest.mark.parametrize("fact", ["kind", "anchor", "simulated", "claims", "tcb", "platform"])
def test_two_that_accept_and_say_different_things(fact: str) -> None:
    assert objections([token(0), lying(1, **{fact: "other"})]) == [("verifier", "4.8")]


def test_fewer_than_k_liars_gain_nothing_and_k_liars_win() -> None:
    terms = rule(policy_digest=REFUSING.digest)
    honest = token(2, policy=REFUSING)
    assert objections([a_liars_yes(0)], terms) == [TOO_FEW]
    assert objections([a_liars_yes(0), honest], terms) == [("verifier", "4.8"), TOO_FEW]
    assert objections([a_liars_yes(0), a_liars_yes(1), honest], terms) == [("verifier", "4.8")]
    # the bound, as the specification says it: k that lie together, and nobody honest heard
    assert judged([a_liars_yes(0), a_liars_yes(1)], terms).by == ("verifier 1", "verifier 2")


def test_a_flood_of_answers_is_not_read() -> None:
    assert objections([b"x"] * 100)[:2] == [TOO_FEW, ("verifier", "4.1")]
    assert len(objections([b"x"] * 100)) == 66


@pytest.mark.parametrize(
    "changes",
    [
        {"required": 0},
        {"required": -1},
        {"required": 4},
        {"verifiers": ()},
        {"verifiers": (PINS[0], replace(PINS[0], name="again"))},
        {"verifiers": (PINS[0], replace(PINS[1], name=PINS[0].name))},
        {"policy_digest": b""},
        {"maximum_age": timedelta(0)},
        {"clock_skew": timedelta(seconds=-1)},
    ],
)
def test_a_rule_that_nobody_has_to_meet_is_misconfigured(changes: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        rule(**changes)


def test_a_name_is_printable() -> None:
    with pytest.raises(Misconfigured):
        PinnedVerifier(name="a\nb", key=KEYS[0].pinned)


TOKENS = {
    "yes": [token(0), token(1), token(2)],
    "stale": [token(n, at=AT - timedelta(minutes=3)) for n in range(3)],
    "no": [lying(n, verdict="refused", findings=[]) for n in range(3)],
    "stranger": [token(3)],
    "rubbish": [b"", b"a.b.c", b"\xd2"],
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([(kind, n) for kind, items in TOKENS.items() for n in range(len(items))]), max_size=8),
    st.integers(1, 3),
)
def test_accepted_exactly_when_k_different_ones_say_yes_and_none_says_no(said: list[tuple[str, int]], k: int) -> None:
    first: dict[int, str] = {}
    for kind, n in said:
        if kind in {"yes", "no"}:
            first.setdefault(n, kind)
    wanted = "no" not in first.values() and list(first.values()).count("yes") >= k
    tokens = [TOKENS[kind][n] for kind, n in said]
    if wanted:
        assert set(judged(tokens, rule(required=k)).by) == {f"verifier {n + 1}" for n in first}
    else:
        assert objections(tokens, rule(required=k))
