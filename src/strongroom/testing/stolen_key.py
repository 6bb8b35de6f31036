"""An attestation key taken out of a machine, and what its thief can do with it.

Physical attacks on memory have extracted such keys from genuine machines. With one key and any quote of the machine,
evidence can be forged for every enclave and every report data; no verifier of quotes can tell. This module exists
to show that Strongroom's other checks refuse such evidence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strongroom.attesters.simulated.quote import report
from strongroom.crypto.kdf import derive
from strongroom.formats.sgx_quote import SgxQuote

if TYPE_CHECKING:
    from strongroom.attesters.sealing import SealingPolicy
    from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
    from strongroom.crypto.ecdsa import EcdsaPrivateKey
    from strongroom.formats.measurements import MrEnclave

__all__ = ["ForgingAttester", "forge_quote", "steal_attestation_key"]


def steal_attestation_key(platform: SimulatedPlatform) -> EcdsaPrivateKey:
    """Take the key that signs a platform's quotes."""
    return platform._keys.attestation


def forge_quote(stolen: EcdsaPrivateKey, genuine_quote: bytes, identity: EnclaveIdentity, report_data: bytes) -> bytes:
    """Sign a quote for an enclave that never ran, with the rest copied from a genuine quote of the same machine."""
    genuine = SgxQuote.from_bytes(genuine_quote)
    if genuine.attestation_key != stolen.point:
        raise ValueError("the quote is of another machine than the key")
    forged = replace(genuine, report=report(identity, genuine.report.cpu_svn, report_data))
    return replace(forged, signature=stolen.sign_raw(forged.signed_bytes)).to_bytes()


class ForgingAttester:
    """Stands where a store's attester stands, on a machine without any enclave."""

    kind: Final = "sgx-dcap-3"

    def __init__(
        self, stolen: EcdsaPrivateKey, genuine_quote: bytes, identity: EnclaveIdentity, *, platform_id: bytes
    ) -> None:
        self.identity = identity
        self.platform_id = platform_id
        self._stolen = stolen
        self._genuine_quote = genuine_quote

    def evidence(self, report_data: bytes) -> bytes:
        """Forge a quote over 64 bytes."""
        return forge_quote(self._stolen, self._genuine_quote, self.identity, report_data)

    def measurement(self) -> MrEnclave:
        """Give the measurement of the enclave that is impersonated."""
        return self.identity.mr_enclave

    def sealing_key(self, policy: SealingPolicy, label: str) -> bytes:
        """Make up a key: the stolen key opens nothing that the genuine enclave sealed."""
        return derive(bytes(32), "impostor's sealing key", policy.encode(), label.encode())
