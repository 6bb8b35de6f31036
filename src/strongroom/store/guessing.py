"""How many guesses at passwords are answered: pure decisions over one small state (docs/spec/guess-limits.md 2).

A name has ``burst`` attempts in hand and gets one back each ``interval``. What a name owes is one number, the time
at which it will have all of them again (the generic cell rate algorithm of ITU-T I.371): a name that owes nothing
needs no line, and whether anybody has the name makes no difference. Time is the store's own: it adds up while a store
runs, and no date goes into it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NAME_BYTES",
    "STANDARD_LIMITS",
    "Allowed",
    "GuessLimits",
    "GuessState",
    "Limit",
    "Refused",
    "attempt",
    "exhausted",
    "give_back",
    "moved_on",
]

NAME_BYTES: Final = 16
_TIME_BYTES: Final = 8
_LINE_BYTES: Final = NAME_BYTES + _TIME_BYTES
_MAX_STATE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``burst`` attempts at once, then one each ``interval_ms``."""

    burst: int
    interval_ms: int

    @property
    def whole_ms(self) -> int:
        """How long it takes to get all attempts back, in milliseconds."""
        return self.burst * self.interval_ms

    def wait_ms(self, due_ms: int, now_ms: int) -> int:
        """Give how long until an attempt is answered; 0 when it is now."""
        return max(0, due_ms - now_ms - (self.whole_ms - self.interval_ms))

    def after(self, due_ms: int, now_ms: int) -> int:
        """Give what is owed after one more attempt."""
        return max(due_ms, now_ms) + self.interval_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessLimits:
    """The limit of each name and the one that all names share."""

    name: Limit
    overall: Limit


STANDARD_LIMITS: Final = GuessLimits(
    name=Limit(burst=10, interval_ms=10 * 60 * 1000), overall=Limit(burst=1000, interval_ms=1000)
)
"""10 attempts at one name and then 144 a day; 1,000 at all names together and then 86,400 a day.

They are code, not configuration, so they are measured. Attempts that end in a login are given back and so cost
nothing; only a guesser, and a person who mistypes, meets them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessState:
    """What is owed at ``time_ms``. ``floor_ms`` holds for every name that has no line of its own."""

    time_ms: int = 0
    floor_ms: int = 0
    overall_due_ms: int = 0
    due: Mapping[bytes, int] = field(default_factory=lambda: MappingProxyType({}))

    def owed(self, name: bytes) -> int:
        """Give the time at which a name will have all of its attempts."""
        return max(self.due.get(name, 0), self.floor_ms)

    def to_bytes(self) -> bytes:
        """Write the state: deterministic CBOR."""
        lines = b"".join(name + due.to_bytes(_TIME_BYTES, "big") for name, due in sorted(self.due.items()))
        return canonical.encode(
            {"time": self.time_ms, "floor": self.floor_ms, "overall": self.overall_due_ms, "due": lines}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> GuessState:
        """Parse, or raise ``Malformed``."""
        fields = Fields.decode(data, path="guess state", error=Malformed, max_bytes=_MAX_STATE_BYTES)
        lines = fields.byte_string("due")
        if len(lines) % _LINE_BYTES:
            raise fields.fail("field 'due' ends in the middle of a line")
        state = cls(
            time_ms=fields.number("time"),
            floor_ms=fields.number("floor"),
            overall_due_ms=fields.number("overall"),
            due={
                lines[start : start + NAME_BYTES]: int.from_bytes(
                    lines[start + NAME_BYTES : start + _LINE_BYTES], "big"
                )
                for start in range(0, len(lines), _LINE_BYTES)
            },
        )
        fields.done()
        if state.to_bytes() != data:
            raise fields.fail("lines are out of order or doubled")
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The attempt counts and may be answered, once ``state`` is kept where no restart loses it."""

    state: GuessState


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The attempt is not answered; nothing has changed. Another one can be after ``retry_after_ms``."""

    retry_after_ms: int


def attempt(state: GuessState, name: bytes, limits: GuessLimits) -> Allowed | Refused:
    """Decide on one attempt at ``name`` (16 bytes) at the state's own time."""
    if len(name) != NAME_BYTES:
        raise ValueError(f"a name has {NAME_BYTES} bytes here")
    owed = state.owed(name)
    wait = max(limits.name.wait_ms(owed, state.time_ms), limits.overall.wait_ms(state.overall_due_ms, state.time_ms))
    if wait:
        return Refused(retry_after_ms=wait)
    return Allowed(
        state=replace(
            state,
            due={**state.due, name: limits.name.after(owed, state.time_ms)},
            overall_due_ms=limits.overall.after(state.overall_due_ms, state.time_ms),
        )
    )


def give_back(state: GuessState, name: bytes, limits: GuessLimits) -> GuessState:
    """Give an attempt back that ended in a login: whoever knows the password has nothing to guess."""
    due = dict(state.due)
    if name in due:
        due[name] -= limits.name.interval_ms
        if due[name] <= max(state.time_ms, state.floor_ms):
            del due[name]
    return replace(state, due=due, overall_due_ms=max(0, state.overall_due_ms - limits.overall.interval_ms))


def moved_on(state: GuessState, time_ms: int) -> GuessState:
    """Bring a state forward to a time and drop the lines that are settled; an earlier time changes nothing."""
    now = max(state.time_ms, time_ms)
    lasting = max(now, state.floor_ms)
    return replace(state, time_ms=now, due={name: due for name, due in state.due.items() if due > lasting})


def exhausted(state: GuessState, limits: GuessLimits) -> GuessState:
    """Give the state in which nobody has an attempt left; the first comes back after one interval.

    It takes the place of a state that cannot be shown to be the newest: whatever that one had left may have been
    used already, and used again by whoever put it back.
    """
    floor = state.time_ms + limits.name.whole_ms
    overall = state.time_ms + limits.overall.whole_ms
    return GuessState(time_ms=state.time_ms, floor_ms=floor, overall_due_ms=overall, due={})
