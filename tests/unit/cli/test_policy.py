from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from policy_variants import OTHER_CODE, SOUND, TCB
from strongroom.base.errors import Misconfigured
from strongroom.cli.policy import app
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier import AnyOf
from strongroom.verifier.policy_compose import Policy, policy_to_toml

OUT_OF_DATE = replace(TCB, status=TcbStatus.SW_HARDENING_NEEDED)


@pytest.fixture
def run(tmp_path: Path):
    def run(policy: Policy | bytes, *arguments: str):
        file = tmp_path / "policy.toml"
        file.write_bytes(policy if isinstance(policy, bytes) else policy_to_toml(policy))
        return CliRunner().invoke(app, [arguments[0], str(file), *arguments[1:]])

    return run


def test_explain_says_what_is_accepted_and_names_the_policy(run) -> None:
    outcome = run(SOUND, "explain")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("This policy accepts evidence when everything below holds.")
    assert outcome.stdout.endswith(f"digest {SOUND.digest.hex()}\n")


def test_explain_reads_compositions(run) -> None:
    shown = json.loads(run(AnyOf((SOUND, SOUND)), "explain", "--json").stdout)
    assert [part["policy"] for part in shown["parts"]] == ["1", "2"]
    assert shown["digest"] == AnyOf((SOUND, SOUND)).digest.hex()


def test_check_of_a_sound_policy_succeeds(run) -> None:
    outcome = run(SOUND, "check")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("note: tcb: refused for want of a rule")


def test_check_fails_on_a_contradiction(run) -> None:
    outcome = run(replace(SOUND, platforms=frozenset()), "check")
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith("contradiction: platforms: no platform is listed, so nothing is accepted\n    ")


def test_check_fails_on_a_danger_where_asked(run) -> None:
    policy = replace(SOUND, tcb=(TCB, OUT_OF_DATE))
    assert run(policy, "check").exit_code == 0
    assert run(policy, "check", "--strict").exit_code == 1


def test_the_newest_evaluation_can_be_told(run) -> None:
    policy = replace(SOUND, minimum_tcb_evaluation_data_number=30)
    assert run(policy, "check").exit_code == 1
    assert run(policy, "check", "--newest", "30").exit_code == 0


def test_check_says_what_a_file_says_twice_and_in_which_part(run) -> None:
    text = policy_to_toml(AnyOf((SOUND, replace(SOUND, mr_enclaves=frozenset({OTHER_CODE}))))).decode()
    digest = OTHER_CODE.hex()
    outcome = run(text.replace(f'["{digest}"]', f'["{digest}", "{digest}"]').encode(), "check", "--json")
    assert outcome.exit_code == 1
    problems = json.loads(outcome.stdout)
    assert problems[0]["setting"] == "any_of[1].mr_enclaves"
    assert {problem["policy"] for problem in problems} == {"", "1", "2"}


@pytest.mark.parametrize("command", ["explain", "check"])
def test_a_file_that_is_no_policy_is_misconfigured(run, command: str) -> None:
    assert isinstance(run(b"version = 1", command).exception, Misconfigured)
    assert isinstance(run(b"any_of = []\nversion = 1", command).exception, Misconfigured)
