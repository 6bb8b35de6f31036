"""A counter in memory, for tests: the value, a clock that the test sets, and failures on demand."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from strongroom.base.errors import AnchorMoved, AnchorUnavailable

__all__ = ["MemoryAnchor", "Reading"]


@dataclass(frozen=True)
class Reading:
    value: int
    elapsed_ms: int | None = None


@dataclass
class MemoryAnchor:
    """Implements ``store.freshness.FreshnessAnchor``. ``fail`` is ``"before"`` or ``"after"`` the counter moves."""

    anchor_id: bytes = field(default_factory=lambda: os.urandom(32))
    value: int = 0
    elapsed_ms: int | None = None
    fail: str | None = None
    advances: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def read(self) -> Reading:
        if self.fail:
            raise AnchorUnavailable("the counter is out of reach")
        return Reading(self.value, self.elapsed_ms)

    def advance(self, expected: int) -> Reading:
        with self._lock:
            if self.fail == "before":
                raise AnchorUnavailable("the counter is out of reach")
            if self.value != expected:
                raise AnchorMoved(f"the counter is at {self.value}, not at {expected}")
            self.value += 1
            self.advances += 1
            if self.fail == "after":
                raise AnchorUnavailable("the counter does not answer")
            return Reading(self.value, self.elapsed_ms)
