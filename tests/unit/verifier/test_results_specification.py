"""The tables of docs/spec/attestation-results.md say what the code does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from strongroom.base.findings import Check, Finding
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.explain import explain
from strongroom.verifier.policy_check import NEWEST_KNOWN_EVALUATION
from strongroom.verifier.trustworthiness import vector_of_findings, vector_of_result
from tokens import POLICY, RESULT

SPEC = (Path(__file__).parents[3] / "docs/spec/attestation-results.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Give the cells of the first table after a line that begins so."""
    table = SPEC[SPEC.index(f"\n{heading}") :].split("\n\n", 2)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def numbers(cell: str) -> list[int]:
    return [int(number) for number in re.findall(r"\b\d+\b", cell)]


@pytest.mark.parametrize("status", [status for status in TcbStatus if status is not TcbStatus.REVOKED])
def test_the_table_of_statuses(status: TcbStatus) -> None:
    [row] = [row for row in rows("2.1. ") if row[0] == f"`{status}`"]
    vector = vector_of_result(replace(RESULT, tcb=replace(RESULT.tcb, status=status)), POLICY)
    assert numbers(row[2]) == [vector.configuration]
    assert numbers(row[4]) == [vector.hardware]


@pytest.mark.parametrize("check", Check)
def test_the_table_of_findings(check: Check) -> None:
    [row] = [row for row in rows("2.2. ") if f"`{check}`" in row[0]]
    claims = vector_of_findings([Finding(check=check, message="m", section="s")]).claims()
    if "99" in row[1]:
        assert set(claims.values()) == {99}
        assert all(name in row[1] for name in claims)
    else:
        assert row[1] == ", ".join(f"{name} {value}" for name, value in claims.items())


def test_the_steps_of_an_explanation() -> None:
    assert [row[0] for row in rows("It leads from")] == [step.title for step in explain(RESULT).steps]


def test_the_newest_evaluation() -> None:
    assert f"the newest that is known ({NEWEST_KNOWN_EVALUATION}," in SPEC
