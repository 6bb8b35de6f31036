"""Against Strongroom's own verifier: perfect evidence passes, and each fault gives its finding and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from strongroom.attesters.simulated import EnclaveIdentity, PlatformSettings, SimulatedPlatform
from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.stolen_key import forge_quote, steal_attestation_key
from strongroom.verifier.appraisal import appraise
from strongroom.verifier.policy import ANY, INTEL_SGX_ROOT, Anchor, AppraisalPolicy, SignerRule, TcbRule
from strongroom.verifier.result import AttestationResult

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32))
FAULTY_TCB = PlatformSettings(tcb=TcbStatus.OUT_OF_DATE)
REVOKED = PlatformSettings(pck_revoked=True)


@pytest.fixture
def platform(tmp_path):
    return SimulatedPlatform.open(tmp_path / "platform", create=True)


def policy_for(platform: SimulatedPlatform, **changes: object) -> AppraisalPolicy:
    policy = AppraisalPolicy(
        anchors=(Anchor.from_certificate(platform.root_certificate_pem, simulated=True),),
        accept_simulated_platform=True,
        accept_debug_enclaves=False,
        mr_enclaves=frozenset({IDENTITY.mr_enclave}),
        signers=(),
        trust_domains=(),
        tcb=(TcbRule(status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=frozenset(), maximum_tcb_age=ANY),),
        minimum_tcb_evaluation_data_number=1,
        maximum_collateral_age=timedelta(days=1),
        expired_collateral_grace=timedelta(0),
        platforms=frozenset({platform.platform_id}),
        smt_enabled=ANY,
        dynamic_platform=ANY,
        cached_keys=ANY,
    )
    return replace(policy, **changes)


def judge(
    platform: SimulatedPlatform, identity: EnclaveIdentity = IDENTITY, at: datetime = AT, **changes: object
) -> AttestationResult:
    evidence = platform.enclave(identity).evidence(b"\x07" * 64)
    return appraise(evidence, platform.collateral(AT), policy_for(platform, **changes), at=at)


def objections(*arguments: object, **changes: object) -> set[Check]:
    with pytest.raises(AppraisalRefused) as caught:
        judge(*arguments, **changes)
    return {finding.check for finding in caught.value.findings}


def test_perfect_evidence_is_accepted_and_called_simulated(platform):
    result = judge(platform)
    assert result.simulated
    assert result.tcb.status is TcbStatus.UP_TO_DATE
    assert result.tcb.advisories == ()
    assert result.claims.mr_enclave == IDENTITY.mr_enclave
    assert result.claims.report_data == b"\x07" * 64
    assert result.platform.ppid == platform.platform_id


def test_it_is_refused_unless_a_simulated_platform_is_accepted(platform):
    assert objections(platform, accept_simulated_platform=False) == {Check.SIMULATED}


def test_intels_root_alone_does_not_accept_it(platform):
    assert Check.CHAIN in objections(platform, anchors=(INTEL_SGX_ROOT,))


@pytest.mark.parametrize(("settings", "check"), [(FAULTY_TCB, Check.TCB_STATUS), (REVOKED, Check.REVOCATION)])
def test_a_faulty_platform_is_refused_for_its_fault_alone(tmp_path, settings, check):
    platform = SimulatedPlatform.open(tmp_path / "faulty", create=True, settings=settings)
    assert objections(platform) == {check}


def test_an_outdated_platform_shows_its_advisory_to_a_policy_that_accepts_it(tmp_path):
    platform = SimulatedPlatform.open(tmp_path / "outdated", create=True, settings=FAULTY_TCB)
    rule = TcbRule(
        status=TcbStatus.OUT_OF_DATE, measurement=ANY, advisories=frozenset({"SIMULATED-SA-00002"}), maximum_tcb_age=ANY
    )
    result = judge(platform, tcb=(rule,))
    assert [advisory.id for advisory in result.tcb.advisories] == ["SIMULATED-SA-00002"]


@pytest.mark.parametrize(
    ("identity", "changes", "check"),
    [
        (replace(IDENTITY, debug=True), {}, Check.DEBUG),
        (replace(IDENTITY, mr_enclave=MrEnclave(b"f" * 32)), {}, Check.MEASUREMENT),
        (
            replace(IDENTITY, mr_signer=MrSigner(b"t" * 32)),
            {
                "mr_enclaves": frozenset(),
                "signers": (SignerRule(mr_signer=IDENTITY.mr_signer, isv_prod_id=1, minimum_isv_svn=1),),
            },
            Check.SIGNER,
        ),
        (IDENTITY, {"platforms": frozenset({bytes(16)})}, Check.PLATFORM),
    ],
    ids=["debug", "another measurement", "another signer", "another machine"],
)
def test_another_enclave_or_machine_is_refused_by_name(platform, identity, changes, check):
    assert objections(platform, identity, **changes) == {check}


def test_collateral_that_ended_is_refused(platform):
    found = objections(platform, at=AT + timedelta(days=31), maximum_collateral_age=ANY)
    assert found == {Check.EXPIRY}


def test_another_platforms_collateral_is_refused(platform, tmp_path):
    other = SimulatedPlatform.open(tmp_path / "other", create=True)
    with pytest.raises(AppraisalRefused):
        appraise(platform.enclave(IDENTITY).evidence(bytes(64)), other.collateral(AT), policy_for(platform), at=AT)


def test_a_quote_forged_with_a_stolen_key_passes_appraisal_and_so_has_to_fail_elsewhere(platform):
    genuine = platform.enclave(IDENTITY).evidence(bytes(64))
    forged = forge_quote(steal_attestation_key(platform), genuine, IDENTITY, b"\x09" * 64)
    result = appraise(forged, platform.collateral(AT), policy_for(platform), at=AT)
    assert result.claims.report_data == b"\x09" * 64
