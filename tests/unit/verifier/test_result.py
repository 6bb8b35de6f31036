from __future__ import annotations

import json
from dataclasses import replace

from evidence_vectors import VERDICTS, case
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.intel_pki import AT, IntelPki, levels
from strongroom.verifier import INTEL_SGX_ROOT, appraise, assess


def test_results_and_assessments_are_json() -> None:
    pki = IntelPki()
    result = appraise(*pki.build(), pki.policy(), at=AT).to_json_object()
    assert json.loads(json.dumps(result)) == result
    assert result["verdict"] == "accepted"
    assert result["policy_digest"] == pki.policy().digest.hex()
    for verdict in VERDICTS[:10]:
        evidence, collateral, at = case(verdict)
        shown = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).to_json_object()
        assert json.loads(json.dumps(shown)) == shown


def test_an_assessment_with_findings_says_refused_and_lists_them() -> None:
    pki = IntelPki()
    pki.pck_crl.revoked = [pki.leaf.serial]
    pki.extension_bytes = b""
    shown = assess(*pki.build(), [], at=AT).to_json_object()
    assert shown["verdict"] == "refused"
    assert shown["anchor"] is None
    assert shown["platform"] is None
    findings = shown["findings"]
    assert isinstance(findings, list)
    assert {finding["check"] for finding in findings} == {"chain", "revocation", "platform"}
    assert all(finding["section"].startswith("appraisal ") for finding in findings)


def test_dates_and_advisories_come_from_the_matched_levels() -> None:
    pki = IntelPki()
    pki.tcb_info = replace(
        pki.tcb_info, levels=levels((12, TcbStatus.UP_TO_DATE, ("A-1",)), (5, TcbStatus.OUT_OF_DATE, ("A-9",)))
    )
    pki.qe_report = replace(pki.qe_report, isv_svn=7)
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert tcb.date == pki.qe_identity.levels[1].tcb_date
    assert [(item.id, item.sources) for item in tcb.advisories] == [
        ("A-1", ("platform",)),
        ("EXAMPLE-SA-2", ("quoting enclave",)),
    ]


def test_collateral_facts_are_those_of_its_parts() -> None:
    pki = IntelPki()
    pki.root_crl.number, pki.pck_crl.number = 5, 1 << 70
    facts = assess(*pki.build(), [pki.anchor], at=AT).collateral
    assert facts is not None
    assert (facts.root_crl_number, facts.pck_crl_number) == (5, 1 << 70)
    assert facts.earliest_issue == facts.latest_issue == pki.tcb_info.issue_date
    assert facts.expires_at == pki.tcb_info.next_update
