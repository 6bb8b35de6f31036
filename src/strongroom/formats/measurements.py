"""Measurements, each its own type, so that a signer's digest never stands where a code's digest belongs."""

from __future__ import annotations

from typing import Final, NewType

__all__ = [
    "MEASUREMENT_BYTES",
    "TD_MEASUREMENT_BYTES",
    "MrConfigId",
    "MrEnclave",
    "MrOwner",
    "MrOwnerConfig",
    "MrSeam",
    "MrServiceTd",
    "MrSigner",
    "MrSignerSeam",
    "MrTd",
    "Rtmr",
]

MEASUREMENT_BYTES: Final = 32
TD_MEASUREMENT_BYTES: Final = 48
"""All measurements of TDX are SHA-384."""

MrEnclave = NewType("MrEnclave", bytes)
"""SHA-256 over what was loaded into an enclave and how (Intel SDM volume 3D, MRENCLAVE), 32 bytes."""

MrSigner = NewType("MrSigner", bytes)
"""SHA-256 over the modulus of the key that signed an enclave (Intel SDM volume 3D, MRSIGNER), 32 bytes."""

MrTd = NewType("MrTd", bytes)
"""What a trust domain was built from before it ran (Intel TDX Module ABI, MRTD), 48 bytes."""

Rtmr = NewType("Rtmr", bytes)
"""One of four registers that a running trust domain extends (Intel TDX Module ABI, RTMR), 48 bytes."""

MrConfigId = NewType("MrConfigId", bytes)
"""What the trust domain's owner calls its configuration, 48 bytes, zero when unused; the host chooses it."""

MrOwner = NewType("MrOwner", bytes)
"""The trust domain's owner, 48 bytes, zero when unused; the host chooses it."""

MrOwnerConfig = NewType("MrOwnerConfig", bytes)
"""The owner's configuration of the trust domain, 48 bytes, zero when unused; the host chooses it."""

MrSeam = NewType("MrSeam", bytes)
"""The TDX module that runs the trust domain, 48 bytes."""

MrSignerSeam = NewType("MrSignerSeam", bytes)
"""Who signed the TDX module, 48 bytes; all zero for Intel's."""

MrServiceTd = NewType("MrServiceTd", bytes)
"""The service domains bound to a trust domain (one that migrates it, for instance), 48 bytes; zero for none."""
