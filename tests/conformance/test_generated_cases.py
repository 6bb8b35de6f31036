"""Over two thousand named cases of one fault each: what we find, exactly; and what other verifiers say."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest

from generated_cases import CASES, Case, ours
from generated_cases_peers import HAS_QVL
from generated_cases_pki import Sgx, Tdx, Tdx5
from generated_cases_reasons import BEGIN, DOCUMENT, END, REASONS, disagreements, reason_of, rows
from strongroom.testing.intel_pki import AT
from strongroom.verifier import Memo

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
FULL = Memo(capacity=5000)
"""A memory that all cases share and that has seen each plan without a fault."""


@pytest.fixture(scope="module", autouse=True)
def good_plans() -> None:
    for plan in (Sgx, Tdx, Tdx5):
        pki = plan()
        assert ours(pki, *pki.build(), AT, FULL).status == "UpToDate"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_exactly_the_fault_is_found_with_and_without_a_memory(case: Case) -> None:
    pki, evidence, collateral = case.build()
    found = ours(pki, evidence, collateral, case.at)
    assert found.is_of(case), (found, case.expected, case.status)
    for _ in range(2):
        assert ours(pki, evidence, collateral, case.at, FULL) == found


def test_there_are_hundreds_for_each_kind_of_evidence() -> None:
    counted = Counter(case.plan.__name__ for case in CASES.values())
    assert counted["Sgx"] >= 300
    assert counted["Tdx"] >= 300
    assert counted["Tdx5"] >= 100
    refused = [case for case in CASES.values() if case.expected]
    assert len(refused) >= 600


def test_every_disagreement_with_other_verifiers_is_listed_and_explained() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(disagreements())
    assert not [item for item in found if reason_of(item) is None]
    listed = DOCUMENT.read_text().split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    if not HAS_QVL:  # what the wheel says is compared where it is installed
        listed = [row for row in listed if not row.startswith("| Intel QVL")]
    else:
        used = {reason_of(item) for item in found}
        assert [reason.text for reason in REASONS if reason not in used] == []
    assert rows(found) == listed
