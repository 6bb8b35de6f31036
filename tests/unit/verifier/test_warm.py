"""A memory never changes a verdict: whatever it has seen before, warm and cold answer the same at every instant."""

from __future__ import annotations

import json
import random
import threading
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from evidence_vectors import VECTORS
from strongroom.base.errors import AppraisalRefused, Malformed
from strongroom.formats.collateral import Collateral
from strongroom.formats.quote import open_quote, parse_quote
from strongroom.formats.sgx_report import Attributes
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdReport
from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.verifier import (
    ANY,
    INTEL_SGX_ROOT,
    AllOf,
    AnyOf,
    AppraisalPolicy,
    Memo,
    TcbRule,
    TdAttributes,
    TdRule,
    appraise,
    assess,
)
from strongroom.verifier.basis import find_basis
from strongroom.verifier.result import finding_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.verifier.policy_compose import Policy

VERDICTS = [item for item in json.loads((VECTORS / "verdicts.json").read_text()) if "collateral" in item]
PAIRS = sorted({(item["quote"], item["collateral"]) for item in VERDICTS})
SECOND = timedelta(seconds=1)


@cache
def evidence(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


@cache
def collateral(name: str) -> Collateral:
    return Collateral.from_json((VECTORS / name).read_bytes())


def policy(quote: bytes, **changes: object) -> AppraisalPolicy:
    """A policy that accepts the code of a quote in any state that can be accepted."""
    report = parse_quote(quote).report
    sgx = not isinstance(report, TdReport)
    domain = TdRule(
        **{field.name: ANY for field in fields(TdRule)}
        | {
            "accepted_attributes": TdAttributes(0),
            "require_sept_ve_disable": False,
            "accept_seam_attributes": True,
        }
    )
    values = {
        "anchors": (INTEL_SGX_ROOT,),
        "accept_simulated_platform": False,
        "accept_debug_enclaves": True,
        "mr_enclaves": frozenset({report.mr_enclave}) if sgx else frozenset(),
        "signers": (),
        "trust_domains": (domain,),
        "tcb": tuple(
            TcbRule(status=status, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY)
            for status in TcbStatus
            if status is not TcbStatus.REVOKED
        ),
        "minimum_tcb_evaluation_data_number": 0,
        "maximum_collateral_age": ANY,
        "expired_collateral_grace": timedelta(0),
        "platforms": ANY,
        "smt_enabled": ANY,
        "dynamic_platform": ANY,
        "cached_keys": ANY,
    }
    return AppraisalPolicy(**values | changes)


def policies(quote: bytes) -> list[Policy]:
    lenient = policy(quote, expired_collateral_grace=timedelta(days=30))
    strict = policy(quote, maximum_collateral_age=timedelta(days=3), mr_enclaves=frozenset(), trust_domains=())
    return [
        policy(quote),
        lenient,
        strict,
        policy(quote, expired_collateral_grace=timedelta(days=4_000_000)),
        policy(quote, anchors=()),
        AllOf((lenient, policy(quote))),
        AnyOf((strict, lenient)),
    ]


def verdict(quote: bytes, parts: Collateral, rules: Policy | None, at: datetime, memo: Memo | None) -> object:
    """Everything that a caller sees, findings in their order."""
    try:
        if rules is None:
            return assess(quote, parts, [INTEL_SGX_ROOT], at=at, memo=memo).to_json_object()
        return appraise(quote, parts, rules, at=at, memo=memo).to_json_object()
    except AppraisalRefused as refusal:
        return [finding_to_json(finding) for finding in refusal.findings]
    except Malformed as error:
        return type(error), str(error)


def instants(quote: bytes, parts: Collateral) -> list[datetime]:
    """Every boundary and one second to each side of it, both ends of the calendar, and the middle of every two."""
    basis, _ = find_basis(open_quote(quote), parts, (INTEL_SGX_ROOT,), None)
    bounds = sorted({limit for span in basis.term.spans for limit in (span.begin, span.end)})
    bounds += [span.end + timedelta(days=30) for span in basis.term.spans if span.graced]
    middles = [first + (second - first) / 2 for first, second in pairwise(bounds)]
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    near = [bound + step for bound in bounds for step in (-SECOND, timedelta(0), timedelta(microseconds=1), SECOND)]
    return sorted({*near, *middles, *ends})


@pytest.mark.parametrize(("quote_name", "collateral_name"), PAIRS)
def test_warm_and_cold_give_the_same_verdict_at_every_boundary(quote_name: str, collateral_name: str) -> None:
    quote, parts = evidence(quote_name), collateral(collateral_name)
    try:
        times = instants(quote, parts)
    except Malformed:
        pytest.skip("malformed evidence has no dates")
    chance = random.Random(quote_name + collateral_name)  # noqa: S311 - the order of calls, no secret
    calls = [(rules, at) for rules in (None, *policies(quote)) for at in times]
    calls = chance.sample(calls, min(len(calls), 40))
    cold = [verdict(quote, parts, rules, at, None) for rules, at in calls]
    memo = Memo(capacity=1000)
    for number in [*range(len(calls)), *chance.sample(range(len(calls)), len(calls))]:
        rules, at = calls[number]
        assert verdict(quote, parts, rules, at, memo) == cold[number]


def test_sets_and_platforms_in_one_memory_do_not_mix() -> None:
    """Every quote with every set of collateral, most of which do not fit, in any order and with a tiny memory too."""
    quotes = sorted({quote for quote, _ in PAIRS})[::6]
    sets = sorted({name for _, name in PAIRS})[::4]
    at = datetime(2025, 3, 1, tzinfo=UTC)
    calls = [(evidence(quote), collateral(name)) for quote in quotes for name in sets]
    cold = [verdict(quote, parts, None, at, None) for quote, parts in calls]
    chance = random.Random(1)  # noqa: S311 - the order of calls, no secret
    for memo in (Memo(capacity=1000), Memo(capacity=7), Memo(capacity=1000, max_bytes=20_000), Memo(capacity=0)):
        for number in chance.sample(range(len(calls)), len(calls)) * 2:
            assert verdict(*calls[number], None, at, memo) == cold[number]


def of_pki(pki: IntelPki, memo: Memo | None, at: datetime = AT) -> object:
    return assess(*pki.build(), [pki.anchor], at=at, memo=memo).to_json_object()


def test_equal_collateral_in_another_object_is_known() -> None:
    memo, (quote, parts) = Memo(capacity=100), IntelPki().build()
    anchors = (IntelPki().anchor,)
    basis, signed = find_basis(open_quote(quote), parts, anchors, memo)
    assert signed
    again, _ = find_basis(open_quote(bytes(bytearray(quote))), Collateral.from_json(parts.to_json()), anchors, memo)
    assert again is basis


CHANGES: dict[str, Callable[[IntelPki], object]] = {
    "another list that revokes the leaf": lambda pki: setattr(pki.pck_crl, "revoked", [pki.leaf.serial]),
    "another list that revokes the signer": lambda pki: setattr(pki.root_crl, "revoked", [pki.tcb_signer.serial]),
    "a quote by another key": lambda pki: setattr(pki, "quote_signer", key("somebody")),
    "a quoting enclave's report by another key": lambda pki: setattr(pki, "qe_report_signer", key("somebody")),
    "a report for another key": lambda pki: setattr(pki, "qe_report_data", bytes(64)),
    "other authentication data": lambda pki: setattr(pki, "qe_auth_data", b"other"),
    "a debug quoting enclave": lambda pki: setattr(
        pki, "qe_report", replace(pki.qe_report, attributes=Attributes(flags=0x17, xfrm=0xE7))
    ),
    "another vendor": lambda pki: setattr(pki, "header", replace(pki.header, qe_vendor_id=bytes(16))),
    "TCB info of another platform": lambda pki: setattr(pki, "tcb_info", replace(pki.tcb_info, fmspc=bytes(6))),
    "TCB info that has expired": lambda pki: setattr(pki, "tcb_info", replace(pki.tcb_info, next_update=AT - SECOND)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_one_thing_of_known_evidence_is_judged_by_what_it_is(name: str) -> None:
    memo, good, changed = Memo(capacity=1000), IntelPki(), IntelPki()
    CHANGES[name](changed)
    cold = of_pki(changed, None)
    assert of_pki(good, memo) == of_pki(good, None)
    for _ in range(2):
        assert of_pki(changed, memo) == cold
        assert of_pki(good, memo) == of_pki(good, None)


def test_evidence_that_is_objected_to_leaves_no_basis() -> None:
    for change in CHANGES.values():
        memo, pki = Memo(capacity=1000), IntelPki()
        change(pki)
        quote, parts = pki.build()
        first, signed = find_basis(open_quote(quote), parts, (pki.anchor,), memo)
        second, _ = find_basis(open_quote(quote), parts, (pki.anchor,), memo)
        assert (first is second) == (signed and not first.findings)


def test_a_flood_of_forged_quotes_does_not_drive_out_a_known_platform() -> None:
    memo, good = Memo(capacity=32), IntelPki()
    quote, parts = good.build()
    basis, _ = find_basis(open_quote(quote), parts, (good.anchor,), memo)
    for number in range(40):
        forged = IntelPki()
        forged.leaf.serial = 1000 + number
        forged.leaf.signer = key("somebody")
        assert find_basis(open_quote(forged.build()[0]), parts, (good.anchor,), memo)[0].findings
    assert find_basis(open_quote(quote), parts, (good.anchor,), memo)[0] is basis


def test_threads_that_share_a_memory_get_the_answers_of_each_alone() -> None:
    pairs = PAIRS[::9]
    at = datetime(2025, 3, 1, tzinfo=UTC)
    cold = {pair: verdict(evidence(pair[0]), collateral(pair[1]), None, at, None) for pair in pairs}
    memo, wrong = Memo(capacity=20), []

    def work(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - the order of calls, no secret
        for pair in chance.choices(pairs, k=40):
            if verdict(evidence(pair[0]), collateral(pair[1]), None, at, memo) != cold[pair]:
                wrong.append(pair)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_policy_has_its_digest_once() -> None:
    one, other = policy(evidence(PAIRS[0][0])), policy(evidence(PAIRS[0][0]))
    assert one.digest is one.digest
    assert one.digest == other.digest
    assert replace(one, minimum_tcb_evaluation_data_number=1).digest != one.digest
