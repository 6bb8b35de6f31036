"""Backups: every row as the database holds it, of one moment, in one file; and the way back (docs/spec/restores.md).

A backup is made beside the service from one snapshot, and holds what the database holds: keyed hashes and sealed
values. It opens to nobody who could not open the database. It fits either kind of database.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Conflict, Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import equal, sha256
from strongroom.store.ports import KEY_BYTES, Table
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction

__all__ = ["UNFINISHED_ROW", "read_backup", "restore_rows", "write_backup"]

UNFINISHED_ROW: Final = sha256(b"strongroom restore unfinished")
"""Where it stands that rows were put back and the deployment has not said so yet; it is not opened until then."""

_MAGIC: Final = b"strongroom backup 1\n"
_LENGTH_BYTES: Final = 4
_MAX_ROW_BYTES: Final = 64 << 20
_PAGE: Final = 128


def write_backup(storage: RecordStore, file: BinaryIO, *, taken_ms: int) -> int:
    """Write every row of one moment; gives how many there were. The caller makes the file durable."""
    digest = hashlib.sha256()
    rows = 0

    def put(piece: bytes) -> None:
        digest.update(piece)
        file.write(piece)

    put(_MAGIC)
    with storage.read() as transaction:
        for table, key, version, value in _all_rows(transaction):
            record = canonical.encode({"table": str(table), "key": key, "version": version, "value": value})
            put(len(record).to_bytes(_LENGTH_BYTES, "big") + record)
            rows += 1
    put(bytes(_LENGTH_BYTES))
    end = canonical.encode({"rows": rows, "taken": taken_ms})
    put(len(end).to_bytes(_LENGTH_BYTES, "big") + end)
    file.write(digest.digest())
    return rows


def restore_rows(storage: RecordStore, file: BinaryIO) -> tuple[int, int]:
    """Put a backup's rows into an empty database, all or none; gives how many, and when it was made.

    ``Conflict`` when the database holds a deployment; ``Malformed`` when the file is cut short, altered or none, and
    then nothing was put back. Deployments are not opened until ``Deployment.note_restored``.
    """

    def work(transaction: WriteTransaction) -> tuple[int, int]:
        file.seek(0)
        if any(transaction.scan(table, after=b"", limit=1) for table in Table):
            raise Conflict("the database is not empty", hint="a backup is put back into a new database")
        rows, end = 0, None
        for record in read_backup(file):
            if isinstance(record, int):
                end = record
            else:
                table, key, version, value = record
                transaction.insert(table, key, value, version=version)
                rows += 1
        if end is None:
            raise _cut_short()
        transaction.insert(Table.DEPLOYMENT, UNFINISHED_ROW, canonical.encode({"taken": end}))
        return rows, end

    # one transaction: a crash leaves the empty database, or all rows and the word that they were put back
    return transact(storage, work)


def read_backup(file: BinaryIO) -> Iterator[tuple[Table, bytes, int, bytes] | int]:
    """Read the rows of a backup and at last its time; ``Malformed``, at the end at the latest, unless it is whole."""
    digest = hashlib.sha256()

    def take(length: int) -> bytes:
        piece = file.read(length)
        if len(piece) < length:
            raise _cut_short()
        digest.update(piece)
        return piece

    if take(len(_MAGIC)) != _MAGIC:
        raise Malformed("not a backup, or one of a newer program", path="backup")
    rows = 0
    while (length := int.from_bytes(take(_LENGTH_BYTES), "big")) != 0:
        if length > _MAX_ROW_BYTES:
            raise Malformed("a row is too long", path="backup")
        yield _row(take(length))
        rows += 1
    length = int.from_bytes(take(_LENGTH_BYTES), "big")
    if length > 256:
        raise Malformed("its end is too long", path="backup")
    end = Fields.decode(take(length), path="backup", error=Malformed, max_bytes=256)
    counted, taken_ms = end.number("rows"), end.number("taken")
    end.done()
    expected = digest.digest()
    if counted != rows or not equal(file.read(len(expected) + 1), expected):
        raise Malformed("its checksum differs: it was altered or damaged", path="backup")
    yield taken_ms


def _row(record: bytes) -> tuple[Table, bytes, int, bytes]:
    fields = Fields.decode(record, path="backup row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
    name = fields.text("table", at_most=32)
    if name not in set(Table):
        raise fields.fail("a table that this program does not know")
    row = (
        Table(name),
        fields.byte_string("key", length=KEY_BYTES),
        fields.number("version"),
        fields.byte_string("value"),
    )
    fields.done()
    if row[2] < 1:
        raise fields.fail("a version below 1")
    return row


def _all_rows(transaction: ReadTransaction) -> Iterator[tuple[Table, bytes, int, bytes]]:
    for table in Table:
        after = b""
        while page := transaction.scan(table, after=after, limit=_PAGE):
            for key, row in page:
                yield table, key, row.version, row.value
            after = page[-1][0]


def _cut_short() -> Malformed:
    return Malformed("it is cut short", path="backup")
