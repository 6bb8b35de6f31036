"""The fake keeps its word: each fault on its side of the commit."""

from __future__ import annotations

import pytest

from strongroom.base.errors import StorageUnavailable
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.ports import Table
from strongroom.testing.failing_storage import FailingRecordStore, Fault


def insert(store: FailingRecordStore, number: int) -> None:
    with store.write() as transaction:
        transaction.insert(Table.ENTRIES, bytes([number]) * 32, b"value")


def stored(store: FailingRecordStore) -> set[int]:
    with store.read() as transaction:
        return {key[0] for key in transaction.get_many(Table.ENTRIES, [bytes([number]) * 32 for number in range(9)])}


@pytest.mark.parametrize(("fault", "left"), [(Fault.BEFORE_PERSIST, {0, 2}), (Fault.AFTER_PERSIST, {0, 1, 2})])
def test_the_chosen_write_fails_on_the_chosen_side(fault: Fault, left: set[int]) -> None:
    store = FailingRecordStore(MemoryRecordStore())
    store.fail_write(1, fault)
    insert(store, 0)
    with pytest.raises(StorageUnavailable, match=f"{fault} it persisted"):
        insert(store, 1)
    insert(store, 2)
    assert stored(store) == left
    assert store.writes == 3


def test_counting_starts_at_the_moment_of_the_order() -> None:
    store = FailingRecordStore(MemoryRecordStore())
    insert(store, 0)
    store.fail_write(0, Fault.BEFORE_PERSIST)
    with pytest.raises(StorageUnavailable):
        insert(store, 1)
    assert stored(store) == {0}


def test_reads_fail_when_told_to_and_recover() -> None:
    store = FailingRecordStore(MemoryRecordStore())
    store.fail_reads()
    with pytest.raises(StorageUnavailable):
        stored(store)
    store.fail_reads(fail=False)
    assert stored(store) == set()
    store.close()
