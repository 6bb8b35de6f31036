"""What the members of a quorum of counters are asked, and what they answer (docs/spec/instances.md 8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES

__all__ = ["MAX_MEMBERS", "QUORUM_PATH", "TOKEN_BYTES", "Incarnation", "QuorumCall", "QuorumOperation", "Vote"]

QUORUM_PATH: Final = "/v1/instances/quorum"
MAX_MEMBERS: Final = 9
TOKEN_BYTES: Final = 16
_LABEL: Final = "strongroom quorum v1"
_MAX_BYTES: Final = 2048
_NOTHING: Final = bytes(DIGEST_BYTES)


class QuorumOperation(StrEnum):
    """What a member is asked to do."""

    FOUND = "found"
    READ = "read"
    LIFT = "lift"
    ACCEPT = "accept"
    ENROL = "enrol"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Incarnation:
    """Which process stands in a member's slot: the how-manieth, and SHA-256 of its instance key."""

    number: int
    instance: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumCall:
    """One question. ``anchor`` names the counter; the other fields are what the operation needs, zero otherwise.

    ``value`` and ``token`` (16 bytes) for ``accept``, ``value`` for ``lift``; ``slot`` and ``incarnation`` for
    ``enrol``; ``instances`` (SHA-256 of every member's instance key, in the order of the slots) for ``found``.
    """

    operation: QuorumOperation
    anchor: bytes
    value: int = 0
    token: bytes = bytes(TOKEN_BYTES)
    slot: int = 0
    incarnation: Incarnation = Incarnation(number=0, instance=_NOTHING)
    instances: tuple[bytes, ...] = ()

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode(
            {
                "label": _LABEL,
                "operation": str(self.operation),
                "anchor": self.anchor,
                "value": self.value,
                "token": self.token,
                "slot": self.slot,
                "number": self.incarnation.number,
                "instance": self.incarnation.instance,
                "instances": self.instances,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> QuorumCall:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="quorum call", error=MalformedMessage, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        operation = fields.text("operation", at_most=16)
        if operation not in set(QuorumOperation):
            raise fields.fail("an unknown operation")
        call = cls(
            operation=QuorumOperation(operation),
            anchor=fields.byte_string("anchor", length=DIGEST_BYTES),
            value=fields.number("value"),
            token=fields.byte_string("token", length=TOKEN_BYTES),
            slot=fields.number("slot", at_most=MAX_MEMBERS - 1),
            incarnation=Incarnation(
                number=fields.number("number"), instance=fields.byte_string("instance", length=DIGEST_BYTES)
            ),
            instances=fields.byte_strings("instances", length=DIGEST_BYTES, at_most=MAX_MEMBERS),
        )
        fields.done()
        return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One answer: who says it, where its counter stands after the call, and whom it knows in each slot.

    ``accepted`` tells whether it did what was asked.
    """

    slot: int
    value: int
    accepted: bool
    members: tuple[Incarnation, ...]

    @property
    def own(self) -> Incarnation:
        """As whom the member votes."""
        return self.members[self.slot]

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode(
            {
                "label": _LABEL,
                "slot": self.slot,
                "value": self.value,
                "accepted": int(self.accepted),
                "numbers": [item.number for item in self.members],
                "instances": [item.instance for item in self.members],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Vote:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="vote", error=MalformedMessage, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        slot, value = fields.number("slot"), fields.number("value")
        accepted = bool(fields.number("accepted", at_most=1))
        numbers = fields.numbers("numbers", at_most=MAX_MEMBERS)
        instances = fields.byte_strings("instances", length=DIGEST_BYTES, at_most=MAX_MEMBERS)
        fields.done()
        if len(numbers) != len(instances) or slot >= len(numbers) or min(numbers) < 0:
            raise fields.fail("slots and members do not fit each other")
        members = tuple(
            Incarnation(number=number, instance=instance) for number, instance in zip(numbers, instances, strict=True)
        )
        return cls(slot=slot, value=value, accepted=accepted, members=members)
