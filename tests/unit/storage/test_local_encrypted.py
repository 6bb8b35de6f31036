"""The client's local database: what the file shows, wrong keys, damage, other processes, crashes."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from strongroom.base.errors import Misconfigured, StorageUnavailable
from strongroom.crypto.kdf import derive
from strongroom.storage import local_encrypted as adapter
from strongroom.storage.local_encrypted import create_local_store, open_local_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "local.db"


def test_file_and_directory_are_private(tmp_path: Path) -> None:
    local = create_local_store(tmp_path / "home" / "local.db", KEY)
    local.put("record", b"k", b"v")
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in (tmp_path / "home").iterdir()} == {0o600}
    local.close()
    assert [entry.name for entry in (tmp_path / "home").iterdir()] == ["local.db"]


def test_a_directory_that_others_may_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(Misconfigured, match="other users may write"):
        create_local_store(shared / "local.db", KEY)


def test_the_file_shows_neither_kinds_nor_keys_nor_values(path: Path) -> None:
    local = create_local_store(path, KEY)
    with local.transaction():
        for number in range(100):
            local.put("a-kind-of-record", b"a-key-%d" % number, b"a-value" * 20)
    log = path.with_name(path.name + "-wal").read_bytes()
    local.close()
    for data in (path.read_bytes(), log):
        assert len(data) > 10_000
        for secret in (b"SQLite format", b"a-kind", b"a-key", b"a-value", b"CREATE TABLE"):
            assert secret not in data


def test_sqlcipher_alone_does_not_open_values(path: Path) -> None:
    local = create_local_store(path, KEY)
    local.put("record", b"k", b"a secret value")
    local.close()
    raw = adapter._connect(path, KEY, 1.0)
    ((stored,),) = raw.execute("SELECT value FROM items").fetchall()
    raw.close()
    assert b"a secret value" not in stored


def test_a_value_in_the_place_of_another_is_refused(path: Path) -> None:
    local = create_local_store(path, KEY)
    local.put("record", b"one", b"1")
    local.put("record", b"two", b"2")
    local.close()
    raw = adapter._connect(path, KEY, 1.0)
    raw.execute("UPDATE items SET value = (SELECT value FROM items WHERE key = ?) WHERE key = ?", (b"one", b"two"))
    raw.execute("INSERT INTO items SELECT 'view', key, value FROM items WHERE key = ?", (b"one",))
    raw.close()
    local = open_local_store(path, KEY)
    assert local.get("record", b"one") == b"1"
    for kind, key in (("record", b"two"), ("view", b"one")):
        with pytest.raises(StorageUnavailable, match=f"kind '{kind}' is damaged"):
            local.get(kind, key)
    with pytest.raises(StorageUnavailable, match="damaged"):
        list(local.items("record"))
    local.close()


def test_values_are_there_after_opening_again(path: Path) -> None:
    local = create_local_store(path, KEY)
    local.put("record", b"k", b"v")
    local.close()
    local = open_local_store(path, KEY)
    assert local.get("record", b"k") == b"v"
    local.close()


def test_creating_over_a_database_is_refused_and_keeps_it(path: Path) -> None:
    create_local_store(path, KEY).close()
    before = path.read_bytes()
    with pytest.raises(Misconfigured, match="exists already"):
        create_local_store(path, KEY)
    assert path.read_bytes() == before


def test_a_missing_database_is_an_error_with_a_hint_and_is_not_made(path: Path) -> None:
    with pytest.raises(Misconfigured, match="no local database") as caught:
        open_local_store(path, KEY)
    assert caught.value.hint
    assert not path.exists()


def test_a_key_of_another_length_is_a_mistake(path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        create_local_store(path, KEY[:31])
    with pytest.raises(ValueError, match="32 bytes"):
        open_local_store(path, KEY + b"\x00")


def test_a_wrong_key_is_a_clear_error_that_tells_no_secret(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    create_local_store(path, KEY).close()
    wrong = bytes(range(100, 132))
    with pytest.raises(StorageUnavailable, match="the key is wrong, or the file is damaged") as caught:
        open_local_store(path, wrong)
    text = "".join(traceback.format_exception(caught.value)) + caught.value.hint + "".join(capfd.readouterr())
    for secret in ("PRAGMA", "x'", wrong.hex(), derive(wrong, "strongroom v1 local database").hex(), repr(wrong)):
        assert secret.lower() not in text.lower()
    assert caught.value.__cause__ is None
    open_local_store(path, KEY).close()


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: os.urandom(len(data)), lambda data: data[:1000]])
def test_a_file_that_is_no_database_is_a_clear_error(path: Path, damage: object) -> None:
    create_local_store(path, KEY).close()
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises((StorageUnavailable, Misconfigured)):
        open_local_store(path, KEY)
    assert path.read_bytes() == before


@pytest.mark.parametrize("seed", range(15))
def test_a_flipped_bit_gives_the_value_or_the_error(path: Path, seed: int) -> None:
    local = create_local_store(path, KEY)
    with local.transaction():
        for number in range(50):
            local.put("record", b"%d" % number, b"value-%d" % number * 30)
    local.close()
    chance = random.Random(seed)  # noqa: S311 - reproducible
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    try:
        local = open_local_store(path, KEY)
    except StorageUnavailable:
        return
    try:
        for number in range(50):
            assert local.get("record", b"%d" % number) == b"value-%d" % number * 30
    except StorageUnavailable:
        pass
    finally:
        local.close()


def test_a_newer_schema_is_refused_by_both_versions(path: Path) -> None:
    create_local_store(path, KEY).close()
    raw = adapter._connect(path, KEY, 1.0)
    raw.execute("PRAGMA user_version = 9")
    raw.close()
    with pytest.raises(Misconfigured, match=r"schema version 9; .* up to 1"):
        open_local_store(path, KEY)
    raw = adapter._connect(path, KEY, 1.0)  # and the refused connection has let go of the file
    raw.close()


# Other processes

_HOLD = """
import sys
from pathlib import Path
from strongroom.storage.local_encrypted import open_local_store
local = open_local_store(Path(sys.argv[1]), bytes(range(32)))
print("open", flush=True)
sys.stdin.readline()
local.put("record", b"k", b"of the other process")
local.close()
"""


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    create_local_store(path, KEY).close()
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_second_process_gets_a_clear_error_after_a_short_wait(path: Path, holder: subprocess.Popen[str]) -> None:
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match="somebody else holds") as caught:
        open_local_store(path, KEY, busy_seconds=0.2)
    assert 0.1 < time.monotonic() - started < 3
    assert caught.value.retry_after_seconds
    assert holder.poll() is None


def test_a_second_process_has_its_turn_when_the_first_lets_go(path: Path, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    local = open_local_store(path, KEY, busy_seconds=30)
    assert local.get("record", b"k") == b"of the other process"
    local.close()


_WRITE_AND_SAY_SO = """
import os, sys
from pathlib import Path
from strongroom.storage.local_encrypted import open_local_store
local = open_local_store(Path(sys.argv[1]), bytes(range(32)), busy_seconds=30)
number = int(sys.argv[2])
while True:
    with local.transaction():
        local.put("record", b"%d" % number, b"r" * 2000)
        local.put("entry", b"%d" % number, b"e")
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def test_a_killed_process_loses_nothing_it_acknowledged_and_leaves_nothing_half(path: Path) -> None:
    create_local_store(path, KEY).close()
    chance = random.Random(2)  # noqa: S311 - reproducible
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
        local = open_local_store(path, KEY)
        records = {key for key, _ in local.items("record")}
        assert records == {key for key, _ in local.items("entry")}
        assert b"%d" % acknowledged in records
        local.close()


# A full disk


def test_a_full_disk_undoes_the_transaction_and_keeps_the_rest(path: Path) -> None:
    local = create_local_store(path, KEY)
    local.put("record", b"before", b"1")
    local._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StorageUnavailable, match="full") as caught, local.transaction():  # noqa: PT012
        local.put("record", b"small", b"2")
        local.put("record", b"large", bytes(1_000_000))
    assert caught.value.hint
    with pytest.raises(StorageUnavailable, match="full"):
        local.put("record", b"large", bytes(1_000_000))
    assert list(local.items("record")) == [(b"before", b"1")]
    local.put("record", b"after", b"3")
    local.close()


def test_going_on_after_a_failure_inside_a_transaction_commits_nothing(path: Path) -> None:
    local = create_local_store(path, KEY)
    local._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StorageUnavailable, match="earlier failure"), local.transaction():  # noqa: PT012
        local.put("record", b"small", b"2")
        with pytest.raises(StorageUnavailable, match="full"):
            local.put("record", b"large", bytes(1_000_000))
    assert list(local.items("record")) == []
    local.put("record", b"after", b"3")
    local.close()


def test_a_connection_that_cannot_go_back_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = create_local_store(path, KEY)
    real = local._connection

    class Stuck:
        in_transaction = True
        close = staticmethod(real.close)

        @staticmethod
        def execute(statement: str, *rest: object) -> object:
            if statement == "ROLLBACK":
                raise adapter.sqlcipher.OperationalError("disk I/O error")
            return real.execute(statement, *rest)

    monkeypatch.setattr(local, "_connection", Stuck())
    with pytest.raises(KeyError), local.transaction():  # noqa: PT012
        local.put("record", b"k", b"v")
        raise KeyError
    with pytest.raises(StorageUnavailable, match="closed"):
        local.get("record", b"k")
    again = open_local_store(path, KEY)
    assert again.get("record", b"k") is None
    again.close()
