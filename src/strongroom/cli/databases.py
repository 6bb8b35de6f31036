"""Which database a service uses: the file in its data directory, or one behind PostgreSQL's protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Misconfigured
from strongroom.cli.prompts import read_secret
from strongroom.storage.sqlite import SqliteRecordStore

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.store.ports import RecordStore

__all__ = ["StorageSettings", "open_storage"]

_DATABASE: Final = "store.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where the rows are: in ``data``, or where ``database`` says (``postgresql://``), with a password from a file."""

    data: Path
    database: str | None = None
    password_file: Path | None = None

    @property
    def name(self) -> str:
        """Where it is, for a message."""
        return self.database or str(self.data / _DATABASE)


def open_storage(settings: StorageSettings, *, create: bool = False) -> RecordStore:
    """Open the record store; with ``create``, make it first where there is none.

    ``Misconfigured`` when it is not there, is not ours or is newer than this program.
    """
    if settings.database is not None:
        return _open_postgres(settings.database, settings.password_file, create=create)
    path = settings.data / _DATABASE
    return SqliteRecordStore.create(path) if create and not path.exists() else SqliteRecordStore.open(path)


def _open_postgres(url: str, password_file: Path | None, *, create: bool) -> RecordStore:
    try:
        from strongroom.storage.postgres import PostgresRecordStore
        from strongroom.storage.postgres_connections import DatabaseAddress
    except ImportError as cause:
        raise Misconfigured(
            "PostgreSQL needs psycopg, which is not installed",
            setting="database",
            hint='pip install "strongroom[postgres]"',
        ) from cause

    if not DatabaseAddress.is_one(url):
        raise Misconfigured("--database takes a postgresql:// address", setting="database")
    password = None if password_file is None else read_secret("database password", password_file)
    address = DatabaseAddress(url=url, password=password)
    if create and not PostgresRecordStore.exists(address):
        return PostgresRecordStore.create(address)
    return PostgresRecordStore.open(address)
