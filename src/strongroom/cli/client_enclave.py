"""This client as an enclave on a simulated platform, for stores that admit clients by their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.cli.instance import StapledCollateral
from strongroom.cli.measured import PRODUCT, RELEASE_SIGNER, SECURITY_VERSION, measure_client
from strongroom.transport.client_evidence import ClientAttestation

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["simulated_attestation"]


def simulated_attestation(directory: Path, device_key: bytes) -> ClientAttestation:
    """Give what attests this installation on a simulated platform; ``device_key`` is empty before there is one."""
    platform = SimulatedPlatform.open(directory)
    identity = EnclaveIdentity(
        mr_enclave=measure_client(), mr_signer=RELEASE_SIGNER, isv_prod_id=PRODUCT, isv_svn=SECURITY_VERSION
    )
    return ClientAttestation(
        attester=platform.enclave(identity), endorsements=StapledCollateral(platform), statement=device_key
    )
