"""Backups: one moment, whole or refused, into either kind of database; and the deployment's word on a restore."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postgres_cluster import needs_postgres
from store_client import FakeSealer, Person, new_deployment, new_session, reopened
from strongroom.base.errors import Conflict, Malformed, Misconfigured, StorageUnavailable
from strongroom.formats import store_api as api
from strongroom.formats.restore_notice import RestoreNotice, SignedRestoreNotice
from strongroom.storage.memory import MemoryRecordStore
from strongroom.storage.postgres import PostgresRecordStore
from strongroom.storage.postgres_connections import DatabaseAddress
from strongroom.storage.sqlite import SqliteRecordStore
from strongroom.store.backup import read_backup, restore_rows, write_backup
from strongroom.store.deployment import Deployment
from strongroom.store.ports import KEY_BYTES, RecordStore, Table
from strongroom.store.restores import MAX_NOTICES, notices
from strongroom.testing.failing_storage import FailingRecordStore, Fault
from strongroom.vaultlog.head import SignedHead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = FakeSealer()


def filled(storage: RecordStore | None = None) -> tuple[RecordStore, Person]:
    storage = storage or MemoryRecordStore()
    new_deployment(storage)
    person = Person("me@example.com")
    person.register(reopened(storage))
    append(storage, person)
    return storage, person


def append(storage: RecordStore, person: Person) -> None:
    service, session = reopened(storage), new_session()
    person.prove(service, session)
    before = person.chain
    person.append(service, session, [person.write(os.urandom(16), b"sealed")], before)


def backup_of(storage: RecordStore) -> bytes:
    file = io.BytesIO()
    write_backup(storage, file, taken_ms=1000)
    return file.getvalue()


def restored(storage: RecordStore, content: bytes) -> Deployment:
    restore_rows(storage, io.BytesIO(content))
    deployment = Deployment.open(storage, HERE, restoring=True)
    deployment.note_restored(time_ms=2000, reason="disk failure")
    return deployment


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=needs_postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    store: RecordStore = MemoryRecordStore()
    if request.param == "sqlite":
        store = SqliteRecordStore.create(tmp_path / "store.db")
    if request.param == "postgres":
        cluster = request.getfixturevalue("postgres")
        store = PostgresRecordStore.create(DatabaseAddress(url=cluster.url(cluster.new_database())))
    yield store
    store.close()


def test_a_backup_is_put_back_into_any_kind_of_database(empty: RecordStore) -> None:
    storage, person = filled()
    content = backup_of(storage)
    restored(empty, content)
    service, session = reopened(empty), new_session()
    person.prove(service, session)
    page = service.fetch(session, api.FetchPage(after=0, limit=10))
    assert SignedHead.from_bytes(page.head).head.chain_hash == person.chain.chain_hash
    append(empty, person)
    again = [record for record in read_backup(io.BytesIO(backup_of(empty))) if not isinstance(record, int)]
    assert {record[0] for record in again} >= {Table.DEPLOYMENT, Table.ACCOUNTS, Table.VAULTS, Table.ENTRIES}


def test_a_backup_is_of_one_moment(empty: RecordStore) -> None:
    """Rows that are written while it is made are not in it, wherever it is by then."""
    with empty.write() as transaction:
        for number in range(400):
            transaction.insert(Table.ENTRIES, number.to_bytes(KEY_BYTES, "big"), b"before")

    class Writing(io.BytesIO):
        pieces = 0

        def write(self, piece) -> int:  # type: ignore[no-untyped-def, override]
            self.pieces += 1
            if self.pieces == 100:
                with empty.write() as transaction:
                    transaction.insert(Table.VAULTS, bytes(KEY_BYTES), b"meanwhile")
                    for number in (5, 399):
                        key = number.to_bytes(KEY_BYTES, "big")
                        transaction.replace(Table.ENTRIES, key, expected_version=1, value=b"meanwhile")
            return super().write(piece)

    file = Writing()
    assert write_backup(empty, file, taken_ms=1) == 400
    assert b"meanwhile" not in file.getvalue()


def test_versions_come_back_as_they_were() -> None:
    storage, target = MemoryRecordStore(), MemoryRecordStore()
    with storage.write() as transaction:
        transaction.insert(Table.VAULTS, bytes(KEY_BYTES), b"a")
        transaction.replace(Table.VAULTS, bytes(KEY_BYTES), expected_version=1, value=b"b")
    restore_rows(target, io.BytesIO(backup_of(storage)))
    with target.read() as reading:
        row = reading.get(Table.VAULTS, bytes(KEY_BYTES))
        assert row is not None
        assert (row.version, row.value) == (2, b"b")


def test_what_is_not_a_whole_backup_puts_nothing_back() -> None:
    storage, _ = filled()
    content = backup_of(storage)
    damaged = [content[:cut] for cut in range(0, len(content), 97)]
    damaged += [
        content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :] for place in range(0, len(content), 89)
    ]
    damaged += [content + b"\0", b"", b"strongroom backup 2\n" + content[20:]]
    for broken in damaged:
        target = MemoryRecordStore()
        with pytest.raises(Malformed):
            restore_rows(target, io.BytesIO(broken))
        assert target._rows == {}


@given(st.binary(max_size=300))
def test_any_bytes_are_a_backup_or_malformed(data: bytes) -> None:
    for content in (data, b"strongroom backup 1\n" + data):
        with pytest.raises(Malformed):
            list(read_backup(io.BytesIO(content)))


def test_a_database_that_holds_something_is_left_alone() -> None:
    storage, _ = filled()
    before = dict(storage._rows)  # type: ignore[attr-defined]
    with pytest.raises(Conflict, match="not empty"):
        restore_rows(storage, io.BytesIO(backup_of(storage)))
    assert storage._rows == before  # type: ignore[attr-defined]


def test_the_deployment_is_not_opened_until_it_has_said_that_it_was_restored() -> None:
    storage, _ = filled()
    target = MemoryRecordStore()
    restore_rows(target, io.BytesIO(backup_of(storage)))
    with pytest.raises(Misconfigured, match="restore was not finished"):
        Deployment.open(target, HERE)
    Deployment.open(target, HERE, restoring=True).note_restored(time_ms=1, reason="")
    Deployment.open(target, HERE)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("number", [0, 1])
def test_a_restore_that_fails_anywhere_goes_on(fault: Fault, number: int) -> None:
    storage, person = filled()
    content = backup_of(storage)
    target = MemoryRecordStore()
    failing = FailingRecordStore(target)
    failing.fail_write(number, fault)
    with pytest.raises(StorageUnavailable):
        restored(failing, content)
    if not target._rows:
        restored(target, content)
    elif Deployment.is_being_restored(target):
        with pytest.raises(Misconfigured):
            Deployment.open(target, HERE)
        Deployment.open(target, HERE, restoring=True).note_restored(time_ms=2000, reason="disk failure")
    with target.read() as reading:
        assert len(notices(reading)) == 1
    append(target, person)


def test_the_notice_is_signed_by_the_pinned_deployment_and_by_nobody_else() -> None:
    storage, _ = filled()
    before = Deployment.open(storage, HERE)
    target = MemoryRecordStore()
    deployment = restored(target, backup_of(storage))
    service = reopened(target)
    (data,) = service.restores(new_session(), api.AskRestores()).notices
    signed = SignedRestoreNotice.from_bytes(data)
    assert signed.is_from(deployment.deployment_id)
    assert not signed.is_from(bytes(32))
    notice = signed.notice
    assert (notice.taken_ms, notice.restored_ms, notice.reason) == (1000, 2000, "disk failure")
    assert notice.epoch > before.epoch
    assert Deployment.open(target, HERE).epoch == notice.epoch
    for bit in range(0, len(data) * 8, 5):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            read = SignedRestoreNotice.from_bytes(bytes(altered))
        except Malformed:
            continue
        assert not read.is_from(deployment.deployment_id)


def test_a_restore_can_be_lifted_over_an_epoch_that_clients_have_seen() -> None:
    storage, _ = filled()
    target = MemoryRecordStore()
    restore_rows(target, io.BytesIO(backup_of(storage)))
    deployment = Deployment.open(target, HERE, restoring=True)
    assert deployment.note_restored(time_ms=1, reason="", at_least=40).epoch == 40


def test_of_many_restores_the_newest_are_kept() -> None:
    content = backup_of(filled()[0])
    for _ in range(MAX_NOTICES + 2):
        target = MemoryRecordStore()
        restored(target, content)
        content = backup_of(target)
    with target.read() as reading:
        kept = [SignedRestoreNotice.from_bytes(data).notice.epoch for data in notices(reading)]
    assert kept == sorted(kept)
    assert len(kept) == MAX_NOTICES


def test_a_reason_is_one_line() -> None:
    for reason in ("two\nlines", "x" * 201):
        with pytest.raises(Malformed):
            RestoreNotice(deployment=bytes(32), epoch=1, taken_ms=1, restored_ms=1, reason=reason)
