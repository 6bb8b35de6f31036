"""The formal model: its prover finds what is known to be there, and the exchange holds until a lock is taken off."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs" / "spec" / "formal"), str(ROOT / "scripts")]

from attack_story import story  # noqa: E402
from check_model import SPIN_VARIANTS, spin  # noqa: E402
from exchange_locks import Lock, Power  # noqa: E402
from horn import BoundReached, parse_rule, saturate  # noqa: E402
from scenarios import SCENARIOS, check  # noqa: E402

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def written(*lines: str) -> list:
    return [parse_rule("somebody", line, line) for line in lines]


# --- the prover, on protocols whose answers everybody knows ---

NEEDHAM_SCHROEDER = (
    "-> att(pk(X))",
    "-> att(ik)",
    "-> att(alice)",
    "att(K), att(M) -> att(aenc(K, M))",
    "att(aenc(pk(K), M)), att(K) -> att(M)",
    "att(X), att(Y) -> att(pair(X, Y))",
    "att(pair(X, Y)) -> att(X)",
    "att(pair(X, Y)) -> att(Y)",
    # 1. A to anybody: {Na, A}; 3. A sends the answer's nonce back
    "-> att(aenc(pk(K), pair(na(K), alice)))",
    # 2. B to A: {Na, Nb} or, as Lowe has it, {Na, Nb, B}
    "att(aenc(pk(bk), pair(N, alice))) -> att(aenc(pk(ak), {second}))",
    "att(aenc(pk(ak), {third})) -> att(aenc(pk(K), Y))",
    "att(nb(N)) -> bad_nonce",
)


def needham_schroeder(second: str, third: str) -> list:
    return written(*(line.format(second=second, third=third) for line in NEEDHAM_SCHROEDER))


def test_the_prover_finds_lowes_attack() -> None:
    rules = needham_schroeder("pair(N, nb(N))", "pair(na(K), Y)")
    assert saturate(rules).concluding("bad_nonce")


def test_the_prover_finds_none_in_lowes_repair() -> None:
    rules = needham_schroeder("pair(N, pair(nb(N), bk))", "pair(na(K), pair(Y, K))")
    result = saturate(rules)
    assert result.complete
    assert not result.concluding("bad_nonce")


def test_an_assumed_fact_stays_in_what_follows_from_it() -> None:
    (found,) = saturate(written("begin_it(X) -> step(X)", "step(X) -> end_it(X)")).concluding("end_it")
    assert found.premises == (("begin_it", 0),)


def test_a_bound_is_an_error_and_no_answer() -> None:
    with pytest.raises(BoundReached):
        saturate(written("-> n(zero)", "n(X) -> n(next(X))"), limit=100)


@pytest.mark.parametrize("text", ["att(X", "att(X) ->", "att(X) -> att(X) att(X)", "att(?) -> att(X)", ""])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse_rule("", "", text)


# --- the exchange ---


def test_the_exchange_holds_with_every_other_key_leaked() -> None:
    outcome = check(BY_NAME["as-specified"])
    assert outcome.broken == {}
    assert outcome.saturation.complete
    assert outcome.reachable


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("key-bound", "(i2): instance key i2"),
        ("no-inclusion", "enclave shows its quote"),
        ("foreign-leaves", "a leaf that came from outside"),
        ("no-possession", "quote [attestation key m2, code]"),
        ("no-pin", "signed [deployment key b] certificate("),
        ("no-pin-genuine", "(i4 of deployment b on m1)"),
        ("no-roles", "enclave accepts a device h1, s1, m1"),
        ("no-directions", "client takes an answer h1, first, data(target, a)"),
        ("splice", "sealed to [public x1]: s1"),
        ("splice-resealed", "sealed to [public one-time key of C1]: s1 (made by the attacker)"),
        ("whole-instance", "instance key i3"),
    ],
)
def test_a_lock_taken_off_is_an_attack_that_can_be_read(name: str, tells: str) -> None:
    outcome = check(BY_NAME[name])
    assert BY_NAME[name].breaks <= outcome.broken.keys()
    stories = [story(clause) for clause in outcome.broken.values()]
    assert any(tells in told for told in stories)


def test_key_bound_evidence_falls_to_a_leaked_key_and_to_nothing_less() -> None:
    outcome = check(BY_NAME["key-bound-no-leaks"])
    assert outcome.broken == {}
    assert outcome.saturation.complete


def test_every_lock_and_every_power_is_in_some_scenario() -> None:
    assert {lock for scenario in SCENARIOS for lock in scenario.without} == set(Lock)
    assert {power for scenario in SCENARIOS for power in scenario.powers} == set(Power)
    assert len(BY_NAME) == len(SCENARIOS)


def test_the_written_attacks_are_those_of_the_scenarios() -> None:
    heads = [line for line in (ROOT / "docs/spec/formal/attacks.txt").read_text().splitlines() if line[:1].isalpha()]
    assert heads == [f"{scenario.name}: {scenario.title}" for scenario in SCENARIOS if scenario.breaks]


@pytest.mark.skipif(not (shutil.which("spin") and shutil.which("gcc")), reason="the second model needs spin and gcc")
@pytest.mark.parametrize("name", ["as specified", "no replay window", "reachable: a client is served"])
def test_the_bounded_model_agrees(name: str) -> None:
    flags, holds = SPIN_VARIANTS[name]
    clean, states = spin(flags)
    assert clean is holds
    assert states > 0
