"""The schema of the store's database: which tables there are since which version, and SQLite's way of making them.

STRICT keeps types honest (SQLite 3.37). Ordinary rowid tables, not WITHOUT ROWID: keys are random and sealed values
are large beside them, so a clustered tree would touch and half fill a page for nearly each row (docs/decisions/0003).
"""

from __future__ import annotations

from typing import Final

from strongroom.storage.migrations import Steps

__all__ = ["APPLICATION_ID", "STEPS", "TABLES", "TABLE_STEPS"]

APPLICATION_ID: Final = 0x53525331
"""ASCII "SRS1"."""

TABLE_STEPS: Final = (("deployment", "accounts", "vaults", "entries"), ("guesses", "factors", "audit"))
"""The tables that each step adds. A step that has been released is never changed; a new table is a new step."""

TABLES: Final = tuple(name for tables in TABLE_STEPS for name in tables)


def _table(name: str) -> str:
    return (
        f"CREATE TABLE {name} ("
        " key BLOB PRIMARY KEY NOT NULL CHECK (length(key) = 32),"
        " version INTEGER NOT NULL CHECK (version >= 1),"
        " value BLOB NOT NULL"
        ") STRICT"
    )


STEPS: Final[Steps] = tuple(tuple(_table(name) for name in tables) for tables in TABLE_STEPS)
