"""Merkle trees as RFC 9162 section 2.1 has them, over leaves that are already hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.crypto.hashing import equal, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "EMPTY_ROOT",
    "MerkleTree",
    "consistency_path",
    "consistency_roots",
    "frontier_root",
    "grow_frontier",
    "leaf_hash",
    "path_length",
    "subtree_root",
    "verify_inclusion",
]

EMPTY_ROOT: Final = sha256(b"")
"""The root of a tree without leaves (RFC 9162 section 2.1.1)."""


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

    def complete(self, level: int, index: int) -> bytes:
        """Give the root over the 2^level leaves from index * 2^level on, as ``consistency_path`` asks for it."""
        if not 0 <= index < self.size >> level:
            raise ValueError("no such complete subtree")
        return self._levels[level][index]

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
    """Give the exact number of nodes in the path of leaf ``index`` in a tree of ``size`` leaves.

    Up to where the leaf's way meets the last leaf's there is a sibling on each level; above, one for each turn.
    """
    below = (index ^ (size - 1)).bit_length()
    return below + (index >> below).bit_count()


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


def grow_frontier(frontier: Sequence[bytes], size: int, leaves: Iterable[bytes]) -> tuple[bytes, ...]:
    """Add leaves to a tree of which only its *frontier* is kept, and give the new one.

    The frontier of ``size`` leaves is the roots of the complete subtrees that they fall into, the largest first: one
    for each bit that is set in ``size``.
    """
    if len(frontier) != size.bit_count():
        raise ValueError("this is no frontier of that size")
    nodes = list(frontier)
    for leaf in leaves:
        node, complete = leaf, size
        while complete & 1:
            node = _node(nodes.pop(), node)
            complete >>= 1
        nodes.append(node)
        size += 1
    return tuple(nodes)


def frontier_root(frontier: Sequence[bytes]) -> bytes:
    """Give the root of the tree that a frontier stands for."""
    if not frontier:
        return EMPTY_ROOT
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = _node(left, node)
    return node


def subtree_root(start: int, end: int, complete: Callable[[int, int], bytes]) -> bytes:
    """Give the root over the leaves from ``start`` to before ``end``, a range as it occurs in a consistency path.

    ``complete(level, index)`` gives the root over the 2^level leaves from index * 2^level on.
    """
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return complete(level, start >> level)
    middle = start + _split(size)
    return _node(subtree_root(start, middle, complete), subtree_root(middle, end, complete))


def consistency_path(first: int, second: int, complete: Callable[[int, int], bytes]) -> tuple[bytes, ...]:
    """Give the path that shows a tree of ``first`` leaves to begin one of ``second`` (0 < first < second).

    It is the consistency proof of RFC 9162 section 2.1.4.1, except that the node that its verification starts from
    is always written down: the RFC leaves it out where it is the first tree's root, and then the proof could not
    show what *another* root would have been the right one. ``complete`` is as in ``subtree_root``.
    """
    if not 0 < first < second:
        raise ValueError("a consistency path leads from a smaller tree to a larger one")
    path: list[bytes] = []
    start, end, size = 0, second, first
    while size != end - start:
        split = _split(end - start)
        if size <= split:
            path.append(subtree_root(start + split, end, complete))
            end = start + split
        else:
            path.append(subtree_root(start, start + split, complete))
            start, size = start + split, size - split
    path.append(subtree_root(start, end, complete))
    return tuple(reversed(path))


def consistency_roots(first: int, second: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Give the roots of the trees of ``first`` and ``second`` leaves that a consistency path is about.

    If the second is the known root, then the first is the root over its first leaves, and no other is. ``None`` when
    the sizes make no sense or the path has another length than theirs (RFC 9162 section 2.1.4.2).
    """
    if not 0 < first < second or not path:
        return None
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    smaller = larger = path[0]
    for node in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            smaller, larger = _node(node, smaller), _node(node, larger)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            larger = _node(larger, node)
        position, last = position >> 1, last >> 1
    return (smaller, larger) if last == 0 else None
