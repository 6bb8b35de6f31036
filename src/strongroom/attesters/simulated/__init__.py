"""The simulated SGX platform: genuine formats under a root of its own, and no hardware behind them.

It proves that the code works, to whoever tries it; it proves nothing about a machine. Whoever can read the
platform's directory can sign any quote. Clients refuse it unless told otherwise. docs/spec/simulated-platform.md.
"""

from strongroom.attesters.simulated.attester import SimulatedAttester
from strongroom.attesters.simulated.platform import SimulatedPlatform
from strongroom.attesters.simulated.settings import EnclaveIdentity, PlatformSettings

__all__ = ["EnclaveIdentity", "PlatformSettings", "SimulatedAttester", "SimulatedPlatform"]
