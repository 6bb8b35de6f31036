"""The log of joins: append-only, in order, and an altered one is noticed."""

import pytest

from store_client import FakeSealer
from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.charter import Charter
from strongroom.store.deployment import Deployment
from strongroom.store.joins import JoinEvent, JoinRecord
from strongroom.store.ports import Table
from strongroom.verifier.policy import ANY
from strongroom.verifier.release import VendorRule


def logged(count: int) -> tuple[MemoryRecordStore, Deployment]:
    storage = MemoryRecordStore()
    deployment = Deployment.create(storage, FakeSealer())
    for number in range(count):
        with storage.write() as transaction:
            deployment.joins.append(transaction, JoinRecord(event=JoinEvent.JOIN, time_ms=number))
    return storage, deployment


def test_entries_are_read_in_the_order_of_their_making() -> None:
    storage, deployment = logged(3)
    with storage.read() as transaction:
        records = deployment.joins.read(transaction)
    assert [(record.event, record.time_ms) for record in records] == [
        (JoinEvent.CREATED, 0),
        *((JoinEvent.JOIN, number) for number in range(3)),
    ]


def test_an_entry_that_is_missing_is_noticed() -> None:
    storage, deployment = logged(2)
    key = deployment.keys.identifier("join log entry", (2).to_bytes(8, "big"))
    with storage.write() as transaction:
        transaction.delete(Table.DEPLOYMENT, key, expected_version=1)
    with storage.read() as transaction, pytest.raises(StorageUnavailable, match="missing"):
        deployment.joins.read(transaction)


def test_a_tail_of_another_time_is_noticed() -> None:
    storage, deployment = logged(1)
    tail = deployment.keys.identifier("join log tail")
    with storage.write() as transaction:
        older = transaction.get(Table.DEPLOYMENT, tail)
        deployment.joins.append(transaction, JoinRecord(event=JoinEvent.JOIN, time_ms=9))
        newer = transaction.get(Table.DEPLOYMENT, tail)
        transaction.replace(Table.DEPLOYMENT, tail, expected_version=newer.version, value=older.value)
    with storage.read() as transaction, pytest.raises(StorageUnavailable, match="does not open"):
        deployment.joins.read(transaction)


def test_the_rules_change_and_the_change_is_logged() -> None:
    storage, deployment = logged(0)
    with storage.write() as transaction:
        charter = deployment.charter(transaction)
        assert charter == Charter.closed()
        changed = Charter(
            machines=ANY, simulated_roots=frozenset(), vendor=charter.vendor, upgrade_delay_ms=5, recovery=None
        )
        deployment.set_charter(transaction, changed, time_ms=7)
    with storage.read() as transaction:
        assert deployment.charter(transaction) == changed
        assert deployment.joins.read(transaction)[-1].event is JoinEvent.CHARTER


def test_who_the_vendor_is_cannot_be_changed() -> None:
    storage, deployment = logged(0)
    with storage.write() as transaction:
        charter = deployment.charter(transaction)
        changed = Charter(
            machines=charter.machines,
            simulated_roots=charter.simulated_roots,
            vendor=VendorRule(keys=(bytes(32),), threshold=1),
            upgrade_delay_ms=0,
            recovery=None,
        )
        with pytest.raises(Misconfigured, match="fixed when a deployment is made"):
            deployment.set_charter(transaction, changed, time_ms=7)


@pytest.mark.parametrize("data", [b"", b"\xa0", b"x" * 2000])
def test_other_bytes_are_no_record(data: bytes) -> None:
    with pytest.raises(Malformed):
        JoinRecord.from_bytes(data)
    with pytest.raises(Malformed):
        Charter.from_bytes(data)
