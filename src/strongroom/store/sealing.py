"""Sealed rows: what the store knows as values, the database sees as boxes under keyed hashes.

The associated data is the row's place and version, so a row moved, swapped or of another version does not open.
A whole older database does open: that is what the clients' views are for (docs/spec/vault-log.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.base import canonical
from strongroom.base.errors import StorageUnavailable
from strongroom.crypto.aead import OpenFailed, open_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from strongroom.store.ports import ReadTransaction, Table, WriteTransaction

__all__ = ["OpenedRow", "SealedRows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRow:
    """A row whose seal held in its place."""

    version: int
    value: bytes


class SealedRows:
    """Reads and writes sealed rows with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def get(self, transaction: ReadTransaction, table: Table, key: bytes) -> OpenedRow | None:
        """Read and open a row; ``None`` when there is none, ``StorageUnavailable`` when it does not open."""
        row = transaction.get(table, key)
        return None if row is None else self.open(table, key, row.version, row.value)

    def get_each(self, transaction: ReadTransaction, table: Table, keys: Sequence[bytes]) -> Iterator[OpenedRow]:
        """Read and open rows in the order of their keys. All of them must be there."""
        rows = transaction.get_many(table, keys)
        for key in keys:
            row = rows.get(key)
            if row is None:
                raise StorageUnavailable("a row that must exist is missing from the database", hint=_HINT)
            yield self.open(table, key, row.version, row.value)

    def insert(self, transaction: WriteTransaction, table: Table, key: bytes, value: bytes) -> None:
        """Seal and add a row; ``Conflict`` when there is one."""
        transaction.insert(table, key, self.seal(table, key, 1, value))

    def replace(
        self, transaction: WriteTransaction, table: Table, key: bytes, *, expected_version: int, value: bytes
    ) -> None:
        """Seal and swap a row in; ``Conflict`` unless its version is the expected one."""
        sealed = self.seal(table, key, expected_version + 1, value)
        transaction.replace(table, key, expected_version=expected_version, value=sealed)

    def seal(self, table: Table, key: bytes, version: int, value: bytes) -> bytes:
        """Seal a value for its place."""
        return seal(self._key, value, _place(table, key, version))

    def open(self, table: Table, key: bytes, version: int, sealed: bytes) -> OpenedRow:
        """Open a sealed value in its place, or raise ``StorageUnavailable``."""
        try:
            return OpenedRow(version=version, value=open_sealed(self._key, sealed, _place(table, key, version)))
        except OpenFailed:
            raise StorageUnavailable("a row of the database was altered and does not open", hint=_HINT) from None


_HINT = "restore the database from a backup; clients notice if that is older than what they have seen"


def _place(table: Table, key: bytes, version: int) -> bytes:
    return canonical.encode(["strongroom sealed row v1", str(table), key, version])
