"""A record store that fails when told to: before anything persisted, or after everything did.

The two sides look the same to the caller and differ in what is there afterwards. Whoever writes through a record
store is tested against both.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from strongroom.base.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction

__all__ = ["FailingRecordStore", "Fault"]


class Fault(StrEnum):
    """Where a write fails."""

    BEFORE_PERSIST = "before"
    """The transaction is undone, as by a full disk."""
    AFTER_PERSIST = "after"
    """The transaction is durable, but the caller is told that it failed, as by a connection lost during the commit."""


class FailingRecordStore:
    """Passes everything on to ``inner``, except for the writes that are to fail."""

    def __init__(self, inner: RecordStore) -> None:
        self._inner = inner
        self._faults: dict[int, Fault] = {}
        self._reads_fail = False
        self.writes = 0
        """How many write transactions have come to their commit."""

    def fail_write(self, number: int, fault: Fault) -> None:
        """Make the write transaction ``number`` from now on fail; 0 is the next one."""
        self._faults[self.writes + number] = fault

    def fail_reads(self, *, fail: bool = True) -> None:
        """Make every read transaction fail at its beginning, until told otherwise."""
        self._reads_fail = fail

    def read(self) -> AbstractContextManager[ReadTransaction]:
        """Open a snapshot of ``inner``."""
        if self._reads_fail:
            raise StorageUnavailable("a read failed, as the test wants")
        return self._inner.read()

    def write(self) -> AbstractContextManager[WriteTransaction]:
        """Open the write transaction of ``inner``; leaving it may fail."""
        return self._write()

    def close(self) -> None:
        """Close ``inner``."""
        self._inner.close()

    @contextmanager
    def _write(self) -> Iterator[WriteTransaction]:
        with self._inner.write() as transaction:
            yield transaction
            fault = self._faults.pop(self.writes, None)
            self.writes += 1
            if fault is Fault.BEFORE_PERSIST:
                raise StorageUnavailable("a write failed before it persisted, as the test wants")
        if fault is Fault.AFTER_PERSIST:
            raise StorageUnavailable("a write failed after it persisted, as the test wants")
