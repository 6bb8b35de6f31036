"""Merkle trees as RFC 9162 section 2.1 has them, over leaves that are already hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.crypto.hashing import equal, sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MerkleTree", "leaf_hash", "path_length", "verify_inclusion"]


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf; the prefix 0x00 keeps leaves and nodes apart."""
    return sha256(b"\x00" + data)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


class MerkleTree:
    """A tree over leaf hashes, built once; each path is then read off in logarithmic time.

    Nodes are paired level by level and an odd last one moves up unpaired, which gives the RFC's tree, whose left
    part always has the largest power of two of leaves that is smaller than the whole.
    """

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("an empty tree has no root")
        self._levels = [tuple(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            paired = [_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
            self._levels.append((*paired, below[-1]) if len(below) % 2 else tuple(paired))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """The root hash."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """Give the audit path of leaf ``index``, nearest sibling first (RFC 9162 section 2.1.3.1)."""
        if not 0 <= index < self.size:
            raise ValueError("no such leaf")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return tuple(path)


def _split(size: int) -> int:
    """Give the largest power of two smaller than ``size`` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1


def path_length(size: int, index: int) -> int:
    """Give the exact number of nodes in the path of leaf ``index`` in a tree of ``size`` leaves."""
    length = 0
    while size > 1:
        split = _split(size)
        size, index = (split, index) if index < split else (size - split, index - split)
        length += 1
    return length


def verify_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Check a path completely: index below size, exact length, the root that results (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or len(path) != path_length(size, index):
        return False
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if position & 1 or position == last:
            node = _node(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = _node(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and equal(node, root)
