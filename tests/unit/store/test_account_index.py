"""The index of accounts: whatever is added and removed, it holds the rest, counts it, and clears to nothing."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from store_client import FakeSealer
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.account_index import AccountIndex, IndexedAccount
from strongroom.store.deployment import Deployment


def account(number: int) -> IndexedAccount:
    return IndexedAccount(account_id=number.to_bytes(16, "big"), vault_id=os.urandom(16), name_key=os.urandom(32))


@settings(max_examples=15, deadline=None)
@given(
    count=st.sampled_from([0, 1, 63, 64, 65, 130, 200]),
    removed=st.sets(st.integers(min_value=0, max_value=220), max_size=40),
)
def test_it_holds_what_was_added_and_not_removed(count, removed):
    storage = MemoryRecordStore()
    deployment = Deployment.create(storage, FakeSealer())
    before = dict(storage._rows)
    index = AccountIndex(deployment.rows, deployment.keys)
    added = {number: account(number) for number in range(count)}
    with storage.write() as transaction:
        for item in added.values():
            index.add(transaction, item)
        assert index.count(transaction) == count
    with storage.write() as transaction:
        for number in removed:
            assert index.remove(transaction, number.to_bytes(16, "big")) is (number in added)
    kept = [item for number, item in added.items() if number not in removed]
    with storage.read() as transaction:
        assert sorted(index.walk(transaction), key=IndexedAccount.to_bytes) == sorted(kept, key=IndexedAccount.to_bytes)
        assert index.count(transaction) == len(kept)
    with storage.write() as transaction:
        index.clear(transaction)
    assert storage._rows == before
