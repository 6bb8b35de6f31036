"""One member of a quorum: a counter in the memory of a running instance, and what it may say about it.

Nothing of it is on a disk, for a disk can be put back. A process that starts in a member's slot knows nothing and
votes on nothing until a majority of the *other* members told it where the counter is, and has noted that it stands in
the slot now: from then on they refuse its predecessor (docs/spec/instances.md 8).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from strongroom.base.errors import AnchorUnavailable, MalformedMessage
from strongroom.formats.quorum import MAX_MEMBERS, Incarnation, QuorumCall, QuorumOperation, Vote

__all__ = ["QuorumMember", "majority"]


def majority(members: int) -> int:
    """Give how many of so many members any two majorities share one of."""
    return members // 2 + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    anchor: bytes
    slot: int
    members: tuple[Incarnation, ...]
    value: int
    token: bytes | None


class QuorumMember:
    """The member that this process is, once it was founded or has enrolled. ``instance`` is SHA-256 of its key."""

    def __init__(self, instance: bytes) -> None:
        self.instance = instance
        self._state: _State | None = None
        self._lock = threading.Lock()

    @property
    def votes_for(self) -> bytes | None:
        """The counter that this member votes on, if any."""
        state = self._state
        return None if state is None else state.anchor

    def answer(self, call: QuorumCall) -> Vote:
        """Do what is asked; ``AnchorUnavailable`` while this process may not vote on that counter."""
        with self._lock:
            if call.operation is QuorumOperation.FOUND:
                self._state = self._founded(call)
                return self._vote(self._state, accepted=True)
            state = self._state
            if state is None or state.anchor != call.anchor:
                raise AnchorUnavailable("this instance does not vote on that counter")
            changed, accepted = _applied(state, call)
            self._state = changed
            return self._vote(changed, accepted=accepted)

    def enrolled(self, anchor: bytes, slot: int, *, members: tuple[Incarnation, ...], value: int) -> None:
        """Begin to vote, as the others have told. The caller has heard a majority of the others."""
        with self._lock:
            if self._state is None:  # a founding that came meanwhile is of another counter, and stays
                self._state = _State(anchor=anchor, slot=slot, members=members, value=value, token=None)

    def _founded(self, call: QuorumCall) -> _State:
        count = len(call.instances)
        if not 3 <= count <= MAX_MEMBERS or count % 2 == 0 or len(set(call.instances)) != count:
            raise MalformedMessage(f"a quorum has 3 to {MAX_MEMBERS} different members, an odd number", path="quorum")
        if self.instance not in call.instances:
            raise MalformedMessage("this instance is not among the members", path="quorum")
        members = tuple(Incarnation(number=1, instance=instance) for instance in call.instances)
        slot = call.instances.index(self.instance)
        return _State(anchor=call.anchor, slot=slot, members=members, value=0, token=None)

    @staticmethod
    def _vote(state: _State, *, accepted: bool) -> Vote:
        return Vote(slot=state.slot, value=state.value, accepted=accepted, members=state.members)


def _applied(state: _State, call: QuorumCall) -> tuple[_State, bool]:
    match call.operation:
        case QuorumOperation.ACCEPT:
            if call.value > state.value:
                return replace(state, value=call.value, token=call.token), True
            # the same call once more is the same acceptance; another token for this value comes too late
            return state, (call.value, call.token) == (state.value, state.token)
        case QuorumOperation.LIFT:
            if call.value > state.value:
                return replace(state, value=call.value, token=None), True
            return state, True
        case QuorumOperation.ENROL:
            if call.slot == state.slot or call.slot >= len(state.members):
                return state, False
            known = state.members[call.slot]
            if call.incarnation.number <= known.number:
                return state, call.incarnation == known
            members = list(state.members)
            members[call.slot] = call.incarnation
            return replace(state, members=tuple(members)), True
        case _:
            return state, True
