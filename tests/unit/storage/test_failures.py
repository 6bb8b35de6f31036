"""What the database library reports, in our words."""

from __future__ import annotations

import sqlite3

import pytest

from strongroom.storage.failures import primary_code, storage_unavailable


def reported(code: int | None, name: str = "") -> sqlite3.OperationalError:
    cause = sqlite3.OperationalError("near PRAGMA key: the library's own words")
    if code is not None:
        cause.sqlite_errorcode = code
        cause.sqlite_errorname = name
    return cause


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_IOERR_FSYNC, "reading or writing failed on the disk"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "the file is damaged"),
        (sqlite3.SQLITE_NOTADB, "the file is not a database"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "the file cannot be opened"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "the file cannot be written"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "somebody else holds the database"),
        (sqlite3.SQLITE_ERROR, "the database library reported an error"),
        (None, "the database library reported an error"),
    ],
)
def test_each_code_has_its_fact_and_the_librarys_words_stay_out(code: int | None, fact: str) -> None:
    error = storage_unavailable("the database x", reported(code))
    assert str(error).startswith(f"the database x: {fact}")
    assert "PRAGMA" not in str(error)


def test_only_what_passes_by_itself_says_when_to_try_again() -> None:
    assert storage_unavailable("x", reported(sqlite3.SQLITE_BUSY)).retry_after_seconds
    assert storage_unavailable("x", reported(sqlite3.SQLITE_FULL)).retry_after_seconds is None


def test_the_extended_name_is_told_for_the_operator() -> None:
    assert "(SQLITE_IOERR_WRITE)" in str(storage_unavailable("x", reported(778, "SQLITE_IOERR_WRITE")))


def test_an_exception_without_a_code_has_none() -> None:
    assert primary_code(ValueError()) == 0
    assert primary_code(reported(sqlite3.SQLITE_IOERR_READ)) == sqlite3.SQLITE_IOERR
