"""Against another verifier (dcap-qvl 0.7) with our root in the place of Intel's: perfect evidence and each fault."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dcap_qvl import QuoteCollateralV3, QuotePolicy, QuoteVerifier

from strongroom.attesters.simulated import EnclaveIdentity, PlatformSettings, SimulatedPlatform
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.stolen_key import forge_quote, steal_attestation_key

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = int(AT.timestamp())
IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32))


def verify(platform: SimulatedPlatform, evidence: bytes, at: int = NOW, root: SimulatedPlatform | None = None) -> str:
    anchor = parse_pem_chain((root or platform).root_certificate_pem, path="root")[0].der
    collateral = QuoteCollateralV3.from_json(platform.collateral(AT).to_json().decode())
    return QuoteVerifier(anchor).verify_with_policy(evidence, collateral, at, QuotePolicy.strict(at)).to_json()


@pytest.fixture
def platform(tmp_path):
    return SimulatedPlatform.open(tmp_path / "platform", create=True)


def test_perfect_evidence_is_up_to_date_under_the_strictest_policy(platform):
    claims = verify(platform, platform.enclave(IDENTITY).evidence(bytes(64)))
    assert '"status":"UpToDate","advisory_ids":[]' in claims


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        (PlatformSettings(tcb=TcbStatus.OUT_OF_DATE), "TCB status OutOfDate"),
        (PlatformSettings(pck_revoked=True), "certificate chain"),
    ],
)
def test_a_faulty_platform_is_refused_for_its_fault(tmp_path, settings, refusal):
    platform = SimulatedPlatform.open(tmp_path / "faulty", create=True, settings=settings)
    with pytest.raises(ValueError, match=refusal):
        verify(platform, platform.enclave(IDENTITY).evidence(bytes(64)))


def test_a_debug_enclave_is_refused(platform):
    debug = EnclaveIdentity(mr_enclave=IDENTITY.mr_enclave, mr_signer=IDENTITY.mr_signer, debug=True)
    with pytest.raises(ValueError, match="Debug"):
        verify(platform, platform.enclave(debug).evidence(bytes(64)))


def test_another_platforms_root_is_refused(platform, tmp_path):
    other = SimulatedPlatform.open(tmp_path / "other", create=True)
    with pytest.raises(ValueError, match="root CA CRL"):  # what it looks at first
        verify(platform, platform.enclave(IDENTITY).evidence(bytes(64)), root=other)


def test_collateral_expires(platform):
    evidence = platform.enclave(IDENTITY).evidence(bytes(64))
    with pytest.raises(ValueError, match=r"[Ee]xpired"):
        verify(platform, evidence, at=NOW + 31 * 24 * 3600)


def test_no_verifier_of_quotes_can_tell_that_the_attestation_key_was_stolen(platform):
    genuine = platform.enclave(IDENTITY).evidence(bytes(64))
    forged_identity = EnclaveIdentity(mr_enclave=MrEnclave(b"f" * 32), mr_signer=MrSigner(b"t" * 32))
    forged = forge_quote(steal_attestation_key(platform), genuine, forged_identity, b"\x01" * 64)
    claims = verify(platform, forged)
    assert '"status":"UpToDate"' in claims
    assert "66" * 32 in claims
