"""The SQLite record store: creation, refusal, faults of the disk, crashes, several processes."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from strongroom.base.errors import Misconfigured, StorageUnavailable
from strongroom.storage import sqlite as adapter
from strongroom.storage.migrations.records import STEPS
from strongroom.storage.sqlite import SqliteRecordStore
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

K1, K2 = bytes([1]) * 32, bytes([2]) * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def fill(store: SqliteRecordStore, count: int = 200) -> list[bytes]:
    keys = [number.to_bytes(32, "big") for number in range(count)]
    with store.write() as transaction:
        for key in keys:
            transaction.insert(Table.ENTRIES, key, key * 50)
    return keys


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


# Creation and opening


def test_a_new_database_is_private_and_alone_in_its_directory(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    fill(store, 1)
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()} == {0o600}
    store.close()
    assert names(path.parent) == {"store.db"}


def test_creating_makes_a_private_directory(tmp_path: Path) -> None:
    SqliteRecordStore.create(tmp_path / "a" / "b" / "store.db").close()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_creating_over_a_database_is_refused_and_keeps_it(path: Path) -> None:
    with_row = SqliteRecordStore.create(path)
    fill(with_row, 1)
    with pytest.raises(Misconfigured, match="exists already"):
        SqliteRecordStore.create(path)
    with with_row.read() as transaction:
        assert transaction.get(Table.ENTRIES, bytes(32)) is not None
    with_row.close()
    assert names(path.parent) == {"store.db"}


def test_a_missing_database_is_an_error_with_a_hint_and_is_not_made(path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no database") as caught:
        SqliteRecordStore.open(path)
    assert caught.value.hint
    assert caught.value.setting == "database"
    assert names(path.parent) == set()


def test_rows_are_there_after_opening_again(path: Path) -> None:
    first = SqliteRecordStore.create(path)
    keys = fill(first)
    first.close()
    second = SqliteRecordStore.open(path)
    with second.read() as transaction:
        assert set(transaction.get_many(Table.ENTRIES, keys)) == set(keys)
    second.close()


def test_each_commit_is_flushed(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    with store.write() as transaction:
        pragma = transaction._connection.execute  # type: ignore[attr-defined]
        assert pragma("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


# Refusals


def test_a_newer_schema_is_refused_by_both_versions(path: Path) -> None:
    SqliteRecordStore.create(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 7")
    raw.close()
    with pytest.raises(Misconfigured, match=rf"schema version 7; .* up to {len(STEPS)}"):
        SqliteRecordStore.open(path)


@pytest.mark.parametrize("statements", [(), ("CREATE TABLE theirs (x)",), ("PRAGMA application_id = 99",)])
def test_somebody_elses_database_is_refused_and_left_alone(path: Path, statements: tuple[str, ...]) -> None:
    raw = sqlite3.connect(path)
    for statement in statements:
        raw.execute(statement)
    raw.close()
    before = path.read_bytes()
    with pytest.raises(Misconfigured, match="belongs to another program"):
        SqliteRecordStore.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("contents", [b"not a database, but long enough for a header" * 100, bytes(4096)])
def test_a_file_that_is_no_database_is_unavailable(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    with pytest.raises(StorageUnavailable, match="not a database") as caught:
        SqliteRecordStore.open(path)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert path.read_bytes() == contents


def test_a_directory_in_its_place_is_unavailable(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        SqliteRecordStore.open(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_database_is_unavailable(path: Path) -> None:
    SqliteRecordStore.create(path).close()
    path.chmod(0)
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        SqliteRecordStore.open(path)


def test_an_old_library_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter.sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(Misconfigured, match=r"at least 3\.37\.0"):
        SqliteRecordStore.create(path)


def test_a_file_system_without_a_log_is_refused(path: Path) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(Misconfigured, match="write-ahead log"):
        adapter._use_log(connection, path)
    connection.close()


# Damage


def test_a_damaged_page_is_unavailable_and_the_cause_is_kept(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    keys = fill(store, 2000)
    store.close()
    damaged = bytearray(path.read_bytes())
    damaged[8192:] = os.urandom(len(damaged) - 8192)
    path.write_bytes(damaged)
    store = SqliteRecordStore.open(path)
    with pytest.raises(StorageUnavailable, match="damaged") as caught, store.read() as transaction:
        transaction.get_many(Table.ENTRIES, keys)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    store.close()


@pytest.mark.parametrize("seed", range(25))
def test_flipped_bytes_give_rows_or_the_error_and_nothing_else(path: Path, seed: int) -> None:
    store = SqliteRecordStore.create(path)
    keys = fill(store, 300)
    store.close()
    chance = random.Random(seed)  # noqa: S311 - reproducible
    damaged = bytearray(path.read_bytes())
    for _ in range(40):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    path.write_bytes(damaged)
    try:
        store = SqliteRecordStore.open(path)
    except (StorageUnavailable, Misconfigured):
        return
    try:
        with store.write() as transaction:
            transaction.get_many(Table.ENTRIES, keys)
            transaction.insert(Table.VAULTS, K1, b"a")
    except StorageUnavailable:
        pass
    finally:
        store.close()


def test_a_truncated_database_is_unavailable(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    keys = fill(store, 2000)
    store.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(StorageUnavailable):  # noqa: PT012 - at opening or at reading, as the library likes
        store = SqliteRecordStore.open(path)
        try:
            with store.read() as transaction:
                transaction.get_many(Table.ENTRIES, keys)
        finally:
            store.close()


@pytest.mark.parametrize("columns", [("k", 1, b"v"), (b"k", "1", b"v"), (b"k", 1, "v"), (b"k", 1, None)])
def test_a_column_of_another_type_is_damage(path: Path, columns: tuple[object, ...]) -> None:
    store = SqliteRecordStore.create(path)
    with store.read() as transaction, pytest.raises(StorageUnavailable, match="damaged"):
        transaction._row(*columns)
    store.close()


def test_a_connection_that_cannot_go_back_is_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteRecordStore.create(path)
    real = store._writer
    assert real is not None

    class Stuck:
        in_transaction = True
        close = staticmethod(real.close)

        @staticmethod
        def execute(statement: str, *rest: Any) -> sqlite3.Cursor:
            if statement == "ROLLBACK":
                raise sqlite3.OperationalError("disk I/O error")
            return real.execute(statement, *rest)

    monkeypatch.setattr(store, "_writer", Stuck())
    with pytest.raises(KeyError), store.write() as transaction:  # noqa: PT012 - the block is what is tested
        transaction.insert(Table.VAULTS, K1, b"a")
        raise KeyError
    with store.write() as transaction:
        assert transaction.get(Table.VAULTS, K1) is None
        transaction.insert(Table.VAULTS, K2, b"b")
    with store.read() as reading:
        assert reading.get(Table.VAULTS, K2) is not None
    store.close()


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=400k,mode=0700", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(options, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_undoes_the_write_and_keeps_the_rest(small_disk: Path) -> None:
    store = SqliteRecordStore.create(small_disk / "store.db")
    stored: list[bytes] = []

    def add_one(size: int) -> None:
        key = len(stored).to_bytes(32, "big")
        with store.write() as transaction:
            transaction.insert(Table.ENTRIES, key, bytes(size))
            transaction.insert(Table.VAULTS, key, b"beside it")
        stored.append(key)

    with pytest.raises(StorageUnavailable, match="full") as caught:  # noqa: PT012 - the block is what is tested
        for _ in range(1000):
            add_one(3000)
    assert caught.value.hint
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert stored
    with store.read() as transaction:  # every acknowledged row is there and nothing of the failed one
        assert set(transaction.get_many(Table.ENTRIES, stored)) == set(stored)
        assert transaction.get(Table.ENTRIES, len(stored).to_bytes(32, "big")) is None
        assert transaction.get(Table.VAULTS, len(stored).to_bytes(32, "big")) is None
    store.close()
    store = SqliteRecordStore.open(small_disk / "store.db")
    with store.read() as transaction:
        assert set(transaction.get_many(Table.ENTRIES, stored)) == set(stored)
    store.close()


def test_no_room_for_a_new_database_leaves_nothing_behind(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=1k"], capture_output=True, check=False)
    with pytest.raises(StorageUnavailable):
        SqliteRecordStore.create(small_disk / "store.db")
    assert names(small_disk) == {"ballast"}


_WRITE_UNTIL_REFUSED = """
import resource, sys
from pathlib import Path
from strongroom.base.errors import StorageUnavailable
from strongroom.storage.sqlite import SqliteRecordStore
store = SqliteRecordStore.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(1000):
        with store.write() as transaction:
            transaction.insert("entries", number.to_bytes(32, "big"), bytes(3000))
        print(number, flush=True)
except StorageUnavailable as refused:
    print(type(refused.__cause__).__name__, refused)
"""


def test_a_refused_write_of_the_system_undoes_the_write_and_keeps_the_rest(path: Path) -> None:
    SqliteRecordStore.create(path).close()
    done = subprocess.run(
        [sys.executable, "-c", _WRITE_UNTIL_REFUSED, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    *acknowledged, last = done.stdout.splitlines()
    assert last.startswith("OperationalError ")
    assert "reading or writing failed on the disk" in last or "the disk is full" in last
    keys = [int(number).to_bytes(32, "big") for number in acknowledged]
    assert keys
    store = SqliteRecordStore.open(path)
    with store.read() as transaction:
        assert set(transaction.get_many(Table.ENTRIES, keys)) == set(keys)
        assert transaction.get(Table.ENTRIES, len(keys).to_bytes(32, "big")) is None
    store.close()


def limit_pages(store: SqliteRecordStore, pages: int) -> None:
    with store.write() as transaction:
        transaction._connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]


def test_going_on_after_a_failure_inside_a_transaction_commits_nothing(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    limit_pages(store, 20)
    with pytest.raises(StorageUnavailable), store.write() as transaction:  # noqa: PT012 - the block is what is tested
        transaction.insert(Table.VAULTS, K1, b"before")
        with pytest.raises(StorageUnavailable, match="full"):
            transaction.insert(Table.VAULTS, K2, bytes(1_000_000))
        transaction.insert(Table.ENTRIES, K2, b"after")
    with store.read() as reading:
        assert reading.get(Table.VAULTS, K1) is None
        assert reading.get(Table.ENTRIES, K2) is None
    store.close()


def test_swallowing_a_failure_does_not_make_a_commit(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    limit_pages(store, 20)
    with pytest.raises(StorageUnavailable), store.write() as transaction:  # noqa: PT012 - the block is what is tested
        transaction.insert(Table.VAULTS, K1, b"before")
        with pytest.raises(StorageUnavailable, match="full"):
            transaction.insert(Table.VAULTS, K2, bytes(1_000_000))
    with store.read() as reading:
        assert reading.get(Table.VAULTS, K1) is None
    limit_pages(store, 10_000)
    fill(store, 10)
    store.close()


# Mistakes in programs stay what they are


def test_a_value_of_another_type_is_not_called_a_failing_disk(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    with pytest.raises(sqlite3.IntegrityError), store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, "text")  # type: ignore[arg-type]
    with store.read() as reading:
        assert reading.get(Table.VAULTS, K1) is None
    store.close()


def test_closing_inside_a_write_is_a_mistake_and_not_a_deadlock(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"a")
        with pytest.raises(RuntimeError, match="open in this thread"):
            store.close()
    store.close()


# Several threads and processes


def test_a_read_that_outlives_closing_ends_well(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    fill(store, 1)
    with store.read() as transaction:
        store.close()
        assert transaction.get(Table.ENTRIES, bytes(32)) is not None
    assert names(path.parent) == {"store.db"}


def test_a_write_waits_for_its_turn_only_so_long(path: Path) -> None:
    store = SqliteRecordStore.create(path, busy_seconds=0.05)
    caught: list[BaseException] = []

    def second() -> None:
        try:
            with store.write():
                pass
        except StorageUnavailable as refused:
            caught.append(refused)

    with store.write():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    (refused,) = caught
    assert isinstance(refused, StorageUnavailable)
    assert refused.retry_after_seconds
    with store.write():
        pass
    store.close()


def test_another_process_that_writes_makes_us_wait_and_then_give_up(path: Path) -> None:
    store = SqliteRecordStore.create(path, busy_seconds=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="somebody else holds") as caught, store.write():
        pass
    assert caught.value.retry_after_seconds
    with store.read() as transaction:  # readers do not care
        assert transaction.get(Table.VAULTS, K1) is None
    other.execute("ROLLBACK")
    other.close()
    fill(store, 1)
    store.close()


def test_readers_beyond_the_pool_are_closed(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    reading = [store.read() for _ in range(12)]
    for one in reading:
        one.__enter__()
    for one in reading:
        one.__exit__(None, None, None)
    assert len(store._readers) == adapter._IDLE_READERS
    store.close()


_COUNT_UP = """
import sys
from pathlib import Path
from strongroom.storage.sqlite import SqliteRecordStore
store = SqliteRecordStore.open(Path(sys.argv[1]), busy_seconds=60)
for _ in range(60):
    with store.write() as transaction:
        row = transaction.get("vaults", bytes(32))
        transaction.replace("vaults", bytes(32), expected_version=row.version, value=b"%d" % (int(row.value) + 1))
store.close()
"""


def test_two_processes_share_a_database_safely(path: Path) -> None:
    store = SqliteRecordStore.create(path)
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, bytes(32), b"0")
    running = [subprocess.Popen([sys.executable, "-c", _COUNT_UP, str(path)]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    with store.read() as reading:
        row = reading.get(Table.VAULTS, bytes(32))
    assert row is not None
    assert (row.version, row.value) == (121, b"120")
    store.close()


# Crashes

_WRITE_AND_SAY_SO = """
import os, sys
from pathlib import Path
from strongroom.storage.sqlite import SqliteRecordStore
store = SqliteRecordStore.open(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    with store.write() as transaction:
        transaction.insert("entries", number.to_bytes(32, "big"), b"e" * 2000)
        transaction.insert("vaults", number.to_bytes(32, "big"), b"v")
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def test_a_killed_writer_loses_nothing_it_acknowledged_and_leaves_nothing_half(path: Path) -> None:
    SqliteRecordStore.create(path).close()
    chance = random.Random(1)  # noqa: S311 - reproducible
    acknowledged = -1
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITE_AND_SAY_SO, str(path), str(acknowledged + 2)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(chance.randrange(1, 60)):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout.read().splitlines(keepends=True):
            acknowledged = int(line) if line.endswith(b"\n") else acknowledged
        writer.wait()
        writer.stdout.close()
        store = SqliteRecordStore.open(path)
        keys = [number.to_bytes(32, "big") for number in range(acknowledged + 2)]
        with store.read() as transaction:
            entries = set(transaction.get_many(Table.ENTRIES, keys))
            assert entries == set(transaction.get_many(Table.VAULTS, keys))
            assert acknowledged.to_bytes(32, "big") in entries
        store.close()
    written = sqlite3.connect(path)
    assert written.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    written.close()
