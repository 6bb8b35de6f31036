"""The counter outside the database on which guess limits hang: chosen at ``init``, found again at ``serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.store.freshness import FreshnessAnchor

__all__ = ["bound_counter", "new_counter"]

_PLATFORM: Final = "platform"
_NONE: Final = "none"


def new_counter(choice: str, platform: Path) -> FreshnessAnchor | None:
    """Make the counter of a new deployment, or give ``None`` where it is to have none."""
    match choice:
        case "platform":
            return SimulatedCounter.create(platform)
        case "none":
            return None
    raise _unknown()


def bound_counter(bound: bytes | None, platform: Path) -> FreshnessAnchor | None:
    """Open the counter that a deployment is bound to."""
    return None if bound is None else SimulatedCounter.open(platform, bound)


def _unknown() -> Misconfigured:
    return Misconfigured(f"--counter is {_PLATFORM} or {_NONE}", setting="counter")
