"""Merkle trees as RFC 9162 section 2.1 has them, over leaves that are already hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.crypto.hashing import equal, sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["inclusion_path", "leaf_hash", "path_length", "root_hash", "verify_inclusion"]


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf; the prefix 0x00 keeps leaves and nodes apart."""
    return sha256(b"\x00" + data)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def _split(size: int) -> int:
    """Give the largest power of two smaller than ``size`` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """Give the root over leaf hashes; an empty tree has none here and is refused."""
    if not leaves:
        raise ValueError("an empty tree has no root")
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return _node(root_hash(leaves[:split]), root_hash(leaves[split:]))


def inclusion_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Give the audit path of leaf ``index``, nearest sibling first (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise ValueError("no such leaf")
    if len(leaves) == 1:
        return ()
    split = _split(len(leaves))
    if index < split:
        return (*inclusion_path(leaves[:split], index), root_hash(leaves[split:]))
    return (*inclusion_path(leaves[split:], index - split), root_hash(leaves[:split]))


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
