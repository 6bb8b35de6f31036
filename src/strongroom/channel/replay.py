"""A sliding window over message numbers: each is accepted once, in nearly any order (as RFC 4303 section 3.4.3)."""

from __future__ import annotations

from typing import Final

__all__ = ["WINDOW", "ReplayWindow"]

WINDOW: Final = 1024  # how far a message may lag behind the newest; more than a client has in flight


class ReplayWindow:
    """Remembers which of the newest ``WINDOW`` numbers were seen. Constant memory."""

    __slots__ = ("_next", "_seen")

    def __init__(self) -> None:
        self._next = 0  # the smallest number above every number seen
        self._seen = 0  # bit i stands for number _next - 1 - i

    def may_accept(self, number: int) -> bool:
        """Tell whether ``number`` is new and not too old. Nothing is remembered yet."""
        age = self._next - 1 - number
        return age < 0 or (age < WINDOW and not self._seen >> age & 1)

    def accept(self, number: int) -> None:
        """Remember ``number``, once its message has proven to be genuine."""
        age = self._next - 1 - number
        if age < 0:
            # a leap is cut to the window first: a client may choose any number, our memory may not grow with it
            self._seen = (self._seen << min(-age, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self._next = number + 1
        else:
            self._seen |= 1 << age
