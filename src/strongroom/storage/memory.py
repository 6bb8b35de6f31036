"""A record store that forgets everything at its end: for tests, and to keep the conformance suite honest."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.base.errors import StorageUnavailable
from strongroom.storage.rows import StoredRow, check_key, check_start, check_table, exists, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MemoryRecordStore"]

_Rows = dict[tuple[str, bytes], StoredRow]


class _ReadTransaction:
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def get(self, table: str, key: bytes) -> StoredRow | None:
        return self._rows.get((check_table(table), check_key(key)))

    def get_many(self, table: str, keys: Iterable[bytes]) -> dict[bytes, StoredRow]:
        return {key: row for key in keys if (row := self.get(table, key)) is not None}

    def scan(self, table: str, *, after: bytes, limit: int) -> list[tuple[bytes, StoredRow]]:
        name, start = check_table(table), check_start(after)
        return sorted(
            ((key, row) for (where, key), row in self._rows.items() if where == name and key > start),
            key=lambda found: found[0],
        )[:limit]


class _WriteTransaction(_ReadTransaction):
    def insert(self, table: str, key: bytes, value: bytes, *, version: int = 1) -> None:
        if self.get(table, key) is not None:
            raise exists(table)
        self._rows[str(table), key] = StoredRow(version, bytes(value))

    def replace(self, table: str, key: bytes, *, expected_version: int, value: bytes) -> None:
        row = self.get(table, key)
        if row is None or row.version != expected_version:
            raise moved(table)
        self._rows[str(table), key] = StoredRow(expected_version + 1, bytes(value))

    def delete(self, table: str, key: bytes, *, expected_version: int) -> None:
        row = self.get(table, key)
        if row is None or row.version != expected_version:
            raise moved(table)
        del self._rows[str(table), key]


class MemoryRecordStore:
    """Rows in a dictionary. A writer works on a copy, so a reader's dictionary never changes under it."""

    def __init__(self) -> None:
        self._rows: _Rows = {}
        self._turn = threading.Lock()
        self._writer: int | None = None
        self._closed = False

    @contextmanager
    def read(self) -> Iterator[_ReadTransaction]:
        """Open a snapshot."""
        self._check_open()
        yield _ReadTransaction(self._rows)

    @contextmanager
    def write(self) -> Iterator[_WriteTransaction]:
        """Open the write transaction."""
        self._check_open()
        if self._writer == threading.get_ident():
            raise RuntimeError("a thread has one write transaction at a time")
        with self._turn:
            self._writer = threading.get_ident()
            try:
                copy = dict(self._rows)
                yield _WriteTransaction(copy)
                self._rows = copy
            finally:
                self._writer = None

    def close(self) -> None:
        """Refuse further transactions."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailable("the record store is closed")
