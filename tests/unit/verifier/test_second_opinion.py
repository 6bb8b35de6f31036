"""A second opinion: both verifiers must accept, and agree."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from strongroom.base.errors import AppraisalRefused, Misconfigured
from strongroom.base.findings import Check
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import appraise, second_opinion
from strongroom.verifier.second_opinion import appraise_twice


def test_what_both_accept_is_accepted() -> None:
    pki = IntelPki("Intel")
    evidence, collateral = pki.build()
    policy = pki.policy()
    assert appraise_twice(evidence, collateral, policy, at=AT) == appraise(evidence, collateral, policy, at=AT)


def test_our_refusal_comes_first_with_all_its_findings() -> None:
    pki = IntelPki("Intel")
    evidence, collateral = pki.build()
    with pytest.raises(AppraisalRefused) as refused:
        appraise_twice(evidence, collateral, pki.policy(), at=AT + timedelta(days=4000))
    assert Check.SECOND_OPINION not in {finding.check for finding in refused.value.findings}


def test_what_only_the_other_refuses_is_refused() -> None:
    pki = IntelPki("Intel")
    pki.qe_auth_data = bytes(33)  # genuine quotes have 32 bytes; any length is legal, and dcap-qvl takes only that one
    evidence, collateral = pki.build()
    policy = pki.policy()
    assert appraise(evidence, collateral, policy, at=AT)
    with pytest.raises(AppraisalRefused) as refused:
        appraise_twice(evidence, collateral, policy, at=AT)
    (finding,) = refused.value.findings
    assert (finding.check, finding.section) == (Check.SECOND_OPINION, "appraisal 12.1")
    assert "refuses" in finding.message


def test_a_disagreement_on_the_status_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    pki = IntelPki("Intel")
    evidence, collateral = pki.build()
    monkeypatch.setattr(second_opinion, "_other", lambda *_: ("OutOfDate", set()))
    with pytest.raises(AppraisalRefused) as refused:
        appraise_twice(evidence, collateral, pki.policy(), at=AT)
    (finding,) = refused.value.findings
    assert (finding.expected, finding.actual) == ("UpToDate, no advisories", "OutOfDate, no advisories")


def test_without_the_other_verifier_there_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    pki = IntelPki("Intel")
    evidence, collateral = pki.build()
    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    with pytest.raises(Misconfigured, match="needs dcap-qvl"):
        appraise_twice(evidence, collateral, pki.policy(), at=AT)
