from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dcap_qvl
import pytest

from evidence_vectors import QUOTES, VERDICTS, Verdict, case, read
from strongroom.base.errors import AppraisalRefused, MalformedCollateral, MalformedQuote
from strongroom.formats.collateral import Collateral
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier import ANY, INTEL_SGX_ROOT, Anchor, AppraisalPolicy, Memo, TcbRule, appraise, assess

NAMES = [f"{item['quote'].split('/')[-1]}@{item['unix_time']}" for item in VERDICTS]
SHOWN = [item for item in VERDICTS if "status" in item]
BY_QUOTE = {item["quote"]: item for item in VERDICTS}


def policy_for(mr_enclave: MrEnclave, *statuses: TcbStatus, debug: bool = False) -> AppraisalPolicy:
    return AppraisalPolicy(
        anchors=(INTEL_SGX_ROOT,),
        accept_simulated_platform=False,
        accept_debug_enclaves=debug,
        mr_enclaves=frozenset({mr_enclave}),
        signers=(),
        trust_domains=(),
        tcb=tuple(TcbRule(status=status, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY) for status in statuses),
        minimum_tcb_evaluation_data_number=0,
        maximum_collateral_age=ANY,
        expired_collateral_grace=timedelta(0),
        platforms=ANY,
        smt_enabled=ANY,
        dynamic_platform=ANY,
        cached_keys=ANY,
    )


def test_there_are_enough_of_them() -> None:
    assert len(VERDICTS) == 57
    assert len(SHOWN) >= 20


@pytest.mark.parametrize("verdict", VERDICTS, ids=NAMES)
def test_every_captured_quote_gets_its_known_verdict(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    assessment = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
    assert assessment.findings == ()
    assert assessment.claims.debug is verdict["debug"]
    assert assessment.tcb is not None
    assert assessment.tcb.platform_status == verdict["platform"]
    assert assessment.tcb.quoting_enclave_status == verdict["quoting_enclave"]
    if "status" in verdict:
        assert assessment.tcb.status == verdict["status"]
        assert len(assessment.tcb.advisories) == verdict["advisories"]
    assert not assessment.simulated
    assert assessment.anchor == "Intel SGX Root CA"


@pytest.mark.parametrize("verdict", VERDICTS, ids=NAMES)
def test_a_policy_for_exactly_this_accepts_it_and_less_refuses_it(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    assessment = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
    assert assessment.tcb is not None
    mr_enclave, status = assessment.claims.mr_enclave, assessment.tcb.status
    result = appraise(evidence, collateral, policy_for(mr_enclave, status, debug=verdict["debug"]), at=at)
    assert result.tcb_status is status
    with pytest.raises(AppraisalRefused, match="tcb-status"):
        appraise(evidence, collateral, policy_for(mr_enclave, TcbStatus.UP_TO_DATE, debug=True), at=at)
    if verdict["debug"]:
        with pytest.raises(AppraisalRefused, match="debug"):
            appraise(evidence, collateral, policy_for(mr_enclave, status), at=at)


@pytest.mark.parametrize(
    "verdict", SHOWN, ids=[f"{item['quote'].split('/')[-1]}@{item['unix_time']}" for item in SHOWN]
)
def test_dcap_qvl_gives_the_same_status_and_advisories(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    other = dcap_qvl.verify(
        evidence, dcap_qvl.QuoteCollateralV3.from_json(collateral.to_json().decode()), verdict["unix_time"]
    )
    assessment = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
    assert assessment.tcb is not None
    assert other.status == assessment.tcb.status
    assert sorted(other.advisory_ids) == [advisory.id for advisory in assessment.tcb.advisories]


@pytest.mark.parametrize("verdict", SHOWN[:8], ids=range(8))
@pytest.mark.parametrize("days", [-60, 60])
def test_outside_its_window_evidence_is_refused_here_and_there(verdict: Verdict, days: int) -> None:
    evidence, collateral, at = case(verdict)
    moved = at + timedelta(days=days)
    findings = assess(evidence, collateral, [INTEL_SGX_ROOT], at=moved).findings
    assert findings
    assert {finding.check for finding in findings} == {"expiry"}
    with pytest.raises(ValueError, match=r".+"):
        dcap_qvl.verify(
            evidence,
            dcap_qvl.QuoteCollateralV3.from_json(collateral.to_json().decode()),
            int(moved.timestamp()),
        )


def test_three_issues_of_the_root_certificate_are_one_anchor() -> None:
    for name in ("intel-sgx-root-ca.pem", "intel-sgx-root-ca.der", "intel-sgx-root-ca-2033.der"):
        assert Anchor.from_certificate(read(f"sgx/_anchors/{name}"), simulated=False) == INTEL_SGX_ROOT


def test_chain_and_collateral_may_carry_different_issues_of_the_root() -> None:
    issues = set()
    for verdict in VERDICTS:
        evidence, collateral, at = case(verdict)
        quoted = SgxQuote.from_bytes(evidence).certification_data
        from strongroom.crypto.certificates import parse_pem_chain

        roots = {parse_pem_chain(data, path="")[-1].der for data in (quoted, collateral.tcb_info_issuer_chain)}
        issues.add(len(roots))
        assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).genuine
    assert issues == {1, 2}


def test_another_anchor_refuses_genuine_evidence() -> None:
    evidence, collateral, at = case(VERDICTS[0])
    from strongroom.testing.intel_pki import IntelPki

    findings = assess(evidence, collateral, [IntelPki("Intel").anchor], at=at).findings
    assert [(finding.check, finding.section) for finding in findings] == [("chain", "appraisal 2.2")]


NO_CHAIN = [
    "sgx/confidential-computing.tee.dcap.qvl/quote-8cc428.quote.bin",
    "sgx/oasis-core/quote_v3_ecdsa_p256_eppid-72a05b.quote.bin",
    "sgx/sgx-ra-tls/quote-ppid-clear-d5cc62.quote.bin",
    "sgx/sgx-ra-tls/quote-ppid-rsa3072-c50cdd.quote.bin",
]


@pytest.mark.parametrize("name", NO_CHAIN)
def test_quotes_without_a_chain_are_refused_by_name(name: str) -> None:
    _, collateral, at = case(VERDICTS[0])
    assessment = assess(read(name), collateral, [INTEL_SGX_ROOT], at=at)
    assert ("chain", "appraisal 1.2") in {(finding.check, finding.section) for finding in assessment.findings}
    assert assessment.platform is None
    assert assessment.tcb is None


def test_a_captured_report_with_broken_signatures_is_refused() -> None:
    _, collateral, at = case(VERDICTS[0])
    findings = assess(
        read("sgx/openenclave/sgx_report_bad-2a49ce.quote.bin"), collateral, [INTEL_SGX_ROOT], at=at
    ).findings
    assert "signature" in {finding.check for finding in findings}


def test_a_captured_chain_with_an_rsa_root_is_refused() -> None:
    _, collateral, at = case(VERDICTS[0])
    name = "sgx/openenclave/sgx_cert_rsa_bad-f4f274.quote.bin"
    findings = assess(read(name), collateral, [INTEL_SGX_ROOT], at=at).findings
    found = {(finding.check, finding.section) for finding in findings}
    assert {("chain", "appraisal 2.2"), ("chain", "appraisal 2.6")} <= found


def test_a_captured_chain_with_a_damaged_name_is_refused() -> None:
    _, collateral, at = case(VERDICTS[0])
    name = "sgx/openenclave/sgx_cert_ec_bad-4e3f9f.quote.bin"
    findings = assess(read(name), collateral, [INTEL_SGX_ROOT], at=at).findings
    found = {(finding.check, finding.section) for finding in findings}
    assert {("chain", "appraisal 2.3"), ("signature", "appraisal 2.3")} & found


def test_intels_synthetic_sample_is_not_under_intels_root() -> None:
    folder = "sgx/confidential-computing.tee.dcap.qvl/sampleData"
    chain = read(f"{folder}/pckSignChain.pem") + read(f"{folder}/pckCert.pem")
    evidence, collateral, at = case(VERDICTS[0])
    from dataclasses import replace

    quote = replace(SgxQuote.from_bytes(evidence), certification_data=chain)
    findings = assess(quote.to_bytes(), collateral, [INTEL_SGX_ROOT], at=at).findings
    assert ("chain", "appraisal 2.2") in {(finding.check, finding.section) for finding in findings}


def test_collateral_of_another_platform_is_refused() -> None:
    evidence, _, at = case(BY_QUOTE["sgx/dcap-qvl/sgx_quote-f8b810.quote.bin"])
    other = Collateral.from_json(
        read(next(item["collateral"] for item in VERDICTS if "00906ED5" in item["collateral"]))
    )
    findings = assess(evidence, other, [INTEL_SGX_ROOT], at=at).findings
    assert ("platform", "appraisal 4.4") in {(finding.check, finding.section) for finding in findings}


@pytest.mark.parametrize("name", QUOTES)
def test_no_captured_quote_makes_it_raise_anything_else(name: str) -> None:
    _, collateral, at = case(VERDICTS[0])
    try:
        assess(read(name), collateral, [INTEL_SGX_ROOT], at=at)
    except (MalformedQuote, MalformedCollateral):
        return


def test_a_memo_changes_no_verdict_and_no_expiry() -> None:
    memo = Memo(capacity=500)
    for verdict in VERDICTS[:20]:
        evidence, collateral, at = case(verdict)
        plain = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
        for _ in range(2):
            assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at, memo=memo) == plain
        late = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at + timedelta(days=900), memo=memo)
        assert "expiry" in {finding.check for finding in late.findings}
        broken = evidence[:100] + bytes((evidence[100] ^ 1,)) + evidence[101:]
        assert not assess(broken, collateral, [INTEL_SGX_ROOT], at=at, memo=memo).genuine


def test_an_instant_without_a_time_zone_is_a_mistake() -> None:
    evidence, collateral, at = case(VERDICTS[0])
    with pytest.raises(ValueError, match="time zone"):
        assess(evidence, collateral, [INTEL_SGX_ROOT], at=at.replace(tzinfo=None))
    assert at.tzinfo is UTC
    assert isinstance(at, datetime)
