from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policy_variants import CODE, DOMAIN, OTHER_CODE, SIGNER, SIMULATED, SOUND, TCB, VARIANTS, domain, tcb
from strongroom.formats.measurements import MrEnclave, MrSigner, MrTd
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes
from strongroom.verifier import ANY, INTEL_SGX_ROOT, AllOf, AnyOf, TcbRule
from strongroom.verifier.policy_check import (
    NEWEST_KNOWN_EVALUATION,
    Problem,
    Severity,
    check_policy,
    repeated_entries,
)
from strongroom.verifier.policy_compose import Policy, policy_to_toml

OUT_OF_DATE = replace(TCB, status=TcbStatus.OUT_OF_DATE)
HARDENED = replace(TCB, status=TcbStatus.SW_HARDENING_NEEDED)


def of(policy: Policy, severity: Severity) -> set[tuple[str, str]]:
    """Give (setting, first words) of the problems of one severity."""
    return {(item.setting, item.message) for item in check_policy(policy) if item.severity is severity}


def has(found: set[tuple[str, str]], setting: str, words: str) -> bool:
    return any(name == setting and words in message for name, message in found)


def test_a_sound_policy_has_no_contradiction_and_no_danger() -> None:
    assert {problem.severity for problem in check_policy(SOUND)} <= {Severity.NOTE}


CASES: list[tuple[Severity, dict[str, Any], str, str]] = [
    (Severity.CONTRADICTION, {"anchors": ()}, "anchors", "nothing is accepted"),
    (Severity.CONTRADICTION, {"mr_enclaves": frozenset()}, "mr_enclaves", "nothing is accepted"),
    (Severity.CONTRADICTION, {"tcb": ()}, "tcb", "nothing is accepted"),
    (Severity.CONTRADICTION, {"platforms": frozenset()}, "platforms", "nothing is accepted"),
    (Severity.CONTRADICTION, {"anchors": (SIMULATED,)}, "accept_simulated_platform", "so nothing is accepted"),
    (
        Severity.CONTRADICTION,
        {"anchors": (INTEL_SGX_ROOT, SIMULATED)},
        "accept_simulated_platform",
        "its evidence is always refused",
    ),
    (Severity.CONTRADICTION, {"accept_simulated_platform": True}, "accept_simulated_platform", "no effect"),
    (
        Severity.DANGER,
        {"anchors": (SIMULATED,), "accept_simulated_platform": True},
        "accept_simulated_platform",
        "prove no hardware",
    ),
    (
        Severity.DANGER,
        {"anchors": (INTEL_SGX_ROOT, SIMULATED), "accept_simulated_platform": True},
        "anchors",
        "side by side",
    ),
    (
        Severity.CONTRADICTION,
        {"anchors": (replace(INTEL_SGX_ROOT, simulated=True),)},
        "anchors",
        "declared simulated",
    ),
    (Severity.DANGER, {"anchors": (replace(INTEL_SGX_ROOT, spki=bytes(91)),)}, "anchors", "another key"),
    (Severity.CONTRADICTION, {"anchors": (INTEL_SGX_ROOT, INTEL_SGX_ROOT)}, "anchors", "listed twice"),
    (Severity.DANGER, {"accept_debug_enclaves": True}, "accept_debug_enclaves", "reads and changes"),
    (Severity.DANGER, {"signers": (SIGNER,), "platforms": ANY}, "platforms", "forges all of it"),
    (Severity.NOTE, {"platforms": ANY}, "platforms", "any machine"),
    (Severity.NOTE, {"signers": (replace(SIGNER, minimum_isv_svn=0),)}, "signers", "its oldest too"),
    (Severity.DANGER, {"signers": (replace(SIGNER, mr_signer=MrSigner(bytes(32))),)}, "signers", "all zeros"),
    (
        Severity.CONTRADICTION,
        {"signers": (SIGNER, replace(SIGNER, minimum_isv_svn=9))},
        "signers",
        "lower minimum version decides",
    ),
    (Severity.DANGER, {"mr_enclaves": frozenset({CODE, MrEnclave(bytes(32))})}, "mr_enclaves", "all zeros"),
    (Severity.CONTRADICTION, {"tcb": (OUT_OF_DATE,)}, "tcb", "UpToDate has no rule"),
    (Severity.NOTE, {}, "tcb", "refused for want of a rule: SWHardeningNeeded"),
    (Severity.DANGER, {"tcb": (TCB, replace(OUT_OF_DATE, advisories=ANY))}, "tcb[1]", "known holes"),
    (Severity.NOTE, {"tcb": (TCB, OUT_OF_DATE)}, "tcb[1]", "for ever"),
    (Severity.DANGER, {"tcb": (TCB, HARDENED)}, "tcb[1]", "only some code mitigates"),
    (Severity.CONTRADICTION, {"tcb": tcb(maximum_tcb_age=timedelta(0))}, "tcb[0]", "this very moment"),
    (Severity.CONTRADICTION, {"tcb": (TCB, replace(HARDENED, measurement=OTHER_CODE))}, "tcb[1]", "never used"),
    (
        Severity.CONTRADICTION,
        {"tcb": (TCB, replace(HARDENED, measurement=MrTd(bytes(48)))), "trust_domains": (DOMAIN,)},
        "tcb[1]",
        "never used",
    ),
    (Severity.CONTRADICTION, {"tcb": (TCB, replace(TCB, measurement=CODE))}, "tcb[1]", "tcb[0] accepts too"),
    (Severity.CONTRADICTION, {"tcb": (TCB, TCB)}, "tcb[1]", "tcb[0] accepts too"),
    (
        Severity.CONTRADICTION,
        {"mr_enclaves": frozenset({CODE, OTHER_CODE}), "tcb": tcb(measurement=CODE)},
        "mr_enclaves",
        "never accepted",
    ),
    (Severity.CONTRADICTION, {"signers": (SIGNER,), "tcb": tcb(measurement=CODE)}, "signers", "only what the rules"),
    (
        Severity.CONTRADICTION,
        {"minimum_tcb_evaluation_data_number": NEWEST_KNOWN_EVALUATION + 1},
        "minimum_tcb_evaluation_data_number",
        "nothing is accepted",
    ),
    (
        Severity.NOTE,
        {"minimum_tcb_evaluation_data_number": 0},
        "minimum_tcb_evaluation_data_number",
        "no least evaluation",
    ),
    (Severity.NOTE, {"maximum_collateral_age": ANY}, "maximum_collateral_age", "any age"),
    (Severity.CONTRADICTION, {"maximum_collateral_age": timedelta(0)}, "maximum_collateral_age", "this very moment"),
    (Severity.DANGER, {"maximum_collateral_age": timedelta(hours=2)}, "maximum_collateral_age", "before a day"),
    (
        Severity.NOTE,
        {"maximum_collateral_age": timedelta(days=7), "expired_collateral_grace": timedelta(days=1)},
        "expired_collateral_grace",
        "hardly ever",
    ),
    (Severity.DANGER, {"expired_collateral_grace": timedelta(days=31)}, "expired_collateral_grace", "30 days"),
    (
        Severity.DANGER,
        {"trust_domains": domain(accepted_attributes=TdAttributes.DEBUG)},
        "trust_domains[0]",
        "debug mode",
    ),
    (
        Severity.DANGER,
        {"trust_domains": domain(accepted_attributes=TdAttributes.MIGRATABLE, mr_service_td=ANY)},
        "trust_domains[0]",
        "moved by any",
    ),
    (Severity.DANGER, {"trust_domains": domain(mr_td=ANY)}, "trust_domains[0]", "MRTD is left open"),
    (Severity.DANGER, {"trust_domains": domain(rtmr_2=ANY)}, "trust_domains[0]", "any kernel"),
    (Severity.CONTRADICTION, {"trust_domains": domain(mr_seam=frozenset())}, "trust_domains[0]", "no TDX module"),
    (
        Severity.DANGER,
        {"trust_domains": domain(require_sept_ve_disable=False)},
        "trust_domains[0]",
        "SEPT_VE_DISABLE",
    ),
    (Severity.CONTRADICTION, {"trust_domains": (DOMAIN, DOMAIN)}, "trust_domains[1]", "same as trust_domains[0]"),
]


@pytest.mark.parametrize(("severity", "changes", "setting", "words"), CASES)
def test_a_problem_is_found_where_it_is(severity: Severity, changes: dict[str, Any], setting: str, words: str) -> None:
    assert has(of(replace(SOUND, **changes), severity), setting, words)
    if changes:
        assert not has(of(SOUND, severity), setting, words)


def test_the_worst_come_first_and_each_has_a_remedy() -> None:
    order = list(Severity)
    for policy in [SOUND, *VARIANTS]:
        problems = check_policy(policy)
        assert problems == tuple(sorted(problems, key=lambda item: order.index(item.severity)))
        assert all(item.message and item.remedy for item in problems)
        assert len(set(problems)) == len(problems)


def test_a_rule_is_not_shadowed_by_one_that_accepts_less() -> None:
    narrow = replace(TCB, measurement=CODE, advisories=frozenset({"A"}))
    aged = replace(TCB, advisories=frozenset({"B"}), maximum_tcb_age=timedelta(days=1))
    assert not has(of(replace(SOUND, tcb=(TCB, narrow, aged)), Severity.CONTRADICTION), "tcb[1]", "accepts too")
    assert not has(of(replace(SOUND, tcb=(TCB, narrow, aged)), Severity.CONTRADICTION), "tcb[2]", "accepts too")


def test_of_two_equal_rules_one_is_named() -> None:
    found = of(replace(SOUND, tcb=(TCB, TCB)), Severity.CONTRADICTION)
    assert not has(found, "tcb[0]", "accepts too")


@pytest.mark.parametrize(
    "rule",
    [
        replace(HARDENED, measurement=CODE),
        replace(HARDENED, measurement=DOMAIN.mr_td),
        replace(HARDENED, measurement=ANY),
    ],
)
def test_a_rule_that_is_used_is_not_called_unused(rule: TcbRule) -> None:
    policy = replace(SOUND, tcb=(TCB, rule), trust_domains=(DOMAIN,))
    assert not has(of(policy, Severity.CONTRADICTION), "tcb[1]", "never used")


def test_a_signer_s_code_may_have_any_measurement() -> None:
    policy = replace(SOUND, signers=(SIGNER,), tcb=(TCB, replace(HARDENED, measurement=OTHER_CODE)))
    assert not has(of(policy, Severity.CONTRADICTION), "tcb[1]", "never used")


def test_the_newest_evaluation_can_be_told() -> None:
    policy = replace(SOUND, minimum_tcb_evaluation_data_number=40)
    assert not any(item.severity is Severity.CONTRADICTION for item in check_policy(policy, newest_evaluation=40))


def test_relaunch_matters_for_trust_domains_only() -> None:
    assert not has(of(SOUND, Severity.NOTE), "tcb", "TDRelaunchAdvised")
    assert has(of(replace(SOUND, trust_domains=(DOMAIN,)), Severity.NOTE), "tcb", "TDRelaunchAdvised")


COMPOSED: list[tuple[Severity, Policy, str, str]] = [
    (Severity.NOTE, AllOf((SOUND,)), "all_of", "that policy"),
    (Severity.CONTRADICTION, AnyOf((SOUND, SOUND)), "any_of", "parts 1 and 2 are the same"),
    (
        Severity.CONTRADICTION,
        AllOf((SOUND, replace(SOUND, anchors=(SIMULATED,), accept_simulated_platform=True))),
        "all_of",
        "no root",
    ),
    (Severity.CONTRADICTION, AllOf((SOUND, replace(SOUND, tcb=(OUT_OF_DATE,)))), "all_of", "no TCB status"),
    (
        Severity.CONTRADICTION,
        AllOf((SOUND, replace(SOUND, platforms=frozenset({b"\x01" * 16})))),
        "all_of",
        "no machine",
    ),
    (
        Severity.CONTRADICTION,
        AllOf((SOUND, replace(SOUND, mr_enclaves=frozenset({OTHER_CODE})))),
        "all_of",
        "no measurement",
    ),
    (
        Severity.DANGER,
        AnyOf((SOUND, replace(SOUND, anchors=(SIMULATED,), accept_simulated_platform=True))),
        "any_of",
        "simulated",
    ),
    (Severity.DANGER, AnyOf((SOUND, replace(SOUND, accept_debug_enclaves=True))), "any_of", "debug"),
]


@pytest.mark.parametrize(("severity", "policy", "setting", "words"), COMPOSED)
def test_a_problem_of_a_composition(severity: Severity, policy: Policy, setting: str, words: str) -> None:
    assert has(of(policy, severity), setting, words)


def test_parts_that_differ_well_together_are_no_problem() -> None:
    listed = replace(SOUND, platforms=ANY, mr_enclaves=frozenset({CODE, OTHER_CODE}))
    assert not of(AllOf((SOUND, listed)), Severity.CONTRADICTION)
    assert not of(AnyOf((SOUND, replace(SOUND, mr_enclaves=frozenset({OTHER_CODE})))), Severity.CONTRADICTION)
    assert not of(AllOf((SOUND, replace(listed, mr_enclaves=frozenset(), signers=(SIGNER,)))), Severity.CONTRADICTION)


def test_problems_name_the_policy_they_are_of() -> None:
    bad = replace(SOUND, tcb=())
    problems = check_policy(AnyOf((SOUND, AllOf((bad, AllOf((SOUND,)))))))
    assert Problem in {type(item) for item in problems}
    assert {item.place for item in problems if item.setting == "tcb" and "nothing" in item.message} == {"2.1"}
    assert {item.place for item in problems if "composition of one" in item.message} == {"2.2"}


def test_what_a_file_says_twice() -> None:
    text = policy_to_toml(AnyOf((SOUND, replace(SOUND, platforms=ANY)))).decode()
    assert repeated_entries(text.encode()) == ()
    digest = CODE.hex()
    twice = text.replace(f'["{digest}"]', f'["{digest}", "{digest.upper()}"]')
    assert [item.setting for item in repeated_entries(twice.encode())] == [
        "any_of[0].mr_enclaves",
        "any_of[1].mr_enclaves",
    ]
    assert all(item.severity is Severity.CONTRADICTION for item in repeated_entries(twice.encode()))
