"""Schemas, one step after the other.

A schema's version is the number of steps applied to it, kept in ``PRAGMA user_version``. Steps are only ever added,
and a step that has been released is never changed. There is no way back: an older program refuses a newer database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Connection", "Steps", "migrate", "newer_schema"]

Steps = tuple[tuple[str, ...], ...]
"""The statements of each step; step ``n`` leads from version ``n`` to ``n + 1``."""


class Connection(Protocol):
    """The part of a DB-API connection that is used here, so that SQLite and SQLCipher are both welcome."""

    def execute(self, statement: str, /) -> Any:
        """Execute one statement and give its cursor."""
        ...


def migrate(
    connection: Connection, steps: Sequence[Sequence[str]], *, application_id: int, subject: str, new: bool = False
) -> None:
    """Bring a database forward to the newest version inside one transaction.

    ``application_id`` (32 bits) tells our databases from others; with ``new`` the database has to be empty. Raises
    ``Misconfigured`` for a database that is not ours and for one that is newer than this program. The library's own
    exceptions pass through; the transaction is then undone.
    """
    connection.execute("BEGIN IMMEDIATE")  # two programs that start together take turns
    try:
        version = 0 if new else _version(connection, application_id, len(steps), subject)
        for statements in steps[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < len(steps):
            connection.execute(f"PRAGMA application_id = {application_id:d}")
            connection.execute(f"PRAGMA user_version = {len(steps):d}")
        # Commit point: user_version is in the database's header and moves with the tables. A crash before leaves the
        # old schema, a crash after leaves the new one.
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: Connection, application_id: int, newest: int, subject: str) -> int:
    found: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != application_id or version < 1:
        raise Misconfigured(f"{subject} is empty or belongs to another program", hint="look at the path")
    if version > newest:
        raise newer_schema(subject, version, newest)
    return version


def newer_schema(subject: str, version: int, newest: int) -> Misconfigured:
    """Build the error for a database that a newer program has brought forward."""
    return Misconfigured(
        f"{subject} has schema version {version}; this program knows versions up to {newest}",
        hint="run the newer program again; there is no way back to an older schema",
    )
