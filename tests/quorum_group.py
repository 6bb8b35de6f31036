"""A quorum whose members are in one process, with ways to them that can be cut."""

from __future__ import annotations

import os

from strongroom.base.errors import StoreUnreachable
from strongroom.formats.quorum import QuorumCall, Vote
from strongroom.store.quorum import QuorumAnchor, found
from strongroom.store.quorum_member import QuorumMember

__all__ = ["ANCHOR", "Group", "Way"]

ANCHOR = b"a" * 32


class Way:
    """The way to one slot. It can be cut, and lead to another process."""

    def __init__(self, member: QuorumMember) -> None:
        self.member = member
        self.cut = False
        self.loses_answers = False

    def call(self, call: QuorumCall) -> Vote:
        if self.cut:
            raise StoreUnreachable("cut")
        vote = self.member.answer(QuorumCall.from_bytes(call.to_bytes()))
        if self.loses_answers:
            raise StoreUnreachable("lost")
        return Vote.from_bytes(vote.to_bytes())


class Group:
    def __init__(self, count: int = 3) -> None:
        self.ways = [Way(QuorumMember(os.urandom(32))) for _ in range(count)]
        found(ANCHOR, self.ways, [way.member.instance for way in self.ways])

    @property
    def anchor(self) -> QuorumAnchor:
        return QuorumAnchor(ANCHOR, self.ways)

    def restart(self, slot: int) -> QuorumMember:
        """Start another process in a slot: whatever was on its disk, it remembers nothing."""
        self.ways[slot].member = QuorumMember(os.urandom(32))
        return self.ways[slot].member
