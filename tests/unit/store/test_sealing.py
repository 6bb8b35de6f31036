"""Sealed rows: one that was altered, moved, swapped or put back does not open, and the database sees no names."""

import os

import pytest

from store_client import FakeSealer, Person, new_service, new_session, reopened
from strongroom.base.errors import StorageUnavailable
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.keys import StoreKeys
from strongroom.store.ports import Table
from strongroom.store.sealing import OneKey, SealedRows

KEY, OTHER = b"k" * 32, b"o" * 32


def some_rows() -> tuple[MemoryRecordStore, SealedRows]:
    storage, rows = MemoryRecordStore(), SealedRows(OneKey(os.urandom(32)))
    with storage.write() as transaction:
        rows.insert(transaction, Table.VAULTS, KEY, b"value")
        rows.insert(transaction, Table.VAULTS, OTHER, b"other")
        rows.insert(transaction, Table.ACCOUNTS, KEY, b"account")
    return storage, rows


def overwrite(storage: MemoryRecordStore, table: Table, key: bytes, value: bytes) -> None:
    """Put a value into the database as an operator could, keeping the row's version."""
    with storage.write() as transaction:
        row = transaction.get(table, key)
        assert row is not None
        transaction.delete(table, key, expected_version=row.version)
        transaction.insert(table, key, value)


def raw(storage: MemoryRecordStore, table: Table, key: bytes) -> bytes:
    with storage.read() as transaction:
        row = transaction.get(table, key)
        assert row is not None
        return row.value


def test_a_row_opens_in_its_place() -> None:
    storage, rows = some_rows()
    with storage.read() as transaction:
        opened = rows.get(transaction, Table.VAULTS, KEY)
        assert opened is not None
        assert (opened.version, opened.value) == (1, b"value")
        assert rows.get(transaction, Table.ENTRIES, KEY) is None


@pytest.mark.parametrize("source", [(Table.VAULTS, OTHER), (Table.ACCOUNTS, KEY)])
def test_a_row_of_another_place_does_not_open(source: tuple[Table, bytes]) -> None:
    storage, rows = some_rows()
    overwrite(storage, Table.VAULTS, KEY, raw(storage, *source))
    with storage.read() as transaction, pytest.raises(StorageUnavailable, match="altered"):
        rows.get(transaction, Table.VAULTS, KEY)


def test_a_row_of_an_earlier_version_does_not_open_in_the_place_of_a_later_one() -> None:
    storage, rows = some_rows()
    earlier = raw(storage, Table.VAULTS, KEY)
    with storage.write() as transaction:
        rows.replace(transaction, Table.VAULTS, KEY, expected_version=1, value=b"newer")
    with storage.write() as transaction:
        transaction.replace(Table.VAULTS, KEY, expected_version=2, value=earlier)
    with storage.read() as transaction, pytest.raises(StorageUnavailable, match="altered"):
        rows.get(transaction, Table.VAULTS, KEY)


def test_every_altered_bit_is_noticed() -> None:
    storage, rows = some_rows()
    sealed = raw(storage, Table.VAULTS, KEY)
    for bit in range(0, len(sealed) * 8, 7):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StorageUnavailable, match=r"altered|sealed in epoch"):
            rows.open(Table.VAULTS, KEY, 1, bytes(altered))


def test_a_deleted_row_is_missed() -> None:
    storage, rows = some_rows()
    with storage.write() as transaction:
        transaction.delete(Table.VAULTS, OTHER, expected_version=1)
    with storage.read() as transaction, pytest.raises(StorageUnavailable, match="missing"):
        list(rows.get_each(transaction, Table.VAULTS, [KEY, OTHER]))


def test_the_database_sees_no_name_and_no_key() -> None:
    storage = MemoryRecordStore()
    person = Person("somebody@example.com")
    person.register(new_service(storage))
    seen = b"".join(key + row.value for (_, key), row in storage._rows.items())
    for secret in (b"somebody", person.account_id, person.vault_id, person.account_key.public, person.device.public):
        assert secret not in seen


def test_every_key_differs_by_epoch_and_purpose() -> None:
    first, second = StoreKeys.derive(b"r" * 32, 1), StoreKeys.derive(b"r" * 32, 2)
    keys = [getattr(source, name) for source in (first, second) for name in ("identifiers", "sealing", "opaque")]
    keys += [first.head.seed, second.head.seed]
    assert len(set(keys)) == len(keys)
    assert "object at" in repr(first)


def test_an_altered_root_key_is_named() -> None:
    storage = MemoryRecordStore()
    new_service(storage)
    (key,) = [key for (_, key), row in storage._rows.items() if b"policy" in row.value]
    overwrite(storage, Table.DEPLOYMENT, key, b"\xa0")
    with pytest.raises(StorageUnavailable, match="root key in the database was altered"):
        Deployment.open(storage, FakeSealer())


def test_a_vault_that_vanished_is_the_database_s_fault() -> None:
    storage = MemoryRecordStore()
    person = Person("a@example.com")
    person.register(new_service(storage))
    (key,) = [key for table, key in storage._rows if table == Table.VAULTS]
    with storage.write() as transaction:
        transaction.delete(Table.VAULTS, key, expected_version=1)
    with pytest.raises(StorageUnavailable, match="a vault that must exist"):
        person.prove(reopened(storage), new_session())
