"""Usage figures: nothing lost but what one instance counted since its last flush, and nothing counted twice."""

from datetime import UTC, datetime

import pytest

from store_client import FakeSealer
from strongroom.base.errors import StorageUnavailable
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.usage import UsageMeter, Used, month_of
from strongroom.testing.failing_storage import FailingRecordStore, Fault

AT = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
TENANT = b"t" * 16


@pytest.fixture
def storage():
    storage = FailingRecordStore(MemoryRecordStore())
    Deployment.create(storage, FakeSealer())
    return storage


def meter(storage):
    opened = Deployment.open(storage, FakeSealer())
    return UsageMeter(storage, opened.rows, opened.keys)


def test_what_was_flushed_is_there_after_a_crash_and_what_was_not_is_lost(storage):
    first = meter(storage)
    first.add(TENANT, Used(requests=3, bytes=100), AT)
    first.flush()
    first.add(TENANT, Used(requests=1), AT)
    assert first.month(TENANT, "2026-11") == Used(requests=4, bytes=100)
    assert meter(storage).month(TENANT, "2026-11") == Used(requests=3, bytes=100)


def test_months_are_apart_and_the_total_is_over_all(storage):
    counting = meter(storage)
    counting.add(TENANT, Used(requests=1, bytes=10), AT)
    counting.add(TENANT, Used(requests=2, bytes=-4), AT.replace(year=2027, month=1, day=1))
    counting.flush()
    assert counting.month(TENANT, "2026-11") == Used(requests=1, bytes=10)
    assert counting.month(TENANT, "2027-01") == Used(requests=2, bytes=-4)
    assert counting.total(TENANT) == Used(requests=3, bytes=6)


def test_instances_add_up(storage):
    one, other = meter(storage), meter(storage)
    one.add(TENANT, Used(requests=1), AT)
    other.add(TENANT, Used(requests=2), AT)
    one.flush()
    other.flush()
    assert other.month(TENANT, "2026-11") == Used(requests=3)
    one.flush()  # with nothing to add, it looks again
    assert one.month(TENANT, "2026-11") == Used(requests=3)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_flush_whose_outcome_is_unknown_is_repeated_and_counts_once(storage, fault):
    counting = meter(storage)
    counting.add(TENANT, Used(requests=5), AT)
    storage.fail_write(0, fault)
    with pytest.raises(StorageUnavailable):
        counting.flush()
    counting.add(TENANT, Used(requests=1), AT)
    assert counting.month(TENANT, month_of(AT)).requests >= 6
    counting.flush()
    counting.flush()
    assert meter(storage).month(TENANT, "2026-11") == Used(requests=6)
    assert counting.month(TENANT, "2026-11") == Used(requests=6)


def test_a_recount_sets_the_bytes_and_leaves_the_rest(storage):
    counting = meter(storage)
    counting.add(TENANT, Used(requests=5, bytes=7, accounts=1), AT)
    counting.flush()
    with storage.write() as transaction:
        counting.correct(transaction, TENANT, bytes_now=1234)
    counting.forget(TENANT)
    assert counting.total(TENANT) == Used(requests=5, bytes=1234, accounts=1)
