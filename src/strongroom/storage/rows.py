"""The row that every adapter of the record store gives, and the checks on what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base.errors import Conflict
from strongroom.storage.migrations.records import TABLES

__all__ = ["KEY_BYTES", "StoredRow", "check_key", "check_start", "check_table", "exists", "moved"]

KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row: a version from 1 upwards and a sealed value."""

    version: int
    value: bytes


def check_table(table: str) -> str:
    """Refuse a name that is no table: a programming mistake, and the only text that gets into a statement."""
    if table not in TABLES:
        raise ValueError("no such table")
    return str(table)


def check_key(key: bytes) -> bytes:
    """Refuse a key of another length than 32 bytes: a programming mistake."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return key


def check_start(key: bytes) -> bytes:
    """Refuse the start of a scan that is neither a key nor empty, which is before all keys."""
    return check_key(key) if key else key


def exists(table: str) -> Conflict:
    """Build the error for an insert over a row."""
    return Conflict(f"the row exists already in {table}")


def moved(table: str) -> Conflict:
    """Build the error for a lost compare-and-swap; it does not tell a missing row from another version."""
    return Conflict(f"the row in {table} has another version than expected, or is gone")
