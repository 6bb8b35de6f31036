"""The embedded default of the record store: one SQLite file, through the standard library's module.

Write-ahead log with ``synchronous = FULL``: readers have their snapshot while a writer works, and each commit is one
flush of the log (docs/decisions/0003). Threads share an adapter: one writer connection behind a lock, reader
connections in a pool, each used by one thread at a time. A second process on the same file is safe: SQLite's locks
make the writers take turns and compare-and-swap finds what went by in between.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import Misconfigured, StorageUnavailable
from strongroom.storage.failures import storage_unavailable
from strongroom.storage.files import make_private_directory, new_private_file
from strongroom.storage.migrations import migrate
from strongroom.storage.migrations.records import APPLICATION_ID, STEPS
from strongroom.storage.rows import StoredRow, check_key, check_start, check_table, exists, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["SqliteRecordStore"]

_OLDEST_SQLITE: Final = (3, 37, 0)  # STRICT tables
_KEYS_PER_SELECT: Final = 250  # old builds of SQLite allow 999 parameters; longer statements are no faster
_IDLE_READERS: Final = 8


class _ReadTransaction:
    def __init__(self, connection: sqlite3.Connection, subject: str) -> None:
        self._connection = connection
        self._subject = subject
        self._failed = False

    def check_whole(self) -> None:
        """Refuse to go on after a failure.

        A full disk can make the library end a transaction by itself; a caller who went on would then commit each
        further statement alone.
        """
        if self._failed:
            raise StorageUnavailable(f"{self._subject}: an earlier failure has undone the transaction")

    def get(self, table: str, key: bytes) -> StoredRow | None:
        statement = f"SELECT key, version, value FROM {check_table(table)} WHERE key = ?"  # noqa: S608 - a checked name
        return next((row for _, row in self._query(statement, (check_key(key),))), None)

    def get_many(self, table: str, keys: Iterable[bytes]) -> dict[bytes, StoredRow]:
        # in key order, so that neighbours in the index are read together
        wanted = sorted({check_key(key) for key in keys})
        found: dict[bytes, StoredRow] = {}
        for start in range(0, len(wanted), _KEYS_PER_SELECT):
            chunk = wanted[start : start + _KEYS_PER_SELECT]
            marks = ",".join("?" * len(chunk))
            statement = f"SELECT key, version, value FROM {check_table(table)} WHERE key IN ({marks})"  # noqa: S608
            found.update(self._query(statement, chunk))
        return found

    def scan(self, table: str, *, after: bytes, limit: int) -> list[tuple[bytes, StoredRow]]:
        statement = f"SELECT key, version, value FROM {check_table(table)} WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608
        return self._query(statement, (check_start(after), limit))

    def _query(self, statement: str, parameters: Sequence[bytes | int]) -> list[tuple[bytes, StoredRow]]:
        return [self._row(*columns) for columns in self._execute(statement, parameters)[0]]

    def _row(self, key: object, version: object, value: object) -> tuple[bytes, StoredRow]:
        # STRICT holds for what is written through SQLite; what is found in a file may be anything
        if not (isinstance(key, bytes) and isinstance(version, int) and isinstance(value, bytes)):
            raise StorageUnavailable(f"{self._subject}: the file is damaged", hint="put back a backup")
        return key, StoredRow(version, value)

    def _execute(self, statement: str, parameters: Sequence[bytes | int]) -> tuple[list[Any], int]:
        """Give the rows of a statement and how many it changed."""
        self.check_whole()
        try:
            with _mapped(self._subject):
                cursor = self._connection.execute(statement, parameters)
                return cursor.fetchall(), cursor.rowcount
        except BaseException:
            self._failed = True
            raise


class _WriteTransaction(_ReadTransaction):
    def insert(self, table: str, key: bytes, value: bytes, *, version: int = 1) -> None:
        statement = f"INSERT INTO {check_table(table)} (key, version, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608
        if not self._change(statement, (check_key(key), version, value)):
            raise exists(table)

    def replace(self, table: str, key: bytes, *, expected_version: int, value: bytes) -> None:
        statement = f"UPDATE {check_table(table)} SET version = version + 1, value = ? WHERE key = ? AND version = ?"  # noqa: S608
        if not self._change(statement, (value, check_key(key), expected_version)):
            raise moved(table)

    def delete(self, table: str, key: bytes, *, expected_version: int) -> None:
        statement = f"DELETE FROM {check_table(table)} WHERE key = ? AND version = ?"  # noqa: S608
        if not self._change(statement, (check_key(key), expected_version)):
            raise moved(table)

    def _change(self, statement: str, parameters: Sequence[bytes | int]) -> bool:
        return self._execute(statement, parameters)[1] == 1


class SqliteRecordStore:
    """A record store in one file. Make it with ``create``, use it with ``open``; the constructor is for those two."""

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self._path = path
        self._subject = f"the database {path}"
        self._busy_seconds = busy_seconds
        self._turn = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._writing_thread: int | None = None
        self._pool = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False

    @classmethod
    def create(cls, path: Path, *, busy_seconds: float = 5.0) -> SqliteRecordStore:
        """Make a new database with mode 0600 and open it; ``Misconfigured`` when there is something already."""
        make_private_directory(path.parent)
        _check_library()
        subject = f"the database {path}"
        with new_private_file(path, subject=subject) as unfinished, _mapped(subject):
            connection = _connect(unfinished, busy_seconds)
            try:
                migrate(connection, STEPS, application_id=APPLICATION_ID, subject=subject, new=True)
            finally:
                connection.close()
        return cls.open(path, busy_seconds=busy_seconds)

    @classmethod
    def open(cls, path: Path, *, busy_seconds: float = 5.0) -> SqliteRecordStore:
        """Open a database, bringing its schema forward when it is older.

        ``busy_seconds`` is how long a write waits for its turn before ``StorageUnavailable``. Raises
        ``Misconfigured`` when there is no database, or one that this program does not know.
        """
        _check_library()
        if not path.exists():
            raise Misconfigured(
                f"there is no database at {path}",
                setting="database",
                hint="make one first; an empty one is never made in silence, for it would look like a lost one",
            )
        store = cls(path, busy_seconds=busy_seconds)
        try:
            with _mapped(store._subject):
                store._writer = _connect(path, busy_seconds)
                migrate(store._writer, STEPS, application_id=APPLICATION_ID, subject=store._subject)
                _use_log(store._writer, path)  # only now: somebody else's database is left exactly as it is
        except BaseException:
            store.close()
            raise
        return store

    def read(self) -> AbstractContextManager[_ReadTransaction]:
        """Open a snapshot on a connection of its own."""
        return self._read()

    def write(self) -> AbstractContextManager[_WriteTransaction]:
        """Open the write transaction; ``StorageUnavailable`` when its turn does not come in ``busy_seconds``."""
        return self._write()

    def close(self) -> None:
        """Wait for the writer and let go of the file. The log is folded into the database by the last to leave."""
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a write transaction is open in this thread")
        with self._turn, self._pool:
            self._closed = True
            connections = [*self._readers, *([self._writer] if self._writer else [])]
            self._readers, self._writer = [], None
        for connection in connections:
            with suppress(sqlite3.Error):  # nothing is lost: commits are in the log already
                connection.close()

    @contextmanager
    def _read(self) -> Iterator[_ReadTransaction]:
        with _mapped(self._subject):
            connection = self._take_reader()
        try:
            with _mapped(self._subject):
                connection.execute("BEGIN")
                connection.execute("SELECT 1 FROM sqlite_schema").fetchone()  # the snapshot is of this moment
            yield _ReadTransaction(connection, self._subject)
        finally:
            if _rollback(connection):
                self._return_reader(connection)

    @contextmanager
    def _write(self) -> Iterator[_WriteTransaction]:
        if self._writing_thread == threading.get_ident():
            raise RuntimeError("a thread has one write transaction at a time")
        if not self._turn.acquire(timeout=self._busy_seconds):
            raise StorageUnavailable(f"{self._subject}: a write did not get its turn", retry_after_seconds=1.0)
        self._writing_thread = threading.get_ident()
        try:
            self._check_open()
            with _mapped(self._subject):
                connection = self._writer = self._writer or _connect(self._path, self._busy_seconds)
                connection.execute("BEGIN IMMEDIATE")
            try:
                transaction = _WriteTransaction(connection, self._subject)
                yield transaction
                transaction.check_whole()
                # Commit point. A crash before it leaves the log with frames that no commit record closes, and they are
                # ignored. FULL flushes the log before this returns, so a crash after it leaves the transaction. If
                # the flush itself fails, this raises and the rows are as before for everyone; but should the machine
                # then crash before the next commit overwrites the frames, they may be found complete: all or
                # nothing, and the caller has to look again.
                with _mapped(self._subject):
                    connection.execute("COMMIT")
            except BaseException:
                if not _rollback(connection):
                    self._writer = None  # a connection that cannot go back is not used again
                raise
        finally:
            self._writing_thread = None
            self._turn.release()

    def _take_reader(self) -> sqlite3.Connection:
        with self._pool:
            self._check_open()
            if self._readers:
                return self._readers.pop()
        return _connect(self._path, self._busy_seconds)

    def _return_reader(self, connection: sqlite3.Connection) -> None:
        with self._pool:
            if not self._closed and len(self._readers) < _IDLE_READERS:
                self._readers.append(connection)
                return
        connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"{self._subject} is closed")


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    # mode=rw never makes a file; threads hand connections on, but two never use one at the same time
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,  # transactions are begun and ended by our own statements
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        connection.execute("PRAGMA trusted_schema = OFF")  # whoever writes the file could add functions to its schema
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_log(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise Misconfigured(f"the file system of {path} does not support a write-ahead log")


def _rollback(connection: sqlite3.Connection) -> bool:
    """End a transaction without effect; close the connection and tell so when that fails."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            connection.close()
        return False
    return True


def _check_library() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(map(str, _OLDEST_SQLITE))
        raise Misconfigured(f"this Python brings SQLite {sqlite3.sqlite_version}; at least {oldest} is needed")


@contextmanager
def _mapped(subject: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # a value of the wrong type or a connection used wrongly: a mistake in a program, not in the world
    except sqlite3.Error as cause:
        raise storage_unavailable(subject, cause) from cause
