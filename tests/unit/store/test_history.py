"""A vault's tree in the database: every path at every size, and what happens when a row of it is gone."""

from __future__ import annotations

import pytest

from strongroom.base.errors import StorageUnavailable
from strongroom.crypto.merkle import MerkleTree, consistency_roots, leaf_hash
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store import history as history_module
from strongroom.store.history import VaultHistory
from strongroom.store.keys import StoreKeys
from strongroom.store.ports import Table
from strongroom.store.sealing import OneKey, SealedRows

VAULT = b"vault-0123456789"
KEYS = StoreKeys.derive(b"r" * 32, 1)
LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(300)]


class Kept:
    """A vault's leaves and the tiles over them, in a database."""

    def __init__(self) -> None:
        self.storage = MemoryRecordStore()
        self.history = VaultHistory(SealedRows(OneKey(KEYS.sealing)), KEYS)
        self.length = 0
        self.read: list[tuple[int, int]] = []

    def leaves_of(self, start: int, end: int) -> list[bytes]:
        self.read.append((start, end))
        return LEAVES[start:end]

    def grow(self, count: int) -> None:
        with self.storage.write() as transaction:
            after = self.length + count
            self.history.grow(transaction, VAULT, before=self.length, after=after, leaves_of=self.leaves_of)
        self.length = after

    def path(self, first: int, second: int) -> tuple[bytes, ...]:
        with self.storage.read() as transaction:
            return self.history.path(transaction, VAULT, first=first, second=second, leaves_of=self.leaves_of)


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of four nodes, so that a few hundred leaves have several levels of them."""
    monkeypatch.setattr(history_module, "_HEIGHT", 2)
    monkeypatch.setattr(history_module, "_WIDTH", 4)


@pytest.mark.usefixtures("_narrow")
@pytest.mark.parametrize("step", [1, 3, 50])
def test_every_path_leads_from_root_to_root(step: int) -> None:
    kept = Kept()
    while kept.length + step <= 100:
        kept.grow(step)
        for first in range(1, kept.length):
            roots = consistency_roots(first, kept.length, kept.path(first, kept.length))
            assert roots == (MerkleTree(LEAVES[:first]).root, MerkleTree(LEAVES[: kept.length]).root)


@pytest.mark.usefixtures("_narrow")
def test_a_path_between_two_lengths_that_are_both_over() -> None:
    kept = Kept()
    kept.grow(100)
    for first, second in ((1, 2), (7, 64), (33, 97), (64, 65)):
        roots = consistency_roots(first, second, kept.path(first, second))
        assert roots == (MerkleTree(LEAVES[:first]).root, MerkleTree(LEAVES[:second]).root)


def test_a_path_reads_few_entries() -> None:
    kept = Kept()
    kept.grow(256)
    kept.grow(44)
    kept.read.clear()
    kept.path(100, 300)
    assert kept.read == [(256, 300)]


def without(kept: Kept, level: int) -> None:
    key = KEYS.identifier("tile", VAULT, level.to_bytes(1, "big"), bytes(8))
    with kept.storage.write() as transaction:
        row = transaction.get(Table.VAULTS, key)
        transaction.delete(Table.VAULTS, key, expected_version=row.version)


@pytest.mark.usefixtures("_narrow")
@pytest.mark.parametrize("level", [1, 2])
def test_a_missing_row_of_the_tree_is_named(level: int) -> None:
    kept = Kept()
    kept.grow(64)
    without(kept, level)
    with pytest.raises(StorageUnavailable, match="tree is missing"):
        kept.path(1, 64)


@pytest.mark.usefixtures("_narrow")
def test_a_tree_does_not_grow_on_a_missing_row() -> None:
    kept = Kept()
    kept.grow(8)
    without(kept, 1)
    with pytest.raises(StorageUnavailable, match="cut short"):
        kept.grow(4)


@pytest.mark.usefixtures("_narrow")
def test_an_older_row_of_the_tree_is_named() -> None:
    kept = Kept()
    key = KEYS.identifier("tile", VAULT, b"\x01", bytes(8))
    rows = SealedRows(OneKey(KEYS.sealing))
    kept.grow(4)
    kept.length = 16
    with pytest.raises(StorageUnavailable, match="cut short"):
        kept.path(8, 16)
    with kept.storage.read() as transaction:
        assert len(rows.get(transaction, Table.VAULTS, key).value) == 32
