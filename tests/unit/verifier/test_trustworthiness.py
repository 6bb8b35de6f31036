from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_vectors import VECTORS
from policy_variants import DOMAIN
from strongroom.base.findings import Check, Finding
from strongroom.formats.quote import parse_quote
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier import ANY, Advisory, AllOf
from strongroom.verifier.result import TdxClaims
from strongroom.verifier.trustworthiness import (
    Tier,
    TrustworthinessVector,
    tier_of,
    vector_of_findings,
    vector_of_result,
)
from tokens import POLICY, RESULT, vectors


@pytest.mark.parametrize(
    ("values", "tier"),
    [
        ((-1, 0, 1), Tier.NONE),
        ((2, 31, -2, -32), Tier.AFFIRMING),
        ((32, 95, -33, -96), Tier.WARNING),
        ((96, 127, -97, -128), Tier.CONTRAINDICATED),
    ],
)
def test_tiers_begin_and_end_where_the_draft_has_it(values: tuple[int, ...], tier: Tier) -> None:
    assert {tier_of(value) for value in values} == {tier}


@pytest.mark.parametrize("value", [-129, 128])
def test_other_values_are_no_claims(value: int) -> None:
    with pytest.raises(ValueError, match="from -128 to 127"):
        TrustworthinessVector(hardware=value)


@given(vectors)
def test_a_vector_reads_back_from_its_claims(vector: TrustworthinessVector) -> None:
    assert TrustworthinessVector.from_claims({**vector.claims(), "a-claim-of-tomorrow": 99}) == vector
    assert vector.tier == max(tier_of(value) for value in [0, *vector.claims().values()])


def test_what_is_affirmed_of_good_evidence() -> None:
    listed = replace(POLICY, platforms=frozenset({RESULT.platform.ppid}))
    vector = vector_of_result(replace(RESULT, policy_digest=listed.digest), listed)
    assert vector.claims() == {
        "instance-identity": 2,
        "configuration": 3,
        "executables": 3,
        "hardware": 2,
        "runtime-opaque": 2,
    }
    assert vector.tier is Tier.AFFIRMING


def test_an_instance_is_known_only_where_a_policy_lists_platforms() -> None:
    assert "instance-identity" not in vector_of_result(RESULT, POLICY).claims()


def test_the_policy_is_the_one_that_accepted() -> None:
    with pytest.raises(ValueError, match="another policy"):
        vector_of_result(RESULT, AllOf((POLICY,)))


@pytest.mark.parametrize(
    ("status", "hardware", "configuration"),
    [
        ("UpToDate", 2, 3),
        ("SWHardeningNeeded", 32, 3),
        ("ConfigurationNeeded", 2, 32),
        ("ConfigurationAndSWHardeningNeeded", 32, 32),
        ("OutOfDate", 32, 36),
        ("OutOfDateConfigurationNeeded", 32, 32),
    ],
)
def test_what_a_tcb_status_says(status: str, hardware: int, configuration: int) -> None:
    result = replace(RESULT, tcb=replace(RESULT.tcb, status=TcbStatus(status)))
    vector = vector_of_result(result, POLICY)
    assert (vector.hardware, vector.configuration) == (hardware, configuration)


def test_every_status_says_something() -> None:
    for status in TcbStatus:
        result = replace(RESULT, tcb=replace(RESULT.tcb, status=status))
        affirming = vector_of_result(result, POLICY).tier is Tier.AFFIRMING
        assert affirming == (status is TcbStatus.UP_TO_DATE)


def test_an_advisory_is_a_known_vulnerability_even_of_an_up_to_date_platform() -> None:
    advisories = (Advisory(id="INTEL-SA-00001", sources=("platform",)),)
    result = replace(RESULT, tcb=replace(RESULT.tcb, advisories=advisories))
    assert vector_of_result(result, POLICY).hardware == 32


def test_collateral_past_its_end_is_no_known_configuration() -> None:
    result = replace(
        RESULT, confessions=("the TCB info expired 1:00:00 ago and is taken by the policy's grace period",)
    )
    assert vector_of_result(result, POLICY).configuration == 36


def test_a_debug_enclave_is_contraindicated_though_accepted() -> None:
    result = replace(RESULT, claims=replace(RESULT.claims, debug=True), confessions=("a debug enclave is accepted",))
    vector = vector_of_result(result, POLICY)
    assert vector.runtime_opaque == 96
    assert vector.executables == 0
    assert vector.configuration == 3


def test_a_trust_domain_s_code_is_approved_where_the_policy_names_all_that_it_starts_with() -> None:
    quote = next(path for path in sorted(VECTORS.glob("tdx/**/*.quote.bin")))
    claims = TdxClaims.of(parse_quote(quote.read_bytes()).report)
    domain = replace(RESULT, claims=claims)
    for rule, executables in ((DOMAIN, 3), (replace(DOMAIN, rtmr_3=ANY), 3), (replace(DOMAIN, rtmr_1=ANY), 33)):
        policy = replace(POLICY, trust_domains=(rule,))
        result = replace(domain, policy_digest=policy.digest)
        assert vector_of_result(result, policy).executables == (0 if claims.debug else executables)


def test_a_simulated_platform_is_never_affirmed() -> None:
    vector = vector_of_result(replace(RESULT, simulated=True), POLICY)
    assert vector.claims() == {"hardware": 97, "runtime-opaque": 96}


@given(st.lists(st.sampled_from(Check), min_size=1))
def test_nothing_is_affirmed_where_something_was_found(checks: list[Check]) -> None:
    vector = vector_of_findings([Finding(check=check, message="m", section="s") for check in checks])
    assert vector.claims()
    assert all(tier_of(value) in {Tier.WARNING, Tier.CONTRAINDICATED} for value in vector.claims().values())


def test_the_worst_finding_is_what_is_claimed() -> None:
    findings = [Finding(check=check, message="m", section="s") for check in (Check.SIGNER, Check.CHAIN, Check.SIGNER)]
    assert vector_of_findings(findings).executables == 99
