"""Copies of the root key: one for each platform and code, found by nobody else, brought forward from the older form."""

import os

import pytest

from store_client import FakeSealer
from strongroom.attesters.sealing import SealingPolicy
from strongroom.base import canonical
from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.crypto.aead import seal
from strongroom.crypto.hashing import sha256
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.ports import Table
from strongroom.store.root import Root, keep_copy, open_copy

HERE, THERE = FakeSealer(), FakeSealer(secret=b"another platform", platform_id=b"q" * 16)


def test_each_platform_opens_its_own_copy() -> None:
    storage, root = MemoryRecordStore(), Root(key=os.urandom(32), epoch=3)
    with storage.write() as transaction:
        keep_copy(transaction, root, HERE)
    with pytest.raises(Misconfigured, match="no copy of it was sealed for this measurement on this platform"):
        open_copy(storage, THERE)
    with storage.write() as transaction:
        keep_copy(transaction, root, THERE)
    assert open_copy(storage, HERE) == open_copy(storage, THERE) == root


def test_a_copy_by_signer_is_found_as_well() -> None:
    storage, root = MemoryRecordStore(), Root(key=os.urandom(32), epoch=3)
    with storage.write() as transaction:
        keep_copy(transaction, root, HERE, policy=SealingPolicy.MRSIGNER)
    assert open_copy(storage, HERE) == root


def test_a_copy_is_replaced_in_its_place() -> None:
    storage, newer = MemoryRecordStore(), Root(key=os.urandom(32), epoch=4)
    with storage.write() as transaction:
        keep_copy(transaction, Root(key=os.urandom(32), epoch=3), HERE)
        keep_copy(transaction, newer, HERE)
    assert open_copy(storage, HERE) == newer


def single_copy(storage: MemoryRecordStore, root: Root) -> bytes:
    """Write the one row that the first schema had."""
    label, policy = "strongroom root key v1", SealingPolicy.MRENCLAVE
    place = canonical.encode([label, str(policy)])
    box = seal(HERE.sealing_key(policy, label), root.to_bytes(), place)
    row = sha256(b"strongroom root key")
    with storage.write() as transaction:
        transaction.insert(Table.DEPLOYMENT, row, canonical.encode({"policy": str(policy), "box": box}))
    return row


def test_the_single_copy_of_an_older_database_is_brought_forward() -> None:
    storage, root = MemoryRecordStore(), Root(key=os.urandom(32), epoch=1)
    row = single_copy(storage, root)
    with pytest.raises(Misconfigured):
        open_copy(storage, THERE)
    with storage.read() as transaction:
        assert transaction.get(Table.DEPLOYMENT, row) is not None
    assert open_copy(storage, HERE) == root
    with storage.read() as transaction:
        assert transaction.get(Table.DEPLOYMENT, row) is None
    assert open_copy(storage, HERE) == root


def test_an_altered_copy_is_an_error_and_no_absence() -> None:
    storage = MemoryRecordStore()
    with storage.write() as transaction:
        keep_copy(transaction, Root(key=os.urandom(32), epoch=3), HERE)
    ((table, key), row) = next(iter(storage._rows.items()))
    for value in (b"", row.value[:-1], row.value[:-1] + bytes([row.value[-1] ^ 1])):
        with storage.write() as transaction:
            now = transaction.get(table, key)
            transaction.replace(table, key, expected_version=now.version, value=value)
        with pytest.raises(StorageUnavailable, match="altered"):
            open_copy(storage, HERE)


def test_a_root_key_is_read_back_and_nothing_else_is() -> None:
    root = Root(key=bytes(32), epoch=1)
    assert Root.from_bytes(root.to_bytes()) == root
    assert "0000" not in repr(root)
    for data in (b"", root.to_bytes() + b"\0", canonical.encode({"key": bytes(31), "epoch": 1})):
        with pytest.raises(Malformed):
            Root.from_bytes(data)


def test_a_handed_over_key_opens_its_own_database_only() -> None:
    storage = MemoryRecordStore()
    made = Deployment.create(storage, HERE)
    joined = Deployment.take_over(storage, THERE, made.root)
    assert joined.deployment_id == made.deployment_id
    assert Deployment.open(storage, THERE).deployment_id == made.deployment_id
    other = MemoryRecordStore()
    Deployment.create(other, HERE)
    with pytest.raises(Misconfigured, match="does not open this database"):
        Deployment.take_over(other, THERE, made.root)
    with pytest.raises(Misconfigured, match="does not unseal"):
        Deployment.open(other, THERE)
