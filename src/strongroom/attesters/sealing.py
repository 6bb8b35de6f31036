"""What a sealing key is tied to, besides the platform."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["SealingPolicy"]


class SealingPolicy(StrEnum):
    """Who gets the same sealing key on the same platform (EGETKEY, Intel SDM volume 3D, KEYPOLICY)."""

    MRENCLAVE = "mrenclave"
    """Exactly this code. A new release has to be handed the keys by the old one."""

    MRSIGNER = "mrsigner"
    """Whatever this signer signs as this product, at this security version or a later one."""
