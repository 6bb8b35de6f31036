"""What a stolen attestation key gives its thief, and what it does not."""

from __future__ import annotations

import pytest

from strongroom.attesters.sealing import SealingPolicy
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.crypto import ecdsa
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.testing.stolen_key import ForgingAttester, forge_quote, steal_attestation_key

IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32))


@pytest.fixture
def platform(tmp_path):
    return SimulatedPlatform.open(tmp_path / "platform", create=True)


def test_the_thief_stands_in_for_the_enclave_in_evidence_but_opens_nothing_of_it(platform):
    genuine = platform.enclave(IDENTITY)
    thief = ForgingAttester(
        steal_attestation_key(platform), genuine.evidence(bytes(64)), IDENTITY, platform_id=platform.platform_id
    )
    assert (thief.kind, thief.measurement()) == (genuine.kind, genuine.measurement())
    forged = SgxQuote.from_bytes(thief.evidence(b"\x01" * 64))
    assert forged.report == SgxQuote.from_bytes(genuine.evidence(b"\x01" * 64)).report
    assert ecdsa.verify_raw(ecdsa.public_key(forged.attestation_key), forged.signed_bytes, forged.signature)
    for policy in SealingPolicy:
        assert thief.sealing_key(policy, "test") != genuine.sealing_key(policy, "test")


def test_a_key_forges_for_its_own_machine_only(platform, tmp_path):
    other = SimulatedPlatform.open(tmp_path / "other", create=True)
    with pytest.raises(ValueError, match="another machine"):
        forge_quote(steal_attestation_key(platform), other.enclave(IDENTITY).evidence(bytes(64)), IDENTITY, bytes(64))
