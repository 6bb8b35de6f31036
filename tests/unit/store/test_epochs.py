"""Key epochs: a new one begins, rows are sealed anew beside the service, and what is stopped half-way goes on."""

from __future__ import annotations

import itertools
import os
import threading

import pytest

from store_client import FakeSealer, Person, new_deployment, new_session, reopened
from strongroom.base.errors import Conflict, Contended, HeadMoved, Misconfigured, StorageUnavailable
from strongroom.crypto.hashing import sha256
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.epochs import RootKeys
from strongroom.store.ports import Table
from strongroom.store.root import Root, open_copy
from strongroom.store.rotation import Resealed, reseal, resealing_is_unfinished
from strongroom.store.sealing import sealed_epoch
from strongroom.testing.failing_storage import FailingRecordStore, Fault
from strongroom.vaultlog.head import SignedHead

HERE, THERE = FakeSealer(), FakeSealer(secret=b"another platform", platform_id=b"q" * 16)
OUTSIDE = (Table.GUESSES,)


def filled(entries: int = 5) -> tuple[MemoryRecordStore, Person]:
    storage = MemoryRecordStore()
    new_deployment(storage)
    person = Person("me@example.com")
    person.register(reopened(storage))
    for number in range(entries):
        write(storage, person, number)
    return storage, person


def write(storage: MemoryRecordStore, person: Person, number: int) -> None:
    service, session = reopened(storage), new_session()
    person.prove(service, session)
    before = person.chain
    person.append(service, session, [person.write(os.urandom(16), b"sealed %d" % number)], before)


def epochs(storage: MemoryRecordStore) -> set[int | None]:
    found = {sealed_epoch(row.value) for (table, _), row in storage._rows.items() if table not in OUTSIDE}
    # a copy of the root key is no sealed row, and its random bytes may begin as one does
    return {epoch for epoch in found if epoch is not None and epoch < 1_000}


def rotated(storage: MemoryRecordStore) -> Deployment:
    Deployment.open(storage, HERE).begin_epoch(HERE, time_ms=1)
    return Deployment.open(storage, HERE)


def check(storage: MemoryRecordStore, person: Person) -> api.Page:
    """Hold the store to everything that it has acknowledged."""
    service, session = reopened(storage), new_session()
    person.login(service, session)
    person.prove(service, new_session())
    page = service.fetch(session, api.FetchPage(after=0, limit=1024, view=b""))
    head = SignedHead.from_bytes(page.head).head
    assert (head.length, head.chain_hash) == (person.chain.length, person.chain.chain_hash)
    assert len(page.entries) == person.chain.length
    return page


def test_a_new_epoch_loses_nothing_and_seals_everything_anew() -> None:
    storage, person = filled()
    before = Deployment.open(storage, HERE)
    after = rotated(storage)
    assert (before.root.epoch, after.root.epoch) == (1, 2)
    assert after.epoch > before.epoch
    assert after.deployment_id == before.deployment_id
    check(storage, person)
    write(storage, person, 6)
    assert epochs(storage) == {1, 2}
    done = reseal(storage, after)
    assert done.sealed > 5
    assert done.unopened == 0
    assert epochs(storage) == {2}
    assert not resealing_is_unfinished(storage, after)
    head = SignedHead.from_bytes(check(storage, person).head).head
    assert head.epoch == after.epoch
    assert sha256(head.head_key) == sha256(after.keys.head.public) != sha256(before.keys.head.public)
    third = rotated(storage)
    reseal(storage, third)
    assert epochs(storage) == {3}
    check(storage, person)


def test_a_second_run_finds_nothing_left() -> None:
    storage, _ = filled()
    after = rotated(storage)
    reseal(storage, after)
    assert reseal(storage, after).sealed == 0


def test_who_has_an_earlier_root_key_opens_nothing_sealed_later() -> None:
    storage, _ = filled()
    stolen = Deployment.open(storage, HERE).root
    reseal(storage, rotated(storage))
    with pytest.raises(Misconfigured, match="does not open this database"):
        Deployment.take_over(storage, THERE, stolen)
    assert RootKeys(storage, stolen, lambda: stolen).of(2) is None


def test_an_instance_that_runs_on_opens_what_is_sealed_in_the_new_epoch_and_signs_as_it_said() -> None:
    storage, person = filled()
    service, session = reopened(storage), new_session()
    person.prove(service, session)
    first = SignedHead.from_bytes(service.fetch(session, api.FetchPage(after=0, limit=1, view=b"")).head).head
    reseal(storage, rotated(storage))
    page = service.fetch(session, api.FetchPage(after=0, limit=100, view=b""))
    head = SignedHead.from_bytes(page.head).head
    assert (head.head_key, head.epoch) == (first.head_key, first.epoch)
    before = person.chain
    person.append(service, session, [person.write(os.urandom(16), b"later")], before)
    assert epochs(storage) == {2}  # and it seals in the new one from then on
    check(storage, person)


def test_an_instance_that_was_not_given_the_new_key_says_which_epoch_it_lacks() -> None:
    storage, _ = filled()
    made = Deployment.open(storage, HERE)
    elsewhere = Deployment.take_over(storage, THERE, made.root)
    rotated(storage)
    reseal(storage, Deployment.open(storage, HERE))
    with (
        storage.read() as transaction,
        pytest.raises(StorageUnavailable, match="sealed in epoch 2, whose key this instance does not have"),
    ):
        elsewhere.charter(transaction)
    with pytest.raises(StorageUnavailable, match="epoch 2"):
        Deployment.open(storage, THERE)
    Deployment.take_over(storage, THERE, Deployment.open(storage, HERE).root)  # as by joining again
    assert Deployment.open(storage, THERE).root.epoch == 2


def test_of_two_rotations_at_once_one_is_refused() -> None:
    storage, person = filled()
    first, second = Deployment.open(storage, HERE), Deployment.open(storage, HERE)
    first.begin_epoch(HERE, time_ms=1)
    with pytest.raises(Conflict, match="another root key"):
        second.begin_epoch(HERE, time_ms=1)
    assert open_copy(storage, HERE).epoch == 2
    check(storage, person)


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_earlier_root_keys_that_are_gone_or_altered_are_named(damage: str) -> None:
    storage, _ = filled()
    names = set(storage._rows)
    rotated(storage)
    added = [place for place in storage._rows if place not in names]
    for table, key in added:
        with storage.write() as transaction:
            row = transaction.get(table, key)
            assert row is not None
            if damage == "gone":
                transaction.delete(table, key, expected_version=row.version)
            else:
                value = row.value[:-1] + bytes([row.value[-1] ^ 1])
                transaction.replace(table, key, expected_version=row.version, value=value)
    with pytest.raises(StorageUnavailable, match="earlier root keys"):
        Deployment.open(storage, HERE)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("rest", [1, 3])
def test_a_rotation_that_fails_anywhere_goes_on(fault: Fault, rest: int) -> None:
    """Two-sided: each write transaction fails before and after it persisted, and the work goes on from there."""
    for number in itertools.count():
        storage, person = filled(rest)
        failing = FailingRecordStore(storage)
        failing.fail_write(number, fault)
        finished = True
        try:
            Deployment.open(failing, HERE).begin_epoch(HERE, time_ms=1)
            reseal(failing, Deployment.open(failing, HERE))
        except StorageUnavailable:
            finished = False
        check(storage, person)
        deployment = Deployment.open(storage, HERE)
        if deployment.root.epoch == 1:
            deployment = rotated(storage)
        reseal(storage, deployment)
        assert epochs(storage) == {2}
        check(storage, person)
        if finished:
            assert number > 3
            return


def test_it_goes_on_where_it_was_stopped() -> None:
    storage, person = filled(120)
    after = rotated(storage)

    def stop(done: Resealed) -> None:
        if done.seen > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseal(storage, after, progress=stop)
    assert resealing_is_unfinished(storage, after)
    assert epochs(storage) == {1, 2}
    total = reseal(storage, after)
    assert total.seen < 300
    assert epochs(storage) == {2}
    check(storage, person)


def test_rows_that_were_altered_are_counted_and_left() -> None:
    storage, _ = filled()
    place, row = next((place, row) for place, row in storage._rows.items() if place[0] == Table.ENTRIES)
    with storage.write() as transaction:
        value = row.value[:-1] + bytes([row.value[-1] ^ 1])
        transaction.replace(*place, expected_version=row.version, value=value)
    assert reseal(storage, rotated(storage)).unopened == 1


def test_writers_and_the_sealing_do_not_lose_each_others_work() -> None:
    storage, person = filled(30)
    after = rotated(storage)
    stop = threading.Event()
    failures: list[BaseException] = []

    def keep_writing() -> None:
        service, session = reopened(storage), new_session()
        try:
            person.prove(service, session)
            while not stop.is_set():
                before = person.chain
                pair = person.write(os.urandom(16), b"under the sealing")
                person.append(service, session, [pair], before)
        except (HeadMoved, Contended) as failure:
            failures.append(failure)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(3):
            reseal(storage, after)
    finally:
        stop.set()
        writer.join()
    assert failures == []
    check(storage, person)
    reseal(storage, after)
    assert epochs(storage) == {2}


def test_the_root_that_is_handed_over_stays_one_key() -> None:
    storage, _ = filled()
    newest = rotated(storage).root
    assert Root.from_bytes(newest.to_bytes()) == newest
