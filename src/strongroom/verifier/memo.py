"""A memory for pure functions of bytes: signatures already found good, structures already read.

It cannot change a verdict: what is remembered depends on the bytes alone. Dates, revocation and policy are judged
anew each time. Only good signatures and chains without objection are remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Memo"]

T = TypeVar("T")


class Memo:
    """Holds at most ``capacity`` answers over at most ``max_bytes`` of input; capacity 0 remembers nothing."""

    __slots__ = ("_answers", "_bytes", "_lock", "capacity", "max_bytes")

    def __init__(self, *, capacity: int, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.capacity = capacity
        self.max_bytes = max_bytes
        self._answers: OrderedDict[tuple[object, ...], object] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def parsed(self, what: str, data: bytes, *, read: Callable[[bytes], T]) -> T:
        """Give ``read(data)``; what it raises is passed on and not remembered. ``what`` names the reader."""
        key = (what, data)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return cast("T", self._answers[key])
        value = read(data)
        self._store(key, value)
        return value

    def holds(self, what: str, *content: bytes, check: Callable[[], bool]) -> bool:
        """Give ``check()``, remembered only when it is true; ``what`` and ``content`` decide its answer alone."""
        key = (what, *content)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return True
        good = check()
        if good:
            self._store(key, True)
        return good

    def lasting(self, content: tuple[object, ...], judge: Callable[[], tuple[T | None, bool]]) -> T | None:
        """Give the first of what ``judge()`` gives, remembered only when the second is true.

        ``content`` decides the answer alone, and no instant does.
        """
        key = ("judged", *content)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return cast("T | None", self._answers[key])
        value, clean = judge()
        if clean:
            self._store(key, value)
        return value

    def _store(self, key: tuple[object, ...], value: object) -> None:
        if not self.capacity:
            return
        with self._lock:
            if key not in self._answers:
                self._bytes += _size(key)
            self._answers[key] = value
            while len(self._answers) > self.capacity or self._bytes > self.max_bytes:
                oldest, _ = self._answers.popitem(last=False)
                self._bytes -= _size(oldest)


def _size(key: tuple[object, ...]) -> int:
    return sum(len(part) for part in key if isinstance(part, bytes))
