"""A memory for pure functions of bytes: signatures already found good, structures already read.

It cannot change a verdict: what is remembered depends on the bytes alone, and dates and policy are judged anew each
time. Of judgements only those without objection are remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Memo", "Scratch"]

T = TypeVar("T")


class Memo:
    """Holds at most ``capacity`` answers over at most ``max_bytes`` of input; capacity 0 remembers nothing.

    ``behind`` is a memory that is asked too and never added to: for work whose answers are not worth keeping in it.
    """

    __slots__ = ("_answers", "_behind", "_bytes", "_lock", "capacity", "max_bytes")

    def __init__(self, *, capacity: int, max_bytes: int = 64 * 1024 * 1024, behind: Memo | None = None) -> None:
        self.capacity = capacity
        self.max_bytes = max_bytes
        self._behind = behind
        self._answers: OrderedDict[tuple[object, ...], tuple[object, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, key: tuple[object, ...]) -> object | None:
        """Give the answer that was kept under a key, or ``None``."""
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
                return found[0]
        return None if self._behind is None else self._behind.find(key)

    def keep(self, key: tuple[object, ...], value: object, *, size: int | None = None) -> None:
        """Keep an answer that ``key`` decides alone and no instant changes.

        ``size`` is what it counts, in bytes; without it, what the bytes in the key have.
        """
        if not self.capacity:
            return
        if size is None:
            size = sum(len(part) for part in key if isinstance(part, bytes))
        with self._lock:
            if key in self._answers:
                return
            self._answers[key] = value, size
            self._bytes += size
            while len(self._answers) > self.capacity or self._bytes > self.max_bytes:
                _, (_, freed) = self._answers.popitem(last=False)
                self._bytes -= freed

    def parsed(self, what: str, data: bytes, *, read: Callable[[bytes], T]) -> T:
        """Give ``read(data)``; what it raises is passed on and not remembered. ``what`` names the reader."""
        key = (what, data)
        found = self.find(key)
        if found is not None:
            return cast("T", found)
        value = read(data)
        self.keep(key, value)
        return value

    def holds(self, what: str, *content: bytes, check: Callable[[], bool]) -> bool:
        """Give ``check()``, remembered only when it is true; ``what`` and ``content`` decide its answer alone."""
        key = (what, *content)
        if self.find(key) is not None:
            return True
        good = check()
        if good:
            self.keep(key, True)
        return good

    def lasting(self, content: tuple[object, ...], judge: Callable[[], tuple[T | None, bool]]) -> T | None:
        """Give the first of what ``judge()`` gives, remembered only when the second is true.

        ``content`` decides the answer alone, and no instant does.
        """
        key = ("judged", *content)
        found = self.find(key)
        if found is not None:
            return cast("T", found)
        value, clean = judge()
        if clean:
            self.keep(key, value)
        return value


class Scratch(Memo):
    """The memory of one call: nobody else asks it and it ends with the call, so it has no lock and no limits."""

    __slots__ = ("_kept",)

    def __init__(self, *, behind: Memo | None = None) -> None:
        super().__init__(capacity=0, behind=behind)
        self._kept: dict[tuple[object, ...], object] = {}

    def find(self, key: tuple[object, ...]) -> object | None:
        """Give the answer that was kept under a key here or behind, or ``None``."""
        found = self._kept.get(key)
        return found if found is not None or self._behind is None else self._behind.find(key)

    def keep(self, key: tuple[object, ...], value: object, *, size: int | None = None) -> None:
        """Keep an answer."""
        self._kept[key] = value
