"""The record store for more than one machine: any database that speaks PostgreSQL's protocol and serializes.

Write transactions are SERIALIZABLE and run beside each other, in any number of processes; those that get into each
other's way are undone by the database and raise ``Contended``, which the store answers by running them again. Reads
have a snapshot (REPEATABLE READ, READ ONLY). Only what the whole family has is used: no LISTEN, no advisory locks, no
sequences, no triggers, no extensions (docs/decisions/0010).
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import StorageUnavailable
from strongroom.storage.migrations.postgres import bring_forward, schema_version
from strongroom.storage.postgres_connections import Connections, DatabaseAddress, mapped
from strongroom.storage.rows import StoredRow, check_key, check_start, check_table, exists, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from psycopg import Connection

__all__ = ["PostgresRecordStore"]

_KEYS_PER_SELECT: Final = 1000
_BEGIN_READ: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"  # a snapshot begins with a query
_BEGIN_WRITE: Final = b"BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"


class _ReadTransaction:
    def __init__(self, connection: Connection[Any], subject: str) -> None:
        self._connection = connection
        self._subject = subject
        self._failed = False

    def check_whole(self) -> None:
        """Refuse to go on after a failure: the database has undone the transaction by then."""
        if self._failed:
            raise StorageUnavailable(f"{self._subject}: an earlier failure has undone the transaction")

    def get(self, table: str, key: bytes) -> StoredRow | None:
        statement = f"SELECT key, version, value FROM {check_table(table)} WHERE key = %b"  # noqa: S608 - a checked name
        return next((row for _, row in self._query(statement, (check_key(key),))), None)

    def get_many(self, table: str, keys: Iterable[bytes]) -> dict[bytes, StoredRow]:
        wanted = sorted({check_key(key) for key in keys})
        statement = f"SELECT key, version, value FROM {check_table(table)} WHERE key = ANY(%b)"  # noqa: S608
        found: dict[bytes, StoredRow] = {}
        for start in range(0, len(wanted), _KEYS_PER_SELECT):
            found.update(self._query(statement, (wanted[start : start + _KEYS_PER_SELECT],)))
        return found

    def scan(self, table: str, *, after: bytes, limit: int) -> list[tuple[bytes, StoredRow]]:
        statement = f"SELECT key, version, value FROM {check_table(table)} WHERE key > %b ORDER BY key LIMIT %b"  # noqa: S608
        return self._query(statement, (check_start(after), limit))

    def _query(self, statement: str, parameters: Sequence[object]) -> list[tuple[bytes, StoredRow]]:
        return [self._row(*columns) for columns in self._execute(statement, parameters)[0]]

    def _row(self, key: object, version: object, value: object) -> tuple[bytes, StoredRow]:
        if not (isinstance(key, bytes) and isinstance(version, int) and isinstance(value, bytes)):
            raise StorageUnavailable(f"{self._subject}: its tables were altered", hint="put back a backup")
        return key, StoredRow(version, value)

    def _execute(self, statement: str, parameters: Sequence[object]) -> tuple[list[Any], int]:
        """Give the rows of a statement and how many it changed."""
        self.check_whole()
        try:
            with mapped(self._subject):
                cursor = self._connection.execute(statement.encode(), parameters, binary=True)
                return cursor.fetchall() if cursor.description else [], cursor.rowcount
        except BaseException:
            self._failed = True
            raise


class _WriteTransaction(_ReadTransaction):
    def insert(self, table: str, key: bytes, value: bytes, *, version: int = 1) -> None:
        statement = f"INSERT INTO {check_table(table)} (key, version, value) VALUES (%b, %b, %b) ON CONFLICT DO NOTHING"  # noqa: S608
        if not self._change(statement, (check_key(key), version, value)):
            raise exists(table)

    def replace(self, table: str, key: bytes, *, expected_version: int, value: bytes) -> None:
        statement = f"UPDATE {check_table(table)} SET version = version + 1, value = %b WHERE key = %b AND version = %b"  # noqa: S608
        if not self._change(statement, (value, check_key(key), expected_version)):
            raise moved(table)

    def delete(self, table: str, key: bytes, *, expected_version: int) -> None:
        statement = f"DELETE FROM {check_table(table)} WHERE key = %b AND version = %b"  # noqa: S608
        if not self._change(statement, (check_key(key), expected_version)):
            raise moved(table)

    def _change(self, statement: str, parameters: Sequence[object]) -> bool:
        return self._execute(statement, parameters)[1] == 1


class PostgresRecordStore:
    """A record store in one database. Make it with ``create``, use it with ``open``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._subject = connections.subject
        self._thread = threading.local()

    @classmethod
    def create(cls, address: DatabaseAddress) -> PostgresRecordStore:
        """Make our tables in an existing database and open it; ``Misconfigured`` when ours are there already."""
        return cls._opened(address, new=True)

    @classmethod
    def open(cls, address: DatabaseAddress) -> PostgresRecordStore:
        """Open a database, bringing its schema forward when it is older.

        Raises ``Misconfigured`` when our tables are not there or of a version that this program does not know.
        """
        return cls._opened(address, new=False)

    @classmethod
    def exists(cls, address: DatabaseAddress) -> bool:
        """Tell whether a database has our tables."""
        connections = Connections(address)
        try:
            with connections.begun(_BEGIN_READ) as connection:
                return schema_version(connection, subject=connections.subject) > 0
        finally:
            connections.close()

    @classmethod
    def _opened(cls, address: DatabaseAddress, *, new: bool) -> PostgresRecordStore:
        connections = Connections(address)
        try:
            with connections.begun(_BEGIN_WRITE) as connection:
                bring_forward(connection, subject=connections.subject, new=new)
                _commit(connection, connections.subject)
        except BaseException:
            connections.close()
            raise
        return cls(connections)

    def read(self) -> AbstractContextManager[_ReadTransaction]:
        """Open a snapshot on a connection of its own."""
        return self._read()

    def write(self) -> AbstractContextManager[_WriteTransaction]:
        """Open a write transaction beside others; ``Contended`` when the database undoes it for another's sake."""
        return self._write()

    def close(self) -> None:
        """Let go of the database: idle connections now, used ones when their transaction ends."""
        if getattr(self._thread, "writes", False):
            raise RuntimeError("a write transaction is open in this thread")
        self._connections.close()

    @contextmanager
    def _read(self) -> Iterator[_ReadTransaction]:
        with self._connections.begun(_BEGIN_READ) as connection:
            yield _ReadTransaction(connection, self._subject)

    @contextmanager
    def _write(self) -> Iterator[_WriteTransaction]:
        if getattr(self._thread, "writes", False):
            raise RuntimeError("a thread has one write transaction at a time")
        with self._connections.begun(_BEGIN_WRITE) as connection:
            self._thread.writes = True
            try:
                transaction = _WriteTransaction(connection, self._subject)
                yield transaction
                transaction.check_whole()
                _commit(connection, self._subject)
            finally:
                self._thread.writes = False


def _commit(connection: Connection[Any], subject: str) -> None:
    # Commit point. A crash of either side before it leaves nothing: the database undoes what has no commit record.
    # When it returns, the record is flushed (Connections refuses sessions that would not wait for that). A connection
    # lost in between leaves all or nothing, and the caller has to look again.
    with mapped(subject):
        done = connection.execute(b"COMMIT").statusmessage
    if done != "COMMIT":  # a transaction that has failed ends by a rollback, and no error says so
        raise StorageUnavailable(f"{subject}: the transaction was undone")
