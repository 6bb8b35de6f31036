from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.base.errors import Misconfigured
from strongroom.base.findings import Check
from strongroom.formats.measurements import MrEnclave
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import ANY, AppraisalPolicy, AttestationResult, Memo, appraise
from strongroom.verifier.policy_compose import (
    AllOf,
    AnyOf,
    CompositionRefused,
    Policy,
    every_part,
    leaves,
    policy_from_toml,
    policy_to_toml,
)

PKI = IntelPki()
QUOTE, COLLATERAL = PKI.quote().to_bytes(), PKI.collateral()
GOOD = PKI.policy()
OTHER_CODE = replace(GOOD, mr_enclaves=frozenset({MrEnclave(bytes(32))}))
OTHER_PLATFORM = replace(GOOD, platforms=frozenset({bytes(16)}))
NO_TCB = replace(GOOD, tcb=())
SINGLE = st.sampled_from([GOOD, OTHER_CODE, OTHER_PLATFORM, NO_TCB])
policies = st.recursive(
    SINGLE,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)), st.sampled_from([AllOf, AnyOf]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def judge(policy: Policy) -> AttestationResult:
    return appraise(QUOTE, COLLATERAL, policy, at=AT)


def refusal(policy: Policy) -> CompositionRefused:
    with pytest.raises(CompositionRefused) as refused:
        judge(policy)
    return refused.value


@pytest.mark.parametrize(("kind", "reason"), [(AllOf, "accept everything"), (AnyOf, "accept nothing")])
def test_an_empty_list_is_refused_with_the_reason(kind: type[AllOf | AnyOf], reason: str) -> None:
    with pytest.raises(Misconfigured, match=reason):
        kind(())


def accepts(policy: Policy) -> bool:
    """What a composition means, said in one line each."""
    if isinstance(policy, AppraisalPolicy):
        return policy is GOOD
    return (all if isinstance(policy, AllOf) else any)(accepts(part) for part in policy.policies)


@settings(deadline=None, max_examples=60)
@given(policies)
def test_a_composition_accepts_what_logic_says(policy: Policy) -> None:
    if not accepts(policy):
        refused = refusal(policy) if not isinstance(policy, AppraisalPolicy) else None
        assert refused is None or refused.findings
        return
    result = appraise(QUOTE, COLLATERAL, policy, at=AT, memo=Memo(capacity=64))
    assert result.policy_digest == policy.digest
    assert replace(result, policy_digest=GOOD.digest) == judge(GOOD)


def test_any_of_takes_the_first_that_accepts() -> None:
    lenient = replace(GOOD, maximum_collateral_age=timedelta(days=3))
    assert judge(AnyOf((OTHER_CODE, lenient, GOOD))).expires_at == judge(lenient).expires_at
    assert judge(AnyOf((GOOD, lenient))).expires_at == judge(GOOD).expires_at


def test_all_of_ends_with_the_first_that_ends() -> None:
    short = replace(GOOD, maximum_collateral_age=timedelta(days=3))
    assert judge(AllOf((GOOD, short))).expires_at == judge(short).expires_at < judge(GOOD).expires_at


def test_all_of_shows_every_leniency_and_a_simulated_anchor_of_any_part() -> None:
    simulated = replace(GOOD, anchors=(replace(GOOD.anchors[0], simulated=True),), accept_simulated_platform=True)
    result = judge(AllOf((GOOD, simulated)))
    assert result.simulated
    assert result.confessions == judge(simulated).confessions != ()


def test_findings_of_all_branches_are_reported_nested() -> None:
    policy = AnyOf((OTHER_CODE, AllOf((GOOD, OTHER_PLATFORM, NO_TCB))))
    refused = refusal(policy)
    first, second = refused.branch.branches
    assert [item.check for item in first.findings] == [Check.MEASUREMENT]
    assert [branch.accepted for branch in second.branches] == [True, False, False]
    assert [branch.place for branch in second.branches] == ["2.1", "2.2", "2.3"]
    assert [item.check for item in second.branches[1].findings] == [Check.PLATFORM]
    assert not refused.branch.findings
    assert [item.message.split(":")[0] for item in refused.findings] == ["policy 1", "policy 2.2", "policy 2.3"]
    assert [item.check for item in refused.findings] == [Check.MEASUREMENT, Check.PLATFORM, Check.TCB_STATUS]


def test_what_every_policy_objects_to_is_said_once() -> None:
    pki = IntelPki()
    pki.leaf.not_after = AT - timedelta(seconds=1)
    with pytest.raises(CompositionRefused) as refused:
        appraise(pki.quote().to_bytes(), pki.collateral(), AnyOf((GOOD, OTHER_CODE)), at=AT)
    expiry = [item for item in refused.value.findings if item.check is Check.EXPIRY]
    assert len(expiry) == 1
    assert not expiry[0].message.startswith("policy")


def test_the_digest_names_the_composition() -> None:
    digests = {
        policy.digest
        for policy in (GOOD, AllOf((GOOD,)), AnyOf((GOOD,)), AllOf((GOOD, OTHER_CODE)), AllOf((OTHER_CODE, GOOD)))
    }
    assert len(digests) == 5


@settings(deadline=None)
@given(policies)
def test_a_file_reads_back_as_the_same_policy(policy: Policy) -> None:
    again = policy_from_toml(policy_to_toml(policy))
    assert again == policy
    assert again.digest == policy.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1\nany_of = []", "empty list"),
        ("version = 1\nall_of = []", "empty list"),
        ("any_of = [{}]", "version = 1"),
        ("version = 2\nany_of = [{}]", "version = 1"),
        ("version = true\nany_of = [{}]", "version = 1"),
        ("version = 1\nany_of = [{}]\nall_of = [{}]", "nothing else"),
        ("version = 1\nany_of = [{}]\nplatforms = 'any'", "nothing else"),
        ("version = 1\nany_of = 'all'", "not a list"),
        ("version = 1\nany_of = ['a.toml']", "not a table"),
        ("version = 1\nany_of = [{version = 1}]", r"any_of\[0\]\."),
        ("version = 1\nany_of = [" * 1 + "{version = 1, all_of = [" * 9 + "{}" + "]}" * 9 + "]", "depth"),
        ("any_of", "not TOML"),
        ("\xff", "missing|not TOML"),
    ],
)
def test_an_ill_formed_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        policy_from_toml(text.encode())


def test_a_setting_of_a_part_is_named_with_its_place() -> None:
    text = policy_to_toml(AnyOf((GOOD, GOOD))).decode()
    broken = text.replace('status = "UpToDate"', 'status = "Splendid"')
    with pytest.raises(Misconfigured, match=r"any_of\[0\]\.tcb\[0\]\.status"):
        policy_from_toml(broken.encode())


def test_a_composition_has_bounds() -> None:
    deep: Policy = GOOD
    for _ in range(8):
        deep = AllOf((deep,))
    with pytest.raises(Misconfigured, match="depth 8"):
        AllOf((deep,))
    with pytest.raises(Misconfigured, match="64 policies"):
        AnyOf((GOOD,) * 65)
    with pytest.raises(Misconfigured, match="at most"):
        policy_from_toml(b"#" * (1024 * 1024 + 1))


def test_the_single_policies_have_their_places() -> None:
    policy = AnyOf((GOOD, AllOf((OTHER_CODE, NO_TCB))))
    assert list(leaves(policy)) == [("1", GOOD), ("2.1", OTHER_CODE), ("2.2", NO_TCB)]
    assert list(leaves(GOOD)) == [("", GOOD)]


@pytest.mark.parametrize(
    ("policy", "limits"),
    [
        (GOOD, False),
        (OTHER_PLATFORM, True),
        (AnyOf((GOOD, OTHER_PLATFORM)), False),
        (AllOf((GOOD, OTHER_PLATFORM)), True),
        (AnyOf((OTHER_PLATFORM, AllOf((GOOD, OTHER_PLATFORM)))), True),
    ],
)
def test_what_holds_of_whatever_a_composition_accepts(policy: Policy, *, limits: bool) -> None:
    assert every_part(policy, lambda part: part.platforms is not ANY) is limits
