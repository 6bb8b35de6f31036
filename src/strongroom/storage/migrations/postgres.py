"""The schema of the store's database where it speaks PostgreSQL's protocol, one step after the other.

The version is a row of ``strongroom_schema``. The steps and the row are written in one transaction; each statement can
also be repeated, for databases of the family that commit changes of the schema by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import Misconfigured
from strongroom.storage.migrations import newer_schema
from strongroom.storage.migrations.records import TABLE_STEPS
from strongroom.storage.postgres_connections import mapped

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["bring_forward", "schema_version"]

_PROGRAM: Final = "strongroom store"
_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS strongroom_schema ("
    " program VARCHAR(64) PRIMARY KEY,"
    " version INTEGER NOT NULL CHECK (version >= 1)"
    ")"
)


def bring_forward(connection: Connection[Any], *, subject: str, new: bool) -> None:
    """Bring a database forward to the newest version, within the caller's transaction.

    Raises ``Misconfigured`` for a database that is not ours or newer than this program, and with ``new`` for one
    that is ours already.
    """
    version = schema_version(connection, subject=subject)
    with mapped(subject):
        if new and version:
            raise Misconfigured(f"{subject} holds a store's tables already", setting="database")
        if not new and not version:
            raise Misconfigured(
                f"there are no tables of a store in {subject}",
                setting="database",
                hint="make them first; empty ones are never made in silence, for they would look like lost ones",
            )
        if version > len(TABLE_STEPS):
            raise newer_schema(subject, version, len(TABLE_STEPS))
        if version == len(TABLE_STEPS):
            return
        connection.execute(_VERSIONS.encode())
        for tables in TABLE_STEPS[version:]:
            for name in tables:
                connection.execute(_table(name).encode())
        # the row comes last: a database that commits each of these by itself is brought forward again after a crash
        statement = "UPDATE strongroom_schema SET version = %s WHERE program = %s"
        if version == 0:
            statement = "INSERT INTO strongroom_schema (version, program) VALUES (%s, %s)"
        connection.execute(statement.encode(), (len(TABLE_STEPS), _PROGRAM))


def schema_version(connection: Connection[Any], *, subject: str) -> int:
    """Give the version of the schema that is there, 0 for none."""
    with mapped(subject):
        there = connection.execute(
            b"SELECT 1 FROM information_schema.tables"
            b" WHERE table_name = 'strongroom_schema' AND table_schema = current_schema()"
        ).fetchone()
        if there is None:
            return 0
        row = connection.execute(b"SELECT version FROM strongroom_schema WHERE program = %s", (_PROGRAM,)).fetchone()
        return 0 if row is None else int(row[0])


def _table(name: str) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ("
        " key BYTEA PRIMARY KEY CHECK (length(key) = 32),"
        " version BIGINT NOT NULL CHECK (version >= 1),"
        " value BYTEA NOT NULL"
        ")"
    )
