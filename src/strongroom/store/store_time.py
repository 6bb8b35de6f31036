"""The store's own time: it passes while a store runs, and only then.

The date is the host's to set, so none goes in here. What counts is the monotonic clock of the running process and,
where the counter outside the database has a clock of its own, whichever of the two ran less.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Moment", "StoreTime", "passed_ms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment on the process's monotonic clock and, where there is one, on the anchor's; both in milliseconds."""

    monotonic_ms: int
    anchor_ms: int | None


def passed_ms(since: Moment, now: Moment) -> int:
    """Give how much time has certainly passed between two moments."""
    passed = max(0, now.monotonic_ms - since.monotonic_ms)
    if since.anchor_ms is None:
        return passed
    if now.anchor_ms is None:  # an anchor that has lost its clock grants nothing
        return 0
    # an anchor that was restarted began again at 0: what it shows now has passed since
    by_anchor = now.anchor_ms - since.anchor_ms if now.anchor_ms >= since.anchor_ms else now.anchor_ms
    return min(passed, by_anchor)


class StoreTime:
    """Carries the time from one state to the next within a process.

    Several instances share a state: each adds what has passed since *it* last knew the time, and the greatest counts,
    so that two instances never add the same hour twice.
    """

    def __init__(self) -> None:
        self._known: tuple[int, Moment] | None = None

    def now(self, kept_ms: int, moment: Moment) -> int:
        """Give the time at a moment, when the state in hand says ``kept_ms``."""
        now = kept_ms
        if self._known is not None:
            known_ms, since = self._known
            now = max(now, known_ms + passed_ms(since, moment))
        self._known = (now, moment)
        return now
