"""Schemas move forward, in one transaction, and only ours."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from strongroom.base.errors import Misconfigured
from strongroom.storage.migrations import migrate
from strongroom.storage.migrations.records import STEPS, TABLES
from strongroom.store.ports import KEY_BYTES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = ("CREATE TABLE a (x INTEGER)", "INSERT INTO a VALUES (1)")
SECOND = ("ALTER TABLE a ADD COLUMN y INTEGER", "UPDATE a SET y = x + 1")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    yield opened
    opened.close()


def run(connection: sqlite3.Connection, *steps: tuple[str, ...], new: bool = False) -> None:
    migrate(connection, steps, application_id=5, subject="the database", new=new)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_new_database_gets_all_steps(connection: sqlite3.Connection) -> None:
    run(connection, FIRST, SECOND, new=True)
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    assert version(connection) == 2


def test_an_older_database_gets_the_missing_steps_and_keeps_its_rows(connection: sqlite3.Connection) -> None:
    run(connection, FIRST, new=True)
    connection.execute("INSERT INTO a VALUES (10)")
    run(connection, FIRST, SECOND)
    assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, 2), (10, 11)]
    assert version(connection) == 2


def test_a_current_database_is_left_alone(connection: sqlite3.Connection) -> None:
    run(connection, FIRST, new=True)
    run(connection, FIRST)
    assert connection.execute("SELECT x FROM a").fetchall() == [(1,)]


def test_a_failing_step_undoes_all_steps(connection: sqlite3.Connection) -> None:
    run(connection, FIRST, new=True)
    with pytest.raises(sqlite3.OperationalError):
        run(connection, FIRST, SECOND, ("CREATE TABLE b (z)", "no statement"))
    assert version(connection) == 1
    assert connection.execute("SELECT * FROM a").fetchall() == [(1,)]
    run(connection, FIRST, SECOND)
    assert version(connection) == 2


def test_a_newer_database_is_refused_with_both_versions(connection: sqlite3.Connection) -> None:
    run(connection, FIRST, SECOND, new=True)
    with pytest.raises(Misconfigured, match="has schema version 2; this program knows versions up to 1"):
        run(connection, FIRST)
    assert not connection.in_transaction


@pytest.mark.parametrize("pragma", ["application_id = 6", "user_version = 0"])
def test_a_database_that_is_not_ours_is_refused(connection: sqlite3.Connection, pragma: str) -> None:
    run(connection, FIRST, new=True)
    connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(Misconfigured, match="belongs to another program"):
        run(connection, FIRST)


def test_the_schema_has_the_tables_that_the_store_asks_for(connection: sqlite3.Connection) -> None:
    assert set(TABLES) == set(Table)
    run(connection, *STEPS, new=True)
    for table in Table:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"INSERT INTO {table} VALUES (?, 1, ?)", (bytes(KEY_BYTES - 1), b""))  # noqa: S608
        connection.execute(f"INSERT INTO {table} VALUES (?, 1, ?)", (bytes(KEY_BYTES), b""))  # noqa: S608
