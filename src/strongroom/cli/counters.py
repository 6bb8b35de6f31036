"""The counter outside the database on which guess limits hang: chosen at ``init``, found again at ``serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.attesters.tpm import DEFAULT_INDEX, TpmCounter
from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from strongroom.store.freshness import FreshnessAnchor

__all__ = ["bound_counter", "new_counter"]

_PLATFORM: Final = "platform"
_NONE: Final = "none"


def new_counter(choice: str, platform: Path) -> FreshnessAnchor | None:
    """Make the counter of a new deployment, or give ``None`` where it is to have none."""
    if choice == _NONE:
        return None
    if choice == "quorum":
        raise Misconfigured(
            "a quorum is founded among running instances",
            setting="counter",
            hint="make the deployment with --counter none, start its instances, then `strongroom quorum found`",
        )
    if choice == _PLATFORM:
        return SimulatedCounter.create(platform)
    return TpmCounter.create(*_tpm(choice))


def bound_counter(choice: str | None, platform: Path, bound: bytes | None) -> FreshnessAnchor | None:
    """Open the counter that a deployment is bound to. ``choice`` says where it is, for a counter in a TPM."""
    if choice not in {None, _NONE, _PLATFORM}:
        return TpmCounter(*_tpm(choice or ""))
    return None if bound is None else SimulatedCounter.open(platform, bound)


def _tpm(choice: str) -> tuple[Path, int]:
    """Read ``tpm:PATH`` or ``tpm:PATH@INDEX``."""
    kind, _, place = choice.partition(":")
    path, at, index = place.partition("@")
    try:
        number = int(index, 16) if at else DEFAULT_INDEX
    except ValueError:
        number = -1
    if kind != "tpm" or not path or not 0x01000000 <= number < 0x02000000:
        raise Misconfigured(
            "a counter is platform, none, tpm:PATH or tpm:PATH@INDEX",
            setting="counter",
            hint="PATH is /dev/tpmrm0 or a software TPM's socket; INDEX is an NV index such as 01805352",
        )
    return Path(path), number
