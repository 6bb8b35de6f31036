"""What the store asks of a database. The database is outside the enclave and is not believed.

It sees keyed-hash identifiers and sealed values, nothing else: sealing and opening are done by the store. It can
lose rows or put old ones back; sealed values that carry their place and version, and the clients' views, make that
visible (docs/spec/vault-log.md). Adapters are in ``strongroom.storage`` and satisfy this structurally;
``tests/conformance`` holds each of them to it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

__all__ = ["KEY_BYTES", "ReadTransaction", "RecordStore", "Row", "Table", "WriteTransaction"]

KEY_BYTES: Final = 32
"""The length of every key: a keyed hash of the identifier that the store knows."""


class Table(StrEnum):
    """Where a row lives."""

    DEPLOYMENT = "deployment"
    ACCOUNTS = "accounts"
    VAULTS = "vaults"
    ENTRIES = "entries"
    GUESSES = "guesses"
    FACTORS = "factors"
    AUDIT = "audit"


class Row(Protocol):
    """One row: ``version`` is 1 after the insert and one more after each replacement; ``value`` is sealed."""

    @property
    def version(self) -> int:
        """The number that a compare-and-swap compares."""
        ...

    @property
    def value(self) -> bytes:
        """The sealed value."""
        ...


class ReadTransaction(Protocol):
    """A view of the database as it was at one moment."""

    def get(self, table: Table, key: bytes) -> Row | None:
        """Give one row, or ``None``."""
        ...

    def get_many(self, table: Table, keys: Iterable[bytes]) -> Mapping[bytes, Row]:
        """Give the rows there are among ``keys``, by key; meant for thousands of keys at once."""
        ...

    def scan(self, table: Table, *, after: bytes, limit: int) -> Sequence[tuple[bytes, Row]]:
        """Give at most ``limit`` rows in the order of their keys, from the first one beyond ``after`` on.

        Empty bytes come before all keys. For work on a whole table: backups, sealing anew.
        """
        ...


class WriteTransaction(ReadTransaction, Protocol):
    """Changes that become durable together or not at all. Reads see them at once; others see them after the commit."""

    def insert(self, table: Table, key: bytes, value: bytes, *, version: int = 1) -> None:
        """Add a row; ``Conflict`` when the key has one. Only what puts a backup back names another version than 1."""
        ...

    def replace(self, table: Table, key: bytes, *, expected_version: int, value: bytes) -> None:
        """Compare and swap: set the value, add one to the version; ``Conflict`` unless the version is the expected."""
        ...

    def delete(self, table: Table, key: bytes, *, expected_version: int) -> None:
        """Remove a row; ``Conflict`` unless it is there with this version. A later insert starts at 1 again."""
        ...


class RecordStore(Protocol):
    """A database. Synchronous; called from several threads at once, each transaction from one of them.

    Every method, and leaving a transaction, raises ``StorageUnavailable`` when the database cannot be read or
    written.
    """

    def read(self) -> AbstractContextManager[ReadTransaction]:
        """Open a snapshot of what is committed now. It neither waits for a writer nor holds one up."""
        ...

    def write(self) -> AbstractContextManager[WriteTransaction]:
        """Open a write transaction; a database with one writer at a time waits for its turn.

        What transactions do is as if one had come after the other (serializable). Where they run beside each other,
        any call and the leaving of the block can raise ``Contended``: the database has undone this transaction for
        another's sake, nothing of it is there, and running it again may succeed. ``store.transactions.transact`` does
        that and is how the store writes.

        Leaving the block commits durably: what was written is there after a crash that follows. Leaving it by an
        exception of any kind undoes everything. When the commit itself raises, nothing is half-applied, but
        whether all or nothing was is not known until the rows are read again.
        """
        ...

    def close(self) -> None:
        """Let go of the database. Closing twice is allowed."""
        ...
