"""Measurements, each its own type, so that a signer's digest never stands where a code's digest belongs."""

from __future__ import annotations

from typing import Final, NewType

__all__ = ["MEASUREMENT_BYTES", "MrEnclave", "MrSigner"]

MEASUREMENT_BYTES: Final = 32

MrEnclave = NewType("MrEnclave", bytes)
"""SHA-256 over what was loaded into an enclave and how (Intel SDM volume 3D, MRENCLAVE), 32 bytes."""

MrSigner = NewType("MrSigner", bytes)
"""SHA-256 over the modulus of the key that signed an enclave (Intel SDM volume 3D, MRSIGNER), 32 bytes."""
