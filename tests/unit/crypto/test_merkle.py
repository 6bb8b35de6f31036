"""Merkle trees against the RFC's recursive definition, and every wrong proof of every small tree."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.merkle import (
    MerkleTree,
    consistency_path,
    consistency_roots,
    frontier_root,
    grow_frontier,
    leaf_hash,
    path_length,
    verify_inclusion,
)

SIZES = range(1, 34)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]


def root_hash(nodes: list[bytes]) -> bytes:
    """The RFC's definition (section 2.1.1), by recursion."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root_hash(nodes[:split]) + root_hash(nodes[split:])).digest()


def recursive_path(nodes: list[bytes], index: int) -> tuple[bytes, ...]:
    """The RFC's definition of an audit path (section 2.1.3.1), by recursion."""
    if len(nodes) == 1:
        return ()
    split = 1 << (len(nodes) - 1).bit_length() - 1
    if index < split:
        return (*recursive_path(nodes[:split], index), root_hash(nodes[split:]))
    return (*recursive_path(nodes[split:], index - split), root_hash(nodes[:split]))


def inclusion_path(nodes: list[bytes], index: int) -> tuple[bytes, ...]:
    return MerkleTree(nodes).path(index)


def sides(size: int, index: int) -> str:
    """Say on which side each sibling stands, nearest first."""
    path = ""
    while size > 1:
        if index % 2:
            path += "L"
        elif index + 1 < size:
            path += "R"
        index, size = index // 2, (size + 1) // 2
    return path


@pytest.mark.parametrize("size", SIZES)
def test_root_and_paths_are_those_of_the_naive_tree(size):
    nodes = leaves(size)
    tree = MerkleTree(nodes)
    assert tree.size == size
    assert tree.root == root_hash(nodes)
    for index in range(size):
        expected = recursive_path(nodes, index)
        assert tree.path(index) == expected
        assert path_length(size, index) == len(expected) == len(sides(size, index))


@pytest.mark.parametrize("size", SIZES)
def test_every_leaf_is_included_at_its_index_and_nowhere_else(size):
    nodes = leaves(size)
    root = root_hash(nodes)
    for index in range(size):
        path = inclusion_path(nodes, index)
        for claimed in range(-1, size + 2):
            included = verify_inclusion(nodes[index], index=claimed, size=size, path=path, root=root)
            assert included is (claimed == index)


@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_size_is_refused_wherever_it_moves_a_sibling(size):
    # The root does not commit to the size: a tree of another size can have the same path. The claims name both.
    nodes = leaves(size)
    root = root_hash(nodes)
    for index in range(size):
        path = inclusion_path(nodes, index)
        for claimed in range(-1, 2 * size + 2):
            same = index < claimed and sides(claimed, index) == sides(size, index)
            assert verify_inclusion(nodes[index], index=index, size=claimed, path=path, root=root) is same


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_another_leaf_path_or_root_is_refused(size):
    nodes = leaves(size)
    root, other = root_hash(nodes), bytes(32)
    for index in range(size):
        path = inclusion_path(nodes, index)
        good = {"index": index, "size": size, "path": path, "root": root}
        assert not verify_inclusion(other, **good)
        assert not verify_inclusion(nodes[index], **good | {"root": other})
        assert not verify_inclusion(nodes[index], **good | {"root": b""})
        assert not verify_inclusion(nodes[index], **good | {"path": (*path, other)})
        assert not verify_inclusion(nodes[index], **good | {"path": (other, *path)})
        for at in range(len(path)):
            assert not verify_inclusion(nodes[index], **good | {"path": path[:at] + path[at + 1 :]})
            assert not verify_inclusion(nodes[index], **good | {"path": (*path[:at], other, *path[at + 1 :])})
        if len(path) > 1:
            assert not verify_inclusion(nodes[index], **good | {"path": path[::-1]})


def test_a_node_cannot_pose_as_a_leaf():
    nodes = leaves(4)
    inner = [root_hash(nodes[:2]), root_hash(nodes[2:])]
    # with the inner nodes as "leaves" the root is the same, so only the prefix of real leaves tells them apart
    assert root_hash(inner) == root_hash(nodes)
    assert leaf_hash(nodes[0] + nodes[1]) != inner[0]


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40, unique=True), st.data())
def test_any_tree_proves_any_leaf(contents, data):
    nodes = [leaf_hash(content) for content in contents]
    index = data.draw(st.integers(0, len(nodes) - 1))
    path = inclusion_path(nodes, index)
    assert verify_inclusion(nodes[index], index=index, size=len(nodes), path=path, root=root_hash(nodes))


def test_huge_sizes_cost_nothing():
    assert path_length(2**64, 2**64 - 1) == 64
    assert not verify_inclusion(bytes(32), index=5, size=2**64, path=(), root=bytes(32))


def test_an_empty_tree_and_a_missing_leaf_are_refused():
    with pytest.raises(ValueError, match="no root"):
        MerkleTree([])
    for index in (-1, 3):
        with pytest.raises(ValueError, match="no such leaf"):
            inclusion_path(leaves(3), index)


def test_a_leaf_has_its_prefix():
    assert leaf_hash(b"abc") == hashlib.sha256(b"\x00abc").digest()


def recursive_consistency(first: int, nodes: list[bytes], *, is_whole: bool = True) -> tuple[bytes, ...]:
    """The RFC's definition of a consistency proof (section 2.1.4.1), by recursion."""
    if first == len(nodes):
        return () if is_whole else (root_hash(nodes),)
    split = 1 << (len(nodes) - 1).bit_length() - 1
    if first <= split:
        return (*recursive_consistency(first, nodes[:split], is_whole=is_whole), root_hash(nodes[split:]))
    return (*recursive_consistency(first - split, nodes[split:], is_whole=False), root_hash(nodes[:split]))


def path_between(first: int, nodes: list[bytes]) -> tuple[bytes, ...]:
    def complete(level: int, index: int) -> bytes:
        assert (index + 1) << level <= len(nodes)
        return root_hash(nodes[index << level : (index + 1) << level])

    return consistency_path(first, len(nodes), complete)


@pytest.mark.parametrize("second", range(2, 34))
def test_consistency_paths_are_the_rfcs_with_their_first_node_written_down(second):
    nodes = leaves(second)
    for first in range(1, second):
        path = path_between(first, nodes)
        written = recursive_consistency(first, nodes)
        assert path == (written if first & (first - 1) else (root_hash(nodes[:first]), *written))
        assert consistency_roots(first, second, path) == (root_hash(nodes[:first]), root_hash(nodes))


@pytest.mark.parametrize("second", range(2, 12))
def test_a_changed_consistency_path_leads_to_other_roots_or_to_none(second):
    nodes = leaves(second)
    for first in range(1, second):
        path, roots = path_between(first, nodes), (root_hash(nodes[:first]), root_hash(nodes))
        changed = [
            path[:-1],
            (*path, bytes(32)),
            *((*path[:place], bytes(32), *path[place + 1 :]) for place in range(len(path))),
        ]
        for other in changed:
            found = consistency_roots(first, second, other)
            # a path that ends in the known root shows the one root of its beginning
            assert found is None or found[1] != roots[1]


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 3), (4, 3), (-1, 3)])
def test_consistency_of_sizes_that_make_no_sense(first, second):
    assert consistency_roots(first, second, [bytes(32)]) is None
    with pytest.raises(ValueError, match="smaller tree"):
        consistency_path(first, second, lambda level, index: bytes(32))


def test_an_empty_consistency_path_shows_nothing():
    assert consistency_roots(1, 2, ()) is None


@pytest.mark.parametrize("size", range(34))
def test_a_frontier_grows_into_the_tree(size):
    nodes = leaves(size)
    at_once = grow_frontier((), 0, nodes)
    one_by_one: tuple[bytes, ...] = ()
    for place, leaf in enumerate(nodes):
        one_by_one = grow_frontier(one_by_one, place, [leaf])
    assert at_once == one_by_one
    assert len(at_once) == size.bit_count()
    assert frontier_root(at_once) == (root_hash(nodes) if nodes else hashlib.sha256(b"").digest())


def test_a_frontier_of_another_size_is_a_mistake():
    with pytest.raises(ValueError, match="no frontier"):
        grow_frontier((bytes(32),), 3, [])
