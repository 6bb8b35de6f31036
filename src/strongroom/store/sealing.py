"""Sealed rows: what the store knows as values, the database sees as boxes under keyed hashes.

A sealed value is a version byte, the key epoch in four bytes, and the box. The associated data is the row's place,
version and epoch, so a row moved, swapped or of another version does not open. A whole older database does open: that
is what the clients' views are for (docs/spec/vault-log.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from strongroom.base import canonical
from strongroom.base.errors import StorageUnavailable
from strongroom.crypto.aead import OpenFailed, open_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from strongroom.store.ports import ReadTransaction, Table, WriteTransaction

__all__ = ["OneKey", "OpenedRow", "SealedRows", "SealingKeys", "sealed_epoch"]

_FORMAT: Final = b"\x02"
_EPOCH_BYTES: Final = 4
_HEADER_BYTES: Final = len(_FORMAT) + _EPOCH_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRow:
    """A row whose seal held in its place."""

    version: int
    value: bytes


class SealingKeys(Protocol):
    """Keys by epoch: the newest seals, each opens what was sealed in its own."""

    def newest(self) -> tuple[int, bytes]:
        """Give the epoch and the key to seal with."""
        ...

    def of(self, epoch: int) -> bytes | None:
        """Give the key of an epoch, or ``None``."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class OneKey:
    """The key of one epoch, and no other."""

    key: bytes
    epoch: int = 1

    def newest(self) -> tuple[int, bytes]:
        """Give it."""
        return self.epoch, self.key

    def of(self, epoch: int) -> bytes | None:
        """Give it for its own epoch."""
        return self.key if epoch == self.epoch else None


class SealedRows:
    """Reads and writes sealed rows with the keys of one branch."""

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys

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
        """Seal a value for its place, in the newest epoch."""
        epoch, sealing = self._keys.newest()
        header = _FORMAT + epoch.to_bytes(_EPOCH_BYTES, "big")
        return header + seal(sealing, value, _place(table, key, version, epoch))

    def open(self, table: Table, key: bytes, version: int, sealed: bytes) -> OpenedRow:
        """Open a sealed value in its place, or raise ``StorageUnavailable``."""
        epoch = sealed_epoch(sealed)
        if epoch is None:
            raise _altered()
        opening = self._keys.of(epoch)
        if opening is None:
            raise StorageUnavailable(
                f"a row of the database was sealed in epoch {epoch}, whose key this instance does not have",
                hint="after a rotation, instances on other machines join again (`strongroom join`)",
            )
        try:
            value = open_sealed(opening, sealed[_HEADER_BYTES:], _place(table, key, version, epoch))
        except OpenFailed:
            raise _altered() from None
        return OpenedRow(version=version, value=value)


_HINT = "restore the database from a backup; clients notice if that is older than what they have seen"


def sealed_epoch(sealed: bytes) -> int | None:
    """Give the epoch that a sealed value names; ``None`` for what is no sealed row. Nothing is checked by it."""
    if len(sealed) < _HEADER_BYTES or not sealed.startswith(_FORMAT):
        return None
    return int.from_bytes(sealed[len(_FORMAT) : _HEADER_BYTES], "big")


def _altered() -> StorageUnavailable:
    return StorageUnavailable("a row of the database was altered and does not open", hint=_HINT)


def _place(table: Table, key: bytes, version: int, epoch: int) -> bytes:
    return canonical.encode(["strongroom sealed row v2", str(table), key, version, epoch])
