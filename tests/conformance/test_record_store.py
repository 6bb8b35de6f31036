"""What every record store does, whichever database is behind it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postgres_cluster import needs_postgres
from strongroom.base.errors import Conflict, Contended, StorageUnavailable, StrongroomError
from strongroom.storage.memory import MemoryRecordStore
from strongroom.storage.postgres import PostgresRecordStore
from strongroom.storage.postgres_connections import DatabaseAddress
from strongroom.storage.sqlite import SqliteRecordStore
from strongroom.store.ports import KEY_BYTES, RecordStore, Table, WriteTransaction
from strongroom.store.transactions import transact
from strongroom.testing.failing_storage import FailingRecordStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

K1, K2, K3 = (bytes([number]) * KEY_BYTES for number in (1, 2, 3))

ADAPTERS = (
    "memory",
    "sqlite",
    "failing",
    pytest.param("postgres", marks=needs_postgres),
)


@pytest.fixture(params=ADAPTERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    opened: RecordStore
    match request.param:
        case "memory":
            opened = MemoryRecordStore()
        case "sqlite":
            opened = SqliteRecordStore.create(tmp_path / "store.db")
        case "failing":
            opened = FailingRecordStore(MemoryRecordStore())
        case _:
            cluster = request.getfixturevalue("postgres")
            opened = PostgresRecordStore.create(DatabaseAddress(url=cluster.url(cluster.new_database())))
    yield opened
    opened.close()


def put(store: RecordStore, key: bytes, value: bytes, table: Table = Table.VAULTS) -> None:
    with store.write() as transaction:
        transaction.insert(table, key, value)


def look(store: RecordStore, key: bytes, table: Table = Table.VAULTS) -> tuple[int, bytes] | None:
    with store.read() as transaction:
        row = transaction.get(table, key)
    return None if row is None else (row.version, row.value)


def test_an_inserted_row_has_version_one(store: RecordStore) -> None:
    put(store, K1, b"sealed")
    assert look(store, K1) == (1, b"sealed")


def test_a_missing_row_is_none(store: RecordStore) -> None:
    assert look(store, K1) is None


@pytest.mark.parametrize("value", [b"", b"\x00", b"text", bytes(range(256)) * 4096])
def test_values_of_any_length_come_back_as_they_were(store: RecordStore, value: bytes) -> None:
    put(store, K1, value)
    assert look(store, K1) == (1, value)


def test_tables_do_not_mix(store: RecordStore) -> None:
    for table in Table:
        put(store, K1, table.encode(), table)
    for table in Table:
        assert look(store, K1, table) == (1, table.encode())


def test_inserting_over_a_row_is_a_conflict_and_keeps_it(store: RecordStore) -> None:
    put(store, K1, b"first")
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"second")
    assert look(store, K1) == (1, b"first")


def test_replacing_the_expected_version_adds_one(store: RecordStore) -> None:
    put(store, K1, b"a")
    for version in (1, 2, 3):
        with store.write() as transaction:
            transaction.replace(Table.VAULTS, K1, expected_version=version, value=b"v%d" % version)
    assert look(store, K1) == (4, b"v3")


@pytest.mark.parametrize("expected", [0, 1, 3, -1, 1 << 62])
def test_replacing_another_version_is_a_conflict_and_keeps_the_row(store: RecordStore, expected: int) -> None:
    put(store, K1, b"a")
    with store.write() as transaction:
        transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"b")
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.replace(Table.VAULTS, K1, expected_version=expected, value=b"c")
    assert look(store, K1) == (2, b"b")


def test_replacing_or_deleting_nothing_is_a_conflict(store: RecordStore) -> None:
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"c")
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.delete(Table.VAULTS, K1, expected_version=1)
    assert look(store, K1) is None


def test_deleting_the_expected_version_removes_the_row(store: RecordStore) -> None:
    put(store, K1, b"a")
    put(store, K2, b"b")
    with pytest.raises(Conflict), store.write() as transaction:
        transaction.delete(Table.VAULTS, K1, expected_version=2)
    with store.write() as transaction:
        transaction.delete(Table.VAULTS, K1, expected_version=1)
    assert look(store, K1) is None
    assert look(store, K2) == (1, b"b")


def test_a_row_inserted_after_a_delete_starts_again(store: RecordStore) -> None:
    put(store, K1, b"a")
    with store.write() as transaction:
        transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"b")
        transaction.delete(Table.VAULTS, K1, expected_version=2)
        transaction.insert(Table.VAULTS, K1, b"c")
    assert look(store, K1) == (1, b"c")


def test_get_many_gives_those_there_are(store: RecordStore) -> None:
    put(store, K1, b"a")
    put(store, K2, b"b")
    with store.read() as transaction:
        found = transaction.get_many(Table.VAULTS, iter([K1, K3, K2, K1]))
    assert {key: (row.version, row.value) for key, row in found.items()} == {K1: (1, b"a"), K2: (1, b"b")}


def test_get_many_of_nothing_is_empty(store: RecordStore) -> None:
    with store.read() as transaction:
        assert dict(transaction.get_many(Table.VAULTS, [])) == {}


def test_get_many_takes_thousands_of_keys(store: RecordStore) -> None:
    keys = [os.urandom(KEY_BYTES) for _ in range(5000)]
    with store.write() as transaction:
        for key in keys:
            transaction.insert(Table.ENTRIES, key, key[::-1])
    with store.read() as transaction:
        found = transaction.get_many(Table.ENTRIES, keys)
    assert {key: row.value for key, row in found.items()} == {key: key[::-1] for key in keys}


def test_a_write_transaction_reads_what_it_wrote_and_others_do_not(store: RecordStore) -> None:
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"a")
        row = transaction.get(Table.VAULTS, K1)
        assert row is not None
        assert row.value == b"a"
        assert set(transaction.get_many(Table.VAULTS, [K1, K2])) == {K1}
        assert look(store, K1) is None
    assert look(store, K1) == (1, b"a")


def test_a_read_transaction_keeps_its_moment(store: RecordStore) -> None:
    put(store, K1, b"a")
    with store.read() as before:
        put(store, K2, b"b")
        with store.write() as transaction:
            transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"changed")
        row = before.get(Table.VAULTS, K1)
        assert row is not None
        assert (row.version, row.value) == (1, b"a")
        assert before.get(Table.VAULTS, K2) is None
        assert look(store, K1) == (2, b"changed")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StrongroomError])
def test_any_exception_undoes_the_whole_transaction(store: RecordStore, error: type[BaseException]) -> None:
    put(store, K1, b"a")
    raised = error("on purpose")
    with pytest.raises(error) as caught, store.write() as transaction:  # noqa: PT012 - the block is what is tested
        transaction.insert(Table.ENTRIES, K2, b"b")
        transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"changed")
        raise raised
    assert caught.value is raised
    assert look(store, K1) == (1, b"a")
    assert look(store, K2, Table.ENTRIES) is None
    put(store, K3, b"the next one works")


def test_a_conflict_inside_undoes_what_came_before_it(store: RecordStore) -> None:
    with pytest.raises(Conflict), store.write() as transaction:  # noqa: PT012 - the block is what is tested
        transaction.insert(Table.VAULTS, K1, b"a")
        transaction.insert(Table.VAULTS, K1, b"b")
    assert look(store, K1) is None


def test_a_caught_conflict_leaves_the_transaction_usable(store: RecordStore) -> None:
    put(store, K1, b"a")
    with store.write() as transaction:
        with pytest.raises(Conflict):
            transaction.insert(Table.VAULTS, K1, b"b")
        transaction.insert(Table.VAULTS, K2, b"c")
    assert (look(store, K1), look(store, K2)) == ((1, b"a"), (1, b"c"))


@pytest.mark.parametrize("key", [b"", b"short", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_a_mistake(store: RecordStore, key: bytes) -> None:
    with store.read() as reading:
        with pytest.raises(ValueError, match="32 bytes"):
            reading.get(Table.VAULTS, key)
        with pytest.raises(ValueError, match="32 bytes"):
            reading.get_many(Table.VAULTS, [K1, key])
    with pytest.raises(ValueError, match="32 bytes"), store.write() as writing:
        writing.insert(Table.VAULTS, key, b"")


def test_an_unknown_table_is_a_mistake(store: RecordStore) -> None:
    with store.read() as transaction, pytest.raises(ValueError, match="table"):
        transaction.get("entries; DROP TABLE vaults", K1)  # type: ignore[arg-type]


def again(work: Callable[[], None]) -> None:
    """Try until it is done: on a busy machine six writers of one row can meet more often than the store is patient."""
    while True:
        try:
            return work()
        except Contended:
            pass


def test_writers_of_one_row_come_one_after_the_other_and_none_is_lost(store: RecordStore) -> None:
    put(store, K1, b"0")
    failures: list[BaseException] = []

    def add_one(transaction: WriteTransaction) -> None:
        row = transaction.get(Table.VAULTS, K1)
        assert row is not None
        transaction.replace(Table.VAULTS, K1, expected_version=row.version, value=b"%d" % (int(row.value) + 1))

    def count(times: int) -> None:
        try:
            for _ in range(times):
                again(lambda: transact(store, add_one))
                assert look(store, K1) is not None
        except BaseException as failure:  # noqa: BLE001 - shown by the main thread
            failures.append(failure)

    threads = [threading.Thread(target=count, args=(25,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert look(store, K1) == (151, b"150")


def test_a_second_write_in_the_same_thread_is_a_mistake_and_not_a_deadlock(store: RecordStore) -> None:
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"a")
        with pytest.raises(RuntimeError, match="one write transaction"), store.write():
            pass
    assert look(store, K1) == (1, b"a")


def test_a_closed_store_is_unavailable_and_closes_again(store: RecordStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StorageUnavailable), store.read():
        pass
    with pytest.raises(StorageUnavailable), store.write():
        pass


def test_two_that_read_what_the_other_writes_are_as_if_one_had_come_first(store: RecordStore) -> None:
    """The write skew that snapshots alone would let through: each of two may take the last place, but not both."""
    put(store, K1, b"free")
    put(store, K2, b"free")
    met = threading.Barrier(2)
    taken: list[bytes] = []

    def take(mine: bytes, other: bytes) -> None:
        first = True

        def work(transaction: WriteTransaction) -> bool:
            nonlocal first
            rows = transaction.get_many(Table.VAULTS, [mine, other])
            if first:
                first = False
                with contextlib.suppress(threading.BrokenBarrierError):
                    met.wait(0.5)  # a database with one writer lets only one come this far
            if rows[other].value == b"taken":
                return False
            transaction.replace(Table.VAULTS, mine, expected_version=1, value=b"taken")
            return True

        if transact(store, work):
            taken.append(mine)

    threads = [threading.Thread(target=take, args=pair) for pair in ((K1, K2), (K2, K1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    values = [row[1] for key in (K1, K2) if (row := look(store, key))]
    assert sorted(values) == [b"free", b"taken"]


def test_a_scan_gives_rows_in_order_from_beyond_a_key(store: RecordStore) -> None:
    keys = sorted(os.urandom(KEY_BYTES) for _ in range(50))
    with store.write() as transaction:
        for key in keys[::-1]:
            transaction.insert(Table.ENTRIES, key, key[::-1])
        transaction.insert(Table.VAULTS, K1, b"elsewhere")
        assert [key for key, _ in transaction.scan(Table.ENTRIES, after=b"", limit=7)] == keys[:7]
    with store.read() as reading:
        found = list(reading.scan(Table.ENTRIES, after=b"", limit=20))
        while page := reading.scan(Table.ENTRIES, after=found[-1][0], limit=20):
            found += page
        assert reading.scan(Table.DEPLOYMENT, after=b"", limit=20) == []
        with pytest.raises(ValueError, match="32 bytes"):
            reading.scan(Table.ENTRIES, after=b"short", limit=1)
    assert [(key, row.version, row.value) for key, row in found] == [(key, 1, key[::-1]) for key in keys]


steps = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete", "fail"]),
        st.sampled_from([K1, K2, K3]),
        st.integers(0, 3),
        st.binary(max_size=8),
    ),
    max_size=25,
)


@given(steps=steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_behaves_as_a_dictionary_with_versions(
    store: RecordStore, steps: list[tuple[str, bytes, int, bytes]]
) -> None:
    with store.write() as transaction:  # examples share the fixture
        for key, row in dict(transaction.get_many(Table.VAULTS, [K1, K2, K3])).items():
            transaction.delete(Table.VAULTS, key, expected_version=row.version)
    model: dict[bytes, tuple[int, bytes]] = {}
    for verb, key, version, value in steps:
        wanted = dict(model)
        allowed = key not in model if verb == "insert" else key in model and model[key][0] == version
        if verb == "insert":
            wanted[key] = (1, value)
        elif verb == "replace":
            wanted[key] = (version + 1, value)
        elif verb == "delete":
            wanted.pop(key, None)
        try:
            with store.write() as transaction:
                if verb == "insert":
                    transaction.insert(Table.VAULTS, key, value)
                elif verb == "replace":
                    transaction.replace(Table.VAULTS, key, expected_version=version, value=value)
                elif verb == "delete":
                    transaction.delete(Table.VAULTS, key, expected_version=version)
                else:
                    raise Conflict("on purpose")  # noqa: TRY301
            assert allowed
            model = wanted
        except Conflict:
            assert verb == "fail" or not allowed
        assert {key: look(store, key) for key in (K1, K2, K3)} == {key: model.get(key) for key in (K1, K2, K3)}
