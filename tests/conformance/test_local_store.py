"""What every local store of a client does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from strongroom.base.errors import StorageUnavailable
from strongroom.storage.local_encrypted import create_local_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from strongroom.client.ports import LocalStore

ADAPTERS: dict[str, Callable[[Path], LocalStore]] = {
    "encrypted": lambda directory: create_local_store(directory / "local.db", bytes(range(32))),
}


@pytest.fixture(params=ADAPTERS)
def local(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalStore]:
    opened = ADAPTERS[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("value", [b"", b"value", bytes(range(256)) * 2000])
def test_a_value_comes_back_as_it_was(local: LocalStore, value: bytes) -> None:
    local.put("record", b"k", value)
    assert local.get("record", b"k") == value


def test_a_missing_value_is_none(local: LocalStore) -> None:
    assert local.get("record", b"k") is None


def test_putting_again_replaces(local: LocalStore) -> None:
    local.put("record", b"k", b"a")
    local.put("record", b"k", b"b")
    assert local.get("record", b"k") == b"b"
    assert list(local.items("record")) == [(b"k", b"b")]


def test_kinds_and_keys_do_not_mix(local: LocalStore) -> None:
    local.put("ab", b"c", b"1")
    local.put("a", b"bc", b"2")
    local.put("a", b"", b"3")
    assert (local.get("ab", b"c"), local.get("a", b"bc"), local.get("a", b"")) == (b"1", b"2", b"3")
    assert local.get("abc", b"") is None


def test_deleting_removes_and_may_be_repeated(local: LocalStore) -> None:
    local.put("record", b"k", b"a")
    local.delete("record", b"k")
    local.delete("record", b"k")
    assert local.get("record", b"k") is None


def test_items_come_in_the_order_of_their_keys(local: LocalStore) -> None:
    for key in (b"b", b"\xff", b"a", b"ab", b"\x00"):
        local.put("record", key, key * 2)
    local.put("other", b"z", b"")
    assert list(local.items("record")) == [(key, key * 2) for key in (b"\x00", b"a", b"ab", b"b", b"\xff")]


def test_items_are_those_of_the_call(local: LocalStore) -> None:
    local.put("record", b"a", b"1")
    items = local.items("record")
    local.put("record", b"b", b"2")
    local.delete("record", b"a")
    assert list(items) == [(b"a", b"1")]


def test_a_transaction_reads_its_own_changes_and_keeps_them(local: LocalStore) -> None:
    with local.transaction():
        local.put("record", b"a", b"1")
        local.put("record", b"b", b"2")
        local.delete("record", b"a")
        assert local.get("record", b"b") == b"2"
        assert list(local.items("record")) == [(b"b", b"2")]
    assert list(local.items("record")) == [(b"b", b"2")]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_undoes_the_transaction(local: LocalStore, error: type[BaseException]) -> None:
    local.put("record", b"a", b"1")
    with pytest.raises(error), local.transaction():  # noqa: PT012 - the block is what is tested
        local.put("record", b"a", b"changed")
        local.put("record", b"b", b"2")
        raise error
    assert list(local.items("record")) == [(b"a", b"1")]
    local.put("record", b"c", b"the next one works")


def test_transactions_do_not_nest(local: LocalStore) -> None:
    with local.transaction():
        local.put("record", b"a", b"1")
        with pytest.raises(RuntimeError, match="nest"), local.transaction():
            pass
    assert local.get("record", b"a") == b"1"


def test_threads_wait_for_a_transaction(local: LocalStore) -> None:
    local.put("count", b"n", b"0")

    def count() -> None:
        for _ in range(20):
            with local.transaction():
                number = int(local.get("count", b"n") or b"")
                local.put("count", b"n", b"%d" % (number + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert local.get("count", b"n") == b"80"


def test_a_key_that_is_too_long_is_a_mistake(local: LocalStore) -> None:
    local.put("record", bytes(64), b"")
    with pytest.raises(ValueError, match="64 bytes"):
        local.put("record", bytes(65), b"")


def test_a_closed_store_is_unavailable_and_closes_again(local: LocalStore) -> None:
    local.close()
    local.close()
    with pytest.raises(StorageUnavailable):
        local.get("record", b"a")
    with pytest.raises(StorageUnavailable), local.transaction():
        pass


def test_it_does_not_close_in_a_transaction(local: LocalStore) -> None:
    with local.transaction():
        local.put("record", b"a", b"1")
        with pytest.raises(RuntimeError, match="open"):
            local.close()
    assert local.get("record", b"a") == b"1"
