"""The quorum's counter with members in one process: majorities, members that come back, clones, and partitions."""

from __future__ import annotations

import contextlib
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum_group import ANCHOR, Group, Way
from strongroom.base.errors import AnchorMoved, AnchorUnavailable, MalformedMessage
from strongroom.formats.quorum import QuorumCall, QuorumOperation, Vote
from strongroom.store.quorum import QuorumAnchor, enrol, found
from strongroom.store.quorum_member import QuorumMember


def test_it_counts_with_one_of_three_down() -> None:
    group = Group()
    group.ways[0].cut = True
    assert group.anchor.advance(0).value == 1
    group.ways[0].cut, group.ways[1].cut = False, True
    assert group.anchor.read().value == 1
    assert group.anchor.advance(1).value == 2


def test_with_two_of_three_down_nothing_is_answered() -> None:
    group = Group()
    group.ways[0].cut = group.ways[1].cut = True
    with pytest.raises(AnchorUnavailable, match="1 of 3 members"):
        group.anchor.read()
    with pytest.raises(AnchorUnavailable):
        group.anchor.advance(0)


def test_a_member_that_was_restarted_votes_once_a_majority_of_the_others_told_it() -> None:
    group = Group()
    group.ways[2].cut = True
    group.anchor.advance(0)
    group.ways[2].cut = False
    member = group.restart(2)
    group.ways[0].cut = True
    with pytest.raises(AnchorUnavailable):  # not even with the one that knows
        group.anchor.read()
    with pytest.raises(AnchorUnavailable, match="other members"):
        enrol(member, ANCHOR, 2, group.ways)
    group.ways[0].cut = False
    enrol(member, ANCHOR, 2, group.ways)
    group.ways[0].cut = True
    assert group.anchor.read().value == 1
    assert group.anchor.advance(1).value == 2


def test_a_majority_that_was_restarted_does_not_come_back() -> None:
    group = Group()
    group.anchor.advance(0)
    restarted = [group.restart(slot) for slot in (0, 1)]
    for slot, member in enumerate(restarted):
        with pytest.raises(AnchorUnavailable):
            enrol(member, ANCHOR, slot, group.ways)
    with pytest.raises(AnchorUnavailable):
        group.anchor.read()


def test_two_processes_in_one_slot_are_one_vote_and_two_partitions_no_two_counters() -> None:
    group = Group()
    group.anchor.advance(0)
    old = group.ways[2].member
    enrol(group.restart(2), ANCHOR, 2, group.ways)
    here = QuorumAnchor(ANCHOR, [group.ways[0], _cut(), Way(old)])
    there = QuorumAnchor(ANCHOR, [_cut(), group.ways[1], group.ways[2]])
    assert there.advance(1).value == 2
    with pytest.raises(AnchorUnavailable, match="1 of 3"):
        here.read()
    with pytest.raises(AnchorUnavailable):
        here.advance(1)


def test_of_two_clones_that_enrol_at_once_at_most_one_votes() -> None:
    for _ in range(20):
        group = Group()
        clones = [QuorumMember(os.urandom(32)) for _ in range(2)]

        def attempt(member: QuorumMember, ways: list[Way] = group.ways) -> bool:
            try:
                enrol(member, ANCHOR, 1, ways)
            except AnchorUnavailable:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            assert sum(threads.map(attempt, clones)) <= 2
        voting = [member for member in clones if member.votes_for is not None]
        # both may have enrolled one after the other; then the others know the later one only
        valid = [
            member
            for member in voting
            if _reads(QuorumAnchor(ANCHOR, [group.ways[0], Way(member), _cut()]))
            and _reads(QuorumAnchor(ANCHOR, [_cut(), Way(member), group.ways[2]]))
        ]
        assert len(valid) <= 1


def test_a_value_that_was_told_is_told_to_everybody_after() -> None:
    group = Group()
    for way in group.ways[1:]:
        way.cut = True
    with pytest.raises(AnchorUnavailable):
        QuorumAnchor(ANCHOR, group.ways)._majority(
            QuorumCall(operation=QuorumOperation.ACCEPT, anchor=ANCHOR, value=1, token=b"t" * 16)
        )
    for way in group.ways:
        way.cut = False
    assert group.anchor.read().value == 1  # one member alone knew it
    group.ways[0].cut = True
    assert group.anchor.read().value == 1


def test_a_lost_answer_may_have_moved_the_counter_and_reading_tells() -> None:
    group = Group()
    group.ways[1].loses_answers = group.ways[2].loses_answers = True
    with pytest.raises(AnchorUnavailable):
        group.anchor.advance(0)
    group.ways[1].loses_answers = group.ways[2].loses_answers = False
    assert group.anchor.read().value in {0, 1}


def test_another_founding_is_another_counter() -> None:
    group = Group()
    group.anchor.advance(0)
    found(b"b" * 32, group.ways, [way.member.instance for way in group.ways])
    with pytest.raises(AnchorUnavailable):
        group.anchor.read()
    assert QuorumAnchor(b"b" * 32, group.ways).read().value == 0


@pytest.mark.parametrize("count", [1, 2, 4])
def test_an_even_or_too_small_group_is_refused(count: int) -> None:
    members = [QuorumMember(os.urandom(32)) for _ in range(count)]
    call = QuorumCall(
        operation=QuorumOperation.FOUND, anchor=ANCHOR, instances=tuple(member.instance for member in members)
    )
    with pytest.raises(MalformedMessage):
        members[0].answer(call)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_value_is_given_twice_and_none_goes_back_whatever_fails(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a schedule
    group, given_out, seen = Group(chance.choice((3, 5))), set(), 0
    for _ in range(40):
        for way in group.ways:
            way.cut, way.loses_answers = chance.random() < 0.2, chance.random() < 0.1
        if chance.random() < 0.1:
            slot = chance.randrange(len(group.ways))
            member = group.restart(slot)
            with contextlib.suppress(AnchorUnavailable):
                enrol(member, ANCHOR, slot, group.ways)
        try:
            value = group.anchor.read().value
            assert value >= seen
            seen = value
            moved = group.anchor.advance(value).value
            assert moved not in given_out
            given_out.add(moved)
            seen = moved
        except (AnchorUnavailable, AnchorMoved):
            pass


@settings(max_examples=100)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    for kind in (QuorumCall, Vote):
        try:
            assert kind.from_bytes(data).to_bytes() == data
        except MalformedMessage:
            continue


def _cut() -> Way:
    way = Way(QuorumMember(bytes(32)))
    way.cut = True
    return way


def _reads(anchor: QuorumAnchor) -> bool:
    try:
        anchor.read()
    except AnchorUnavailable:
        return False
    return True
