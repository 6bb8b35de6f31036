"""A counter kept by a majority of peer instances: implements ``store.freshness.FreshnessAnchor``.

A vote counts only if no vote beside it knows a later process in the voter's slot. What a majority of counting votes
accepted is durable: every later majority shares a member with it (docs/spec/instances.md 8).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from strongroom.base.errors import AnchorMoved, AnchorUnavailable, StrongroomError
from strongroom.formats.quorum import TOKEN_BYTES, Incarnation, QuorumCall, QuorumOperation, Vote
from strongroom.store.quorum_member import majority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.store.quorum_member import QuorumMember

__all__ = ["Peer", "QuorumAnchor", "QuorumReading", "enrol", "found"]


class Peer(Protocol):
    """The way to one member: an attested channel, or the member in this very process."""

    def call(self, call: QuorumCall) -> Vote:
        """Ask the member; raises any ``StrongroomError`` when it cannot be asked or may not answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumReading:
    """The counter as a majority has it. Members have no clock that could be believed."""

    value: int
    elapsed_ms: int | None = None


class QuorumAnchor:
    """The counter ``anchor_id`` with its members, in the order of their slots."""

    def __init__(self, anchor_id: bytes, peers: Sequence[Peer]) -> None:
        self._id = anchor_id
        self._peers = tuple(peers)

    @property
    def anchor_id(self) -> bytes:
        """32 random bytes, drawn when the quorum was founded; another founding is another counter."""
        return self._id

    def read(self) -> QuorumReading:
        """Give the greatest value that a majority knows, after a majority knows it."""
        votes = self._majority(QuorumCall(operation=QuorumOperation.READ, anchor=self._id))
        value = max(vote.value for vote in votes)
        if sum(vote.value == value for vote in votes) < majority(len(self._peers)):
            # somebody was cut off in the middle: what we tell now has to hold for whoever reads after us
            self._majority(QuorumCall(operation=QuorumOperation.LIFT, anchor=self._id, value=value))
        return QuorumReading(value=value)

    def advance(self, expected: int) -> QuorumReading:
        """Move the counter on by one: a majority has accepted it before this returns."""
        value = self.read().value
        if value != expected:
            raise AnchorMoved(f"the counter is at {value}, not at {expected}")
        votes = self._majority(
            QuorumCall(
                operation=QuorumOperation.ACCEPT, anchor=self._id, value=expected + 1, token=os.urandom(TOKEN_BYTES)
            )
        )
        if sum(vote.accepted for vote in votes) < majority(len(self._peers)):
            raise AnchorMoved("somebody else moved the counter at the same time")
        return QuorumReading(value=expected + 1)

    def voting(self) -> int:
        """Tell how many members vote at this moment."""
        call = QuorumCall(operation=QuorumOperation.READ, anchor=self._id)
        return len(_counting(_votes(self._peers, call), len(self._peers)))

    def _majority(self, call: QuorumCall) -> list[Vote]:
        votes = _counting(_votes(self._peers, call), len(self._peers))
        count, needed = len(self._peers), majority(len(self._peers))
        if len(votes) < needed:
            raise AnchorUnavailable(
                f"{len(votes)} of {count} members of the quorum answer, and {needed} must", retry_after_seconds=1.0
            )
        return votes


def found(anchor_id: bytes, peers: Sequence[Peer], instances: Sequence[bytes]) -> None:
    """Found a quorum of the instances named, at 0. All of them have to be there; ``AnchorUnavailable`` otherwise."""
    call = QuorumCall(operation=QuorumOperation.FOUND, anchor=anchor_id, instances=tuple(instances))
    votes = _votes(peers, call)
    if len(votes) < len(peers):
        raise AnchorUnavailable(f"{len(votes)} of {len(peers)} members could be founded, and all must")


def enrol(member: QuorumMember, anchor_id: bytes, slot: int, peers: Sequence[Peer]) -> None:
    """Let a process that has just started vote in its slot, once a majority of the *others* has told where it is.

    ``AnchorUnavailable`` while too few of the others answer. ``peers`` are all members; the one in ``slot`` is not
    asked.
    """
    count = len(peers)
    others = [peer for number, peer in enumerate(peers) if number != slot]
    known = _counting(_votes(others, QuorumCall(operation=QuorumOperation.READ, anchor=anchor_id)), count)
    if len(known) < majority(count):
        raise AnchorUnavailable(f"{len(known)} other members of the quorum answer, and {majority(count)} must")
    number = max(vote.members[slot].number for vote in known) + 1
    own = Incarnation(number=number, instance=member.instance)
    call = QuorumCall(operation=QuorumOperation.ENROL, anchor=anchor_id, slot=slot, incarnation=own)
    votes = [vote for vote in _counting(_votes(others, call), count) if vote.accepted]
    if len(votes) < majority(count):
        raise AnchorUnavailable("another process was faster in this member's slot, or too few members answer")
    members = tuple(max(vote.members[index] for vote in votes) for index in range(count))
    member.enrolled(anchor_id, slot, members=members, value=max(vote.value for vote in votes))


def _votes(peers: Sequence[Peer], call: QuorumCall) -> list[Vote]:
    def ask(peer: Peer) -> Vote | None:
        try:
            return peer.call(call)
        except StrongroomError:
            return None  # whoever does not answer does not vote; how many are left is what counts

    with ThreadPoolExecutor(max_workers=len(peers)) as threads:
        return [vote for vote in threads.map(ask, peers) if vote is not None]


def _counting(votes: Sequence[Vote], members: int) -> list[Vote]:
    """Leave out votes of processes that somebody beside them knows to be superseded, and second votes of a slot."""
    fitting = [vote for vote in votes if len(vote.members) == members]
    newest = [max(vote.members[slot] for vote in fitting) for slot in range(members)] if fitting else []
    counting: dict[int, Vote] = {}
    for vote in fitting:
        if vote.own == newest[vote.slot]:
            counting.setdefault(vote.slot, vote)
    return list(counting.values())
