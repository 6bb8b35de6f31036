from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_variants import CHANGED, CODE, DOMAIN, SIGNER, SIMULATED, SOUND, VARIANTS, tcb
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier import ANY, AllOf, AnyOf, AppraisalPolicy
from strongroom.verifier.policy_compose import Policy
from strongroom.verifier.policy_explain import ALWAYS, PolicyExplanation, explain_policy, policy_text


def sections(policy: AppraisalPolicy) -> dict[str, tuple[str, ...]]:
    return {section.title: section.sentences for section in explain_policy(policy).sections}


def text(policy: Policy, width: int = 10_000) -> str:
    return policy_text(explain_policy(policy), width=width)


def test_the_variants_reach_every_setting() -> None:
    assert {item.name for item in fields(AppraisalPolicy)} == CHANGED


def test_two_policies_that_differ_read_differently() -> None:
    everything = [SOUND, *VARIANTS, AllOf((SOUND,)), AnyOf((SOUND,)), AllOf((SOUND, SOUND)), AnyOf((SOUND, SOUND))]
    texts = [text(policy) for policy in everything]
    for one, other in combinations(range(len(everything)), 2):
        assert everything[one].digest != everything[other].digest
        assert texts[one] != texts[other]


@given(st.sampled_from(VARIANTS), st.sampled_from(VARIANTS), st.sampled_from([AllOf, AnyOf]), st.booleans())
def test_compositions_that_differ_read_differently(
    one: AppraisalPolicy, other: AppraisalPolicy, kind: type[AllOf | AnyOf], swap: object
) -> None:
    composed = kind((one, other))
    again = kind((other, one)) if swap else AllOf((one, AnyOf((other,))))
    assert (text(composed) == text(again)) == (composed == again)


def test_a_setting_without_a_sentence_is_shown_as_it_is() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Later(AppraisalPolicy):
        moon_phase: str

    later = Later(**{item.name: getattr(SOUND, item.name) for item in fields(SOUND)}, moon_phase="full")
    assert sections(later)["Other settings"] == ("moon_phase: 'full'.",)
    assert "Other settings" not in sections(SOUND)


def test_what_a_sound_policy_says() -> None:
    told = sections(SOUND)
    assert f"- MRENCLAVE is {CODE.hex()}." in told["SGX enclaves"]
    assert "A debug enclave is refused." in told["SGX enclaves"]
    assert told["Trust domains (TDX)"] == ("No trust domain is accepted.",)
    assert "- UpToDate, for any code, with no advisory, of any date." in told["State of the platform"]
    assert told["Machines"] == ("The machine is one of these:", f"- PPID {bytes(16).hex()}.")
    assert told["Checked under every policy"] == ALWAYS
    assert "The platform's certificate says that simultaneous multithreading is off." in told["State of the platform"]
    assert "A simulated platform is refused, whatever root it has." in told["Hardware root"]


@pytest.mark.parametrize(
    ("changes", "title", "sentence"),
    [
        ({"anchors": ()}, "Hardware root", "No root is accepted, so nothing is."),
        ({"mr_enclaves": frozenset()}, "SGX enclaves", "No enclave is accepted."),
        ({"tcb": ()}, "State of the platform", "No TCB status is accepted, so nothing is."),
        ({"platforms": frozenset()}, "Machines", "No machine is accepted, so nothing is."),
        ({"platforms": ANY}, "Machines", "Any machine."),
        (
            {"tcb": tcb(advisories=frozenset({"B", "A"}), maximum_tcb_age=timedelta(days=90), measurement=CODE)},
            "State of the platform",
            (
                f"- UpToDate, for the code {CODE.hex()}, with no advisories but 'A', 'B', "
                "with a TCB date at most 90 days ago."
            ),
        ),
        (
            {"expired_collateral_grace": timedelta(hours=25, seconds=1)},
            "Age of what the manufacturer says",
            "Revocation lists and documents are taken for 1 day 1 hour 1 seconds after they have expired.",
        ),
        (
            {"accept_debug_enclaves": True},
            "SGX enclaves",
            "A debug enclave is accepted; its host can read and change it.",
        ),
    ],
)
def test_sentences(changes: dict[str, object], title: str, sentence: str) -> None:
    assert sentence in sections(replace(SOUND, **changes))[title]


def test_every_status_is_either_ruled_or_refused() -> None:
    state = " ".join(sections(SOUND)["State of the platform"])
    for status in TcbStatus:
        assert status.value in state


def left_open(policy: AppraisalPolicy) -> str:
    return " ".join(sections(policy)["Left open"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"platforms": ANY}, "Which machine it is"),
        ({"signers": (SIGNER,)}, "its signer decides"),
        ({"tcb": tcb(advisories=ANY)}, "Which known vulnerabilities"),
        ({"smt_enabled": ANY}, "Whether simultaneous multithreading"),
        ({"maximum_collateral_age": ANY}, "Whether newer collateral exists"),
        ({"minimum_tcb_evaluation_data_number": 0}, "Whether newer collateral exists"),
        ({"trust_domains": (replace(DOMAIN, rtmr_3=ANY),)}, "In trust domain rule 1: RTMR3"),
    ],
)
def test_what_is_left_open_is_said(changes: dict[str, object], words: str) -> None:
    assert words not in left_open(SOUND)
    assert words in left_open(replace(SOUND, **changes))


def test_a_composition_says_how_its_parts_go_together() -> None:
    lines = text(AnyOf((SOUND, AllOf((SOUND, SOUND))))).splitlines()
    assert lines[0] == "This policy accepts evidence when at least one of its 2 parts accepts it."
    assert "Policy 1 accepts evidence when everything below holds." in lines
    assert "Policy 2 accepts evidence when every one of its 2 parts accepts it." in lines
    assert "Policy 2.2 accepts evidence when everything below holds." in lines


def walk(explanation: PolicyExplanation) -> list[str]:
    return [explanation.place, *(place for part in explanation.parts for place in walk(part))]


def test_places_are_those_of_findings() -> None:
    assert walk(explain_policy(AnyOf((SOUND, AllOf((SOUND, SOUND)))))) == ["", "1", "2", "2.1", "2.2"]


@pytest.mark.parametrize("policy", [SOUND, *VARIANTS])
def test_text_fits_80_columns_and_cuts_no_digest(policy: AppraisalPolicy) -> None:
    for line in text(policy, width=80).splitlines():
        assert len(line) <= 80 or len(line.split()) == 1 or len(max(line.split(), key=len)) > 64
    for digest in policy.mr_enclaves:
        assert digest.hex() in text(policy, width=80)


def test_foreign_text_commands_no_terminal() -> None:
    hostile = replace(SIMULATED, name="\x1b[2J\n- and anything else", vendor="\u202e")
    shown = text(replace(SOUND, anchors=(hostile,), tcb=tcb(advisories=frozenset({"\x1b[2J"}))))
    assert all(character.isprintable() for line in shown.splitlines() for character in line)
    assert "\n- and anything" not in shown
