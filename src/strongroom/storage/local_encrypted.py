"""The client's local database: SQLCipher pages around values that are sealed one by one.

Two layers, because they stop different things (docs/decisions/0004). SQLCipher hides kinds, keys, counts and sizes
from whoever gets the file. Each value is also sealed for its kind and key under a key that never enters SQLCipher,
so that a fault in that library or in its build does not open values or let one stand in for another. Neither layer
notices when the whole file is put back to an older copy: the vault's log does (docs/spec/vault-log.md).
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from sqlcipher3 import dbapi2 as sqlcipher

from strongroom.base.errors import Misconfigured, StorageUnavailable
from strongroom.crypto.aead import OpenFailed, open_sealed, seal
from strongroom.crypto.kdf import KEY_BYTES, derive
from strongroom.storage.failures import primary_code, storage_unavailable
from strongroom.storage.files import make_private_directory, new_private_file
from strongroom.storage.migrations import migrate
from strongroom.storage.migrations.local import APPLICATION_ID, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["EncryptedLocalStore", "create_local_store", "open_local_store"]

_DATABASE_LABEL: Final = "strongroom v1 local database"
_VALUES_LABEL: Final = "strongroom v1 local values"
_MAX_KEY_BYTES: Final = 64
_NOTADB: Final = 26  # SQLITE_NOTADB: what SQLCipher says when the first page does not authenticate


def create_local_store(path: Path, key: bytes, *, busy_seconds: float = 5.0) -> EncryptedLocalStore:
    """Make a new local database with mode 0600, in a directory with mode 0700 if that is new too, and open it.

    ``key`` is 32 bytes. Raises ``Misconfigured`` when there is something at ``path`` already.
    """
    _check_key(key)
    make_private_directory(path.parent)
    subject = _subject(path)
    with new_private_file(path, subject=subject) as unfinished, _mapped(subject):
        connection = _connect(unfinished, key, busy_seconds)
        try:
            migrate(connection, STEPS, application_id=APPLICATION_ID, subject=subject, new=True)
        finally:
            connection.close()
    return open_local_store(path, key, busy_seconds=busy_seconds)


def open_local_store(path: Path, key: bytes, *, busy_seconds: float = 5.0) -> EncryptedLocalStore:
    """Open a local database and hold it alone until it is closed.

    ``busy_seconds`` is how long to wait for another process to let go of it. Raises ``Misconfigured`` when there is
    none, ``StorageUnavailable`` when the key is wrong, the file is damaged or somebody else has it.
    """
    _check_key(key)
    subject = _subject(path)
    if not path.exists():
        raise Misconfigured(f"there is no local database at {path}", hint="register or log in on this device first")
    with _mapped(subject, opening=True):
        connection = _connect(path, key, busy_seconds)
        try:
            migrate(connection, STEPS, application_id=APPLICATION_ID, subject=subject)
            connection.execute("PRAGMA journal_mode = WAL")  # only now: what is not ours is left as it is
        except BaseException:
            connection.close()
            raise
    return EncryptedLocalStore(connection, derive(key, _VALUES_LABEL), subject)


class EncryptedLocalStore:
    """The ``LocalStore`` of a client. Made by ``create_local_store`` and ``open_local_store``."""

    def __init__(self, connection: Any, values_key: bytes, subject: str) -> None:
        self._connection = connection
        self._values_key = values_key
        self._subject = subject
        self._turn = threading.RLock()
        self._in_transaction = False
        self._failed = False
        self._closed = False

    def transaction(self) -> AbstractContextManager[None]:
        """Make the changes in the block atomic and durable; other threads wait."""
        return self._transaction()

    def get(self, kind: str, key: bytes) -> bytes | None:
        """Give one value, or ``None``."""
        with self._turn:
            rows = self._execute("SELECT value FROM items WHERE kind = ? AND key = ?", kind, key)
        return self._open(kind, key, rows[0][0]) if rows else None

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Set a value."""
        if len(key) > _MAX_KEY_BYTES:
            raise ValueError(f"a key has at most {_MAX_KEY_BYTES} bytes")
        sealed = seal(self._values_key, value, _place(kind, key))
        with self._turn:
            self._execute("INSERT OR REPLACE INTO items (kind, key, value) VALUES (?, ?, ?)", kind, key, sealed)

    def delete(self, kind: str, key: bytes) -> None:
        """Remove a value if it is there."""
        with self._turn:
            self._execute("DELETE FROM items WHERE kind = ? AND key = ?", kind, key)

    def items(self, kind: str) -> Iterator[tuple[bytes, bytes]]:
        """Give all keys and values of a kind as they are now, in the keys' order; each is opened in its turn."""
        with self._turn:
            rows = self._execute("SELECT key, value FROM items WHERE kind = ? ORDER BY key", kind)
        return ((key, self._open(kind, key, sealed)) for key, sealed in rows)

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._in_transaction:
                raise RuntimeError("a transaction is open")
            self._closed = True
            with suppress(sqlcipher.Error):  # nothing is lost: commits are in the log already
                self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._turn:
            if self._in_transaction:
                raise RuntimeError("transactions do not nest")
            self._execute("BEGIN IMMEDIATE")
            self._in_transaction = True
            try:
                yield
                # Commit point. A crash before it leaves nothing of the block; after it all of it is there, since FULL
                # flushes the log before this returns. When the commit itself fails, all or nothing may be found
                # after a crash; until then it is nothing.
                self._execute("COMMIT")
            except BaseException:
                self._undo()
                raise
            finally:
                self._in_transaction = self._failed = False

    def _undo(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlcipher.Error:
            # A connection that cannot go back is not used again: whoever opens the file next finds it as it was.
            self._closed = True
            with suppress(sqlcipher.Error):
                self._connection.close()

    def _execute(self, statement: str, *parameters: str | bytes) -> list[Any]:
        if self._closed:
            raise StorageUnavailable(f"{self._subject} is closed")
        if self._failed:
            # A full disk can make the library end a transaction by itself; a caller who went on would then commit
            # each further statement alone.
            raise StorageUnavailable(f"{self._subject}: an earlier failure has undone the transaction")
        try:
            with _mapped(self._subject):
                rows: list[Any] = self._connection.execute(statement, parameters).fetchall()
        except BaseException:
            self._failed = self._in_transaction
            raise
        return rows

    def _open(self, kind: str, key: bytes, sealed: bytes) -> bytes:
        try:
            return open_sealed(self._values_key, sealed, _place(kind, key))
        except OpenFailed:
            raise StorageUnavailable(f"{self._subject}: a value of kind {kind!r} is damaged") from None


def _place(kind: str, key: bytes) -> bytes:
    # the length keeps ("ab", "c") and ("a", "bc") apart
    name = kind.encode()
    return len(name).to_bytes(2, "big") + name + key


def _connect(path: Path, key: bytes, busy_seconds: float) -> Any:
    connection = sqlcipher.connect(str(path), timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to standard error beside our own errors
        # A raw key in SQLCipher's notation, so that it is not stretched again; given by a call and not in a
        # statement, so that no error text, trace or statement cache can hold it.
        connection.set_key(f"x'{derive(key, _DATABASE_LABEL).hex()}'")
        # Exclusive before anything is read: one process at a time, and no shared memory file beside the database.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _subject(path: Path) -> str:
    return f"the local database {path}"


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")


@contextmanager
def _mapped(subject: str, *, opening: bool = False) -> Iterator[None]:
    try:
        yield
    except (sqlcipher.IntegrityError, sqlcipher.ProgrammingError, sqlcipher.InterfaceError):
        raise  # a mistake in a program, not in the world
    except sqlcipher.Error as cause:
        if opening and primary_code(cause) == _NOTADB:
            # by its nature the same: a wrong key and a damaged first page both fail to authenticate
            raise StorageUnavailable(
                f"{subject}: the key is wrong, or the file is damaged",
                hint="unlock with the right password; if that fails, log in again on this device to fetch everything",
            ) from None
        raise storage_unavailable(subject, cause) from cause
