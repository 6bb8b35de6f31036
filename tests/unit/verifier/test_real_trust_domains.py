"""Captured quotes of trust domains: their known verdicts, here and by dcap-qvl."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import dcap_qvl
import pytest

from evidence_vectors import TDX_QUOTES, TDX_VERDICTS, VERDICTS, Verdict, case, read, surviving_flips
from strongroom.base.errors import AppraisalRefused, MalformedQuote
from strongroom.formats.quote import parse_quote
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes, TdReport
from strongroom.formats.tee_quote import TeeQuote
from strongroom.testing.intel_pki import IntelPki
from strongroom.testing.tdx_pki import TdxPki
from strongroom.verifier import ANY, INTEL_SGX_ROOT, AppraisalPolicy, TcbRule, TdRule, appraise, assess
from strongroom.verifier.policy import TD_MEASUREMENTS
from strongroom.verifier.result import TdxClaims

NAMES = [f"{item['quote'].split('/')[-1]}@{item['unix_time']}-{i}" for i, item in enumerate(TDX_VERDICTS)]
MATCHED = [item for item in TDX_VERDICTS if item["platform"] != "no matching level"]
SHOWN = [item for item in TDX_VERDICTS if "status" in item]
UP_TO_DATE = next(item for item in SHOWN if "tdx_quote-f1c850" in item["quote"])
RELAUNCH = next(item for item in SHOWN if item["status"] == "TDRelaunchAdvised")


def policy_for(claims: TdxClaims, *statuses: TcbStatus) -> AppraisalPolicy:
    rule = TdRule(
        **{name: getattr(claims, name) or bytes(48) for name in TD_MEASUREMENTS},
        mr_seam=frozenset({claims.mr_seam}),
        accepted_attributes=claims.td_attributes,
        require_sept_ve_disable=TdAttributes.SEPT_VE_DISABLE in claims.td_attributes,
        accept_seam_attributes=False,
    )
    return replace(
        TdxPki().policy(),
        anchors=(INTEL_SGX_ROOT,),
        trust_domains=(rule,),
        tcb=tuple(TcbRule(status=item, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY) for item in statuses),
        minimum_tcb_evaluation_data_number=0,
    )


def collateral_of(verdict: Verdict) -> dcap_qvl.QuoteCollateralV3:
    return dcap_qvl.QuoteCollateralV3.from_json(case(verdict)[1].to_json().decode())


def test_there_are_enough_of_them() -> None:
    assert len(VERDICTS) + len(TDX_VERDICTS) == 89
    assert len(TDX_QUOTES) >= 25
    assert {item["status"] for item in SHOWN} == {"UpToDate", "OutOfDate", "TDRelaunchAdvised"}


@pytest.mark.parametrize("verdict", TDX_VERDICTS, ids=NAMES)
def test_every_captured_quote_gets_its_known_verdict(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    assessment = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
    assert isinstance(assessment.claims, TdxClaims)
    assert assessment.claims.debug is verdict["debug"]
    assert assessment.anchor == "Intel SGX Root CA"
    if verdict["platform"] == "no matching level":
        assert {finding.section for finding in assessment.findings} <= {"appraisal 7.2", "appraisal 7.10"}
        assert assessment.findings
        assert assessment.tcb is None
        return
    assert assessment.findings == ()
    assert assessment.tcb is not None
    assert assessment.tcb.platform_status == verdict["platform"]
    assert assessment.tcb.quoting_enclave_status == verdict["quoting_enclave"]
    assert assessment.tcb.tdx_module_status == verdict.get("tdx_module")
    if "status" in verdict:
        assert assessment.tcb.status == verdict["status"]
        assert len(assessment.tcb.advisories) == verdict["advisories"]


@pytest.mark.parametrize("verdict", SHOWN, ids=range(len(SHOWN)))
def test_dcap_qvl_gives_the_same_status_and_advisories(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    other = dcap_qvl.verify(evidence, collateral_of(verdict), verdict["unix_time"])
    assessment = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
    assert assessment.tcb is not None
    assert other.status == assessment.tcb.status
    assert sorted(other.advisory_ids) == [advisory.id for advisory in assessment.tcb.advisories]


EARLY = {
    "Debug mode is enabled": ("debug", "8.2"),
    "SEPT_VE_DISABLE is not enabled": ("configuration", "8.12"),
    "Invalid MR service TD": ("measurement", "8.10"),
    "No matching TCB level found": ("tcb-status", "7.2"),
}
REFUSED = [item for item in TDX_VERDICTS if "status" not in item]


@pytest.mark.parametrize("verdict", REFUSED, ids=range(len(REFUSED)))
def test_what_dcap_qvl_refuses_a_plain_policy_refuses_for_the_same_reason(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    reason = verdict["dcap_qvl"].removeprefix("ERR ")
    with pytest.raises(ValueError, match=reason):
        dcap_qvl.verify(evidence, collateral_of(verdict), verdict["unix_time"])
    claims = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).claims
    assert isinstance(claims, TdxClaims)
    policy = policy_for(claims, *(set(TcbStatus) - {TcbStatus.REVOKED}))
    (rule,) = policy.trust_domains
    plain = replace(rule, accepted_attributes=TdAttributes(0), require_sept_ve_disable=True, mr_service_td=bytes(48))  # type: ignore[arg-type]
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(evidence, collateral, replace(policy, trust_domains=(plain,)), at=at)
    check, section = EARLY[reason]
    assert (check, f"appraisal {section}") in {(item.check.value, item.section) for item in refusal.value.findings}


@pytest.mark.parametrize("verdict", MATCHED, ids=range(len(MATCHED)))
def test_a_policy_for_exactly_this_accepts_it_and_less_refuses_it(verdict: Verdict) -> None:
    evidence, collateral, at = case(verdict)
    assessment = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at)
    assert isinstance(assessment.claims, TdxClaims)
    assert assessment.tcb is not None
    status = assessment.tcb.status
    policy = policy_for(assessment.claims, status)
    result = appraise(evidence, collateral, policy, at=at)
    assert result.tcb_status is status
    with pytest.raises(AppraisalRefused, match="tcb-status"):
        appraise(evidence, collateral, replace(policy, tcb=()), at=at)
    (rule,) = policy.trust_domains
    for attribute in (item for item in TdAttributes if item in assessment.claims.td_attributes):
        if attribute is not TdAttributes.SEPT_VE_DISABLE:
            less = replace(rule, accepted_attributes=rule.accepted_attributes & ~attribute)
            with pytest.raises(AppraisalRefused, match=r"debug|configuration"):
                appraise(evidence, collateral, replace(policy, trust_domains=(less,)), at=at)


@pytest.mark.parametrize("verdict", SHOWN[:6], ids=range(6))
@pytest.mark.parametrize("days", [-60, 60])
def test_outside_its_window_evidence_is_refused_here_and_there(verdict: Verdict, days: int) -> None:
    evidence, collateral, at = case(verdict)
    moved = at + timedelta(days=days)
    findings = assess(evidence, collateral, [INTEL_SGX_ROOT], at=moved).findings
    assert {finding.check for finding in findings} == {"expiry"}
    with pytest.raises(ValueError, match=r".+"):
        dcap_qvl.verify(evidence, collateral_of(verdict), int(moved.timestamp()))


def test_a_genuine_relaunch_is_advised_for_the_module_alone() -> None:
    evidence, collateral, at = case(RELAUNCH)
    tcb = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).tcb
    assert tcb is not None
    assert (tcb.launch_status, tcb.current_status) == (TcbStatus.OUT_OF_DATE, TcbStatus.UP_TO_DATE)
    assert (tcb.platform_status, tcb.tdx_module_status) == (TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE)
    assert {item.sources for item in tcb.advisories} == {("TDX module",)}


def test_attributes_beside_the_common_one_occur_in_genuine_domains() -> None:
    seen = TdAttributes(0)
    for name in TDX_QUOTES:
        report = parse_quote(read(name)).report
        assert isinstance(report, TdReport)
        seen |= report.td_attributes
    wanted = TdAttributes.DEBUG | TdAttributes.MIGRATABLE | TdAttributes.PKS | TdAttributes.PERFMON
    assert seen == wanted | TdAttributes.SEPT_VE_DISABLE


def test_a_root_with_intels_names_and_another_key_is_not_intels() -> None:
    """Intel's sandbox makes such quotes: production names, another root key."""
    pki = TdxPki("Intel")
    pki.root.common_name = INTEL_SGX_ROOT.name
    assert assess(*pki.build(), [pki.anchor], at=pki.tcb_info.issue_date).genuine
    findings = assess(*pki.build(), [INTEL_SGX_ROOT], at=pki.tcb_info.issue_date).findings
    assert [(finding.check, finding.section) for finding in findings] == [("chain", "appraisal 2.2")]


def test_intels_synthetic_sample_is_not_under_intels_root() -> None:
    _, collateral, at = case(UP_TO_DATE)
    folder = "tdx/confidential-computing.tee.dcap.qvl/sampleData"
    bare = parse_quote(read(f"{folder}/quote.dat"))
    assert isinstance(bare, TeeQuote)
    with pytest.raises(MalformedQuote, match="0 PEM certificates"):  # it carries one certificate as DER
        assess(bare.to_bytes(), collateral, [INTEL_SGX_ROOT], at=at)
    chain = read(f"{folder}/pckSignChain.pem") + read(f"{folder}/pckCert.pem")
    with_chain = replace(bare, certification_data_type=5, certification_data=chain)
    sections = {item.section for item in assess(with_chain.to_bytes(), collateral, [INTEL_SGX_ROOT], at=at).findings}
    assert "appraisal 2.2" in sections


def test_quotes_whose_chain_carries_the_older_issue_of_the_root_are_genuine() -> None:
    from strongroom.crypto.certificates import parse_pem_chain

    ends = set()
    for verdict in (*MATCHED, *VERDICTS):
        evidence, collateral, at = case(verdict)
        ends.add(parse_pem_chain(parse_quote(evidence).certification_data, path="")[-1].not_after.year)
        assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).genuine
    assert ends == {2033, 2049}


def test_another_anchor_refuses_genuine_evidence() -> None:
    evidence, collateral, at = case(UP_TO_DATE)
    findings = assess(evidence, collateral, [IntelPki("Intel").anchor], at=at).findings
    assert [(finding.check, finding.section) for finding in findings] == [("chain", "appraisal 2.2")]


def test_collateral_of_sgx_does_not_fit() -> None:
    evidence, _, at = case(UP_TO_DATE)
    _, other, _ = case(VERDICTS[0])
    sections = {finding.section for finding in assess(evidence, other, [INTEL_SGX_ROOT], at=at).findings}
    assert {"appraisal 4.3", "appraisal 4.4", "appraisal 5.3"} <= sections


@pytest.mark.parametrize(("verdict", "size"), [(UP_TO_DATE, 48 + 584), (RELAUNCH, 48 + 6 + 648)], ids=["v4", "v5"])
def test_no_bit_of_the_signed_structure_survives(verdict: Verdict, size: int) -> None:
    structure = size + 4 + 128 + 6 + 448 + 2 + 32 + 6
    assert surviving_flips(verdict, [byte * 8 + byte % 8 for byte in range(structure)]) == []


def test_bits_of_the_certificates_text_survive_only_as_white_space() -> None:
    evidence, _, _ = case(UP_TO_DATE)
    end = len(evidence) - parse_quote(evidence).padding
    for place in surviving_flips(UP_TO_DATE, list(range((48 + 584 + 626) * 8, end * 8, 23))):
        assert evidence[place // 8] in b"\n\0 "


@pytest.mark.parametrize("name", TDX_QUOTES)
def test_no_captured_quote_makes_it_raise_anything_else(name: str) -> None:
    _, collateral, at = case(UP_TO_DATE)
    try:
        assess(read(name), collateral, [INTEL_SGX_ROOT], at=at)
    except MalformedQuote:
        assert "sampleData" in name or "quote-aa2caf" in name
