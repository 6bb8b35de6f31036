"""The Merkle tree over a vault's chain hashes, kept in sealed rows, so that extension is shown in logarithmic size.

docs/spec/vault-log.md section 8.1. A *tile* is a row with the hashes of up to 256 neighbouring nodes: of leaves, of
the roots over 256 leaves each, of the roots over 65,536, and so on. Leaves that do not fill a tile yet have none:
they are read from the entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.errors import StorageUnavailable
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.merkle import MerkleTree, consistency_path
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

    LeavesOf = Callable[[int, int], Sequence[bytes]]

__all__ = ["VaultHistory"]

_HEIGHT: Final = 8  # levels of the tree between one level of tiles and the next
_WIDTH: Final = 1 << _HEIGHT


class VaultHistory:
    """The trees of one tenant's vaults. ``leaves_of(start, end)`` gives the leaves of a range of entries."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys

    def grow(
        self, transaction: WriteTransaction, vault_id: bytes, *, before: int, after: int, leaves_of: LeavesOf
    ) -> None:
        """Write the tiles that are full now that a vault has ``after`` entries instead of ``before``."""
        for tile in range(before >> _HEIGHT, after >> _HEIGHT):
            leaves = leaves_of(tile << _HEIGHT, (tile + 1) << _HEIGHT)
            self._rows.insert(transaction, Table.VAULTS, self._key(vault_id, 0, tile), b"".join(leaves))
            self._append_node(transaction, vault_id, level=1, index=tile, node=MerkleTree(leaves).root)

    def path(
        self, transaction: ReadTransaction, vault_id: bytes, *, first: int, second: int, leaves_of: LeavesOf
    ) -> tuple[bytes, ...]:
        """Give the consistency path from ``first`` to ``second`` entries, which the vault has at least."""
        tiles: dict[tuple[int, int], Sequence[bytes]] = {}

        def nodes(level: int, tile: int) -> Sequence[bytes]:
            if (level, tile) not in tiles:
                stored = self._rows.get(transaction, Table.VAULTS, self._key(vault_id, level, tile))
                start, end = tile << _HEIGHT, min((tile + 1) << _HEIGHT, second)
                if stored is None and level > 0:
                    raise StorageUnavailable("a vault's tree is missing from the database")
                tiles[level, tile] = leaves_of(start, end) if stored is None else _split(stored.value)
            return tiles[level, tile]

        def complete(level: int, index: int) -> bytes:
            tile_level, height = divmod(level, _HEIGHT)
            start = index << height
            inside = start % _WIDTH
            found = nodes(tile_level, start >> _HEIGHT)[inside : inside + (1 << height)]
            if len(found) != 1 << height:
                raise StorageUnavailable("a vault's tree is cut short in the database")
            return MerkleTree(found).root

        return consistency_path(first, second, complete)

    def erase(self, transaction: WriteTransaction, vault_id: bytes, length: int) -> None:
        """Remove all tiles of a vault that has ``length`` entries."""
        level, nodes = 0, length
        while nodes:
            # of leaves only full tiles have rows; above them a row begins with its first node
            tiles = nodes >> _HEIGHT if level == 0 else -(-nodes >> _HEIGHT)
            for tile in range(tiles):
                key = self._key(vault_id, level, tile)
                row = transaction.get(Table.VAULTS, key)
                if row is not None:
                    transaction.delete(Table.VAULTS, key, expected_version=row.version)
            level, nodes = level + 1, nodes >> _HEIGHT

    def _append_node(
        self, transaction: WriteTransaction, vault_id: bytes, *, level: int, index: int, node: bytes
    ) -> None:
        tile, place = divmod(index, _WIDTH)
        key = self._key(vault_id, level, tile)
        if place == 0:
            self._rows.insert(transaction, Table.VAULTS, key, node)
            return
        row = self._rows.get(transaction, Table.VAULTS, key)
        if row is None or len(row.value) != place * DIGEST_BYTES:
            raise StorageUnavailable("a vault's tree is cut short in the database")
        grown = row.value + node
        self._rows.replace(transaction, Table.VAULTS, key, expected_version=row.version, value=grown)
        if place == _WIDTH - 1:
            root = MerkleTree(_split(grown)).root
            self._append_node(transaction, vault_id, level=level + 1, index=tile, node=root)

    def _key(self, vault_id: bytes, level: int, tile: int) -> bytes:
        return self._keys.identifier("tile", vault_id, level.to_bytes(1, "big"), tile.to_bytes(8, "big"))


def _split(tile: bytes) -> list[bytes]:
    return [tile[start : start + DIGEST_BYTES] for start in range(0, len(tile), DIGEST_BYTES)]
