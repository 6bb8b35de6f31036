"""What SQLite says went wrong, in words of the taxonomy. Used for the plain library and for SQLCipher alike."""

from __future__ import annotations

import sqlite3
from typing import Final

from strongroom.base.errors import StorageUnavailable

__all__ = ["primary_code", "storage_unavailable"]

# The primary result code is the low byte of the extended one (https://sqlite.org/rescode.html).
_FACTS: Final[dict[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and try again; what was stored before is intact"),
    sqlite3.SQLITE_IOERR: ("reading or writing failed on the disk", "look at the disk and the system's log"),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "put back a backup"),
    sqlite3.SQLITE_NOTADB: ("the file is not a database, or it is damaged", "look at the path, or put back a backup"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "look at the path and at who may read and write it"),
    sqlite3.SQLITE_READONLY: ("the file cannot be written", "look at who may write the file and its directory"),
    sqlite3.SQLITE_PERM: ("the file cannot be accessed", "look at who may read and write it"),
    sqlite3.SQLITE_BUSY: ("somebody else holds the database", "try again when the other process has finished"),
    sqlite3.SQLITE_LOCKED: ("somebody else holds the database", "try again when the other process has finished"),
    sqlite3.SQLITE_NOMEM: ("there is not enough memory", ""),
}
_OTHERWISE: Final = ("the database library reported an error", "")
_TRANSIENT: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def primary_code(cause: Exception) -> int:
    """Give the primary result code of an exception of either library; 0 when it has none."""
    code = getattr(cause, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def storage_unavailable(subject: str, cause: Exception) -> StorageUnavailable:
    """Build the error for a failed call on ``subject`` ("the database /var/…"); the caller raises it from ``cause``.

    The library's own text stays in the cause: it can name statements.
    """
    code = primary_code(cause)
    fact, hint = _FACTS.get(code, _OTHERWISE)
    name = getattr(cause, "sqlite_errorname", "")
    return StorageUnavailable(
        f"{subject}: {fact}{f' ({name})' if name else ''}",
        retry_after_seconds=1.0 if code in _TRANSIENT else None,
        hint=hint,
    )
