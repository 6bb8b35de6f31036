"""A memory never turns a "no" into a "yes": not over time, not by what it was fed, not when it is full."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from generated_cases_base import ours
from generated_cases_pki import Sgx, Tdx, Tdx5
from strongroom.base.errors import AppraisalRefused
from strongroom.formats.quote import parse_quote
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.intel_pki import AT, key, levels
from strongroom.testing.tdx_pki import tdx_levels
from strongroom.verifier import Memo, appraise

if TYPE_CHECKING:
    from collections.abc import Callable

PLANS = (Sgx, Tdx, Tdx5)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def warmed(pki: Any, *, capacity: int = 1000) -> tuple[Memo, bytes, Any]:
    """A memory that has accepted this plan a few times."""
    memo = Memo(capacity=capacity)
    evidence, collateral = pki.build()
    for _ in range(3):
        assert ours(pki, evidence, collateral, AT, memo).status == "UpToDate"
    return memo, evidence, collateral


ENDS: dict[str, Callable[[Any], object]] = {
    "root": lambda pki: setattr(pki.root, "not_after", AT + SECOND),
    "PCK CA": lambda pki: setattr(pki.intermediate, "not_after", AT + SECOND),
    "PCK certificate": lambda pki: setattr(pki.leaf, "not_after", AT + SECOND),
    "TCB signer": lambda pki: setattr(pki.tcb_signer, "not_after", AT + SECOND),
    "root CRL": lambda pki: setattr(pki.root_crl, "next_update", AT + SECOND),
    "PCK CRL": lambda pki: setattr(pki.pck_crl, "next_update", AT + SECOND),
    "TCB info": lambda pki: setattr(pki, "tcb_info", replace(pki.tcb_info, next_update=AT + SECOND)),
    "QE identity": lambda pki: setattr(pki, "qe_identity", replace(pki.qe_identity, next_update=AT + SECOND)),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("what", ENDS)
def test_each_end_is_compared_with_the_given_time_on_every_call(plan: type, what: str) -> None:
    pki = plan()
    ENDS[what](pki)
    memo, evidence, collateral = warmed(pki)
    for at, good in ((AT + SECOND, True), (AT + 2 * SECOND, False), (AT, True), (AT + DAY, False), (AT, True)):
        found = ours(pki, evidence, collateral, at, memo)
        assert bool(found.status) is good
        assert found == ours(pki, evidence, collateral, at)


BEGINS: dict[str, Callable[[Any], object]] = {
    "root": lambda pki: setattr(pki.root, "not_before", AT),
    "PCK certificate": lambda pki: setattr(pki.leaf, "not_before", AT),
    "root CRL": lambda pki: setattr(pki.root_crl, "this_update", AT),
    "PCK CRL": lambda pki: setattr(pki.pck_crl, "this_update", AT),
    "TCB info": lambda pki: setattr(pki, "tcb_info", replace(pki.tcb_info, issue_date=AT)),
    "QE identity": lambda pki: setattr(pki, "qe_identity", replace(pki.qe_identity, issue_date=AT)),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("what", BEGINS)
def test_each_beginning_is_compared_with_the_given_time_on_every_call(plan: type, what: str) -> None:
    pki = plan()
    BEGINS[what](pki)
    memo, evidence, collateral = warmed(pki)
    for at, good in ((AT - SECOND, False), (AT, True), (AT - DAY, False)):
        assert bool(ours(pki, evidence, collateral, at, memo).status) is good


REVOKING: dict[str, Callable[[Any], object]] = {
    "PCK certificate": lambda pki: pki.pck_crl.revoked.append(pki.leaf.serial),
    "PCK CA": lambda pki: pki.root_crl.revoked.append(pki.intermediate.serial),
    "TCB signer": lambda pki: pki.root_crl.revoked.append(pki.tcb_signer.serial),
    "root": lambda pki: pki.root_crl.revoked.append(pki.root.serial),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("what", REVOKING)
def test_a_new_list_revokes_what_is_remembered(plan: type, what: str) -> None:
    pki = plan()
    memo, evidence, collateral = warmed(pki)
    REVOKING[what](pki)
    later = pki.collateral()
    revoked = replace(collateral, root_ca_crl=later.root_ca_crl, pck_crl=later.pck_crl)
    for _ in range(3):
        assert ours(pki, evidence, revoked, AT, memo).findings == {"revocation 3.5"}
        assert ours(pki, evidence, collateral, AT, memo).status == "UpToDate"


@pytest.mark.parametrize("plan", PLANS)
def test_a_new_document_takes_a_status_back(plan: type) -> None:
    pki = plan()
    memo, evidence, collateral = warmed(pki)
    revoked = (TcbStatus.REVOKED, ())
    fresh = levels((12, *revoked)) if plan is Sgx else tdx_levels((12, 4, *revoked))
    pki.tcb_info = replace(pki.tcb_info, levels=fresh)
    later = pki.collateral()
    changed = replace(collateral, tcb_info=later.tcb_info, tcb_info_signature=later.tcb_info_signature)
    assert ours(pki, evidence, changed, AT, memo).findings
    assert ours(pki, evidence, changed, AT, memo) == ours(pki, evidence, changed, AT)


@pytest.mark.parametrize("plan", PLANS)
def test_a_signature_of_a_remembered_key_is_verified_on_every_call(plan: type) -> None:
    pki = plan()
    memo, evidence, collateral = warmed(pki)
    body = 60
    for place in (12, 28, body, 100, 300):
        changed = evidence[:place] + bytes((evidence[place] ^ 1,)) + evidence[place + 1 :]
        assert "signature 6.6" in ours(pki, changed, collateral, AT, memo).findings


@pytest.mark.parametrize("plan", PLANS)
def test_what_was_refused_is_refused_again_and_does_not_spoil_what_is_good(plan: type) -> None:
    """Poison: parts that are wrong, beside good ones, before and after the good set was seen."""
    good = plan()
    evidence, collateral = good.build()
    attacker = plan()
    for name in ("root", "intermediate", "leaf", "tcb_signer"):
        getattr(attacker, name).key = key(f"attacker {name}")
    attacker.attestation_key = key("attacker attestation")
    bad_evidence, bad_collateral = attacker.build()
    memo = Memo(capacity=1000)
    parts = tuple(good.collateral().__slots__)
    for _ in range(2):
        for name in parts:
            mixed = replace(collateral, **{name: getattr(bad_collateral, name)})
            expected = ours(good, evidence, mixed, AT)
            assert ours(good, evidence, mixed, AT, memo) == expected
            other = replace(bad_collateral, **{name: getattr(collateral, name)})
            assert ours(good, bad_evidence, other, AT, memo) == ours(good, bad_evidence, other, AT)
            assert not ours(good, bad_evidence, other, AT, memo).status
        assert ours(good, bad_evidence, collateral, AT, memo).findings
        assert ours(good, bad_evidence, bad_collateral, AT, memo).findings
        assert ours(good, evidence, collateral, AT, memo).status == "UpToDate"
        assert ours(attacker, bad_evidence, bad_collateral, AT, memo).status == "UpToDate"
        assert ours(good, bad_evidence, bad_collateral, AT, memo).findings


@pytest.mark.parametrize("plan", PLANS)
def test_parts_of_two_good_quotes_do_not_make_a_third(plan: type) -> None:
    """The report of one platform over the keys of another, both remembered."""
    first, second = plan(), plan()
    second.attestation_key = key("second attestation")
    second.leaf.key, second.leaf.serial = key("second pck"), 33
    memo = Memo(capacity=1000)
    quotes = []
    for pki in (first, second):
        evidence, collateral = pki.build()
        assert ours(pki, evidence, collateral, AT, memo).status == "UpToDate"
        quotes.append(parse_quote(evidence))
    one, two = quotes
    for field in ("signature", "attestation_key", "qe_report", "qe_report_signature", "certification_data"):
        mixed = replace(one, **{field: getattr(two, field)}).to_bytes()
        expected = ours(first, mixed, first.collateral(), AT)
        found = ours(first, mixed, first.collateral(), AT, memo)
        assert found == expected
        assert found.findings


@pytest.mark.parametrize("capacity", [0, 1, 2, 5, 20])
def test_a_full_memory_gives_the_same_answers(capacity: int) -> None:
    memo = Memo(capacity=capacity)
    for plan in PLANS * 2:
        pki = plan()
        evidence, collateral = pki.build()
        for at in (AT, AT + 4000 * DAY):
            assert ours(pki, evidence, collateral, at, memo) == ours(pki, evidence, collateral, at)


def test_policies_are_judged_on_every_call() -> None:
    pki = Sgx()
    memo = Memo(capacity=100)
    evidence, collateral = pki.build()
    policy = pki.policy()
    assert appraise(evidence, collateral, policy, at=AT, memo=memo)
    for stricter in (
        replace(policy, mr_enclaves=frozenset()),
        replace(policy, anchors=()),
        replace(policy, tcb=()),
        replace(policy, minimum_tcb_evaluation_data_number=19),
        replace(policy, platforms=frozenset()),
        replace(policy, maximum_collateral_age=SECOND),
    ):
        with pytest.raises(AppraisalRefused):
            appraise(evidence, collateral, stricter, at=AT, memo=memo)
        assert appraise(evidence, collateral, policy, at=AT, memo=memo)


def test_threads_share_a_memory() -> None:
    memo = Memo(capacity=30)
    cases = []
    for plan in PLANS:
        good, bad = plan(), plan()
        bad.pck_crl.revoked.append(bad.leaf.serial)
        cases += [(good, *good.build(), "UpToDate"), (bad, *bad.build(), "")]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(ours, pki, evidence, collateral, AT, memo) for pki, evidence, collateral, _ in cases * 20]
        assert [job.result().status for job in jobs] == [status for *_, status in cases * 20]


@pytest.mark.parametrize("plan", PLANS)
def test_a_flood_of_quotes_that_anybody_can_make_up_takes_no_place_in_a_memory(plan: type) -> None:
    pki = plan()
    memo, evidence, collateral = warmed(pki)
    held = set(memo._answers)
    for number in range(50):
        stranger = plan()
        stranger.root = replace(stranger.root, key=key(f"root {number}"))
        stranger.intermediate = replace(stranger.intermediate, issuer=stranger.root)
        stranger.leaf = replace(stranger.leaf, issuer=stranger.intermediate, key=key(f"pck {number}"))
        stranger.pck_chain = [stranger.leaf, stranger.intermediate, stranger.root]
        stranger.attestation_key = key(f"attestation {number}")
        made_up, _ = stranger.build()
        assert ours(pki, made_up, collateral, AT, memo).findings
    assert set(memo._answers) == held
    assert ours(pki, evidence, collateral, AT, memo).status == "UpToDate"
