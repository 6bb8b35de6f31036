"""The sessions that a server is ready to resume: in memory, bounded in number and age, each once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from strongroom.base.errors import ChannelRefused

if TYPE_CHECKING:
    from strongroom.base.clock import Clock
    from strongroom.channel.keyed import KeyedRequest

__all__ = ["Origin", "ResumptionTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a session's verdict comes from: when (monotonic seconds) and with what it was attested, and its epoch."""

    attested: float
    epoch: int
    collateral_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    key: bytes = field(repr=False)
    origin: Origin


class ResumptionTable:
    """Keys of sessions, by identifier. They never leave this process: another instance cannot resume them.

    When there are too many, the one kept longest goes; its client makes a full exchange and notices nothing else.
    """

    def __init__(self, *, capacity: int, max_age_seconds: float, clock: Clock) -> None:
        self._capacity = capacity
        self._max_age = max_age_seconds
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: tuple[bytes, bytes], origin: Origin) -> None:
        """Remember a session's identifier and key."""
        key_id, secret = key
        with self._lock:
            while len(self._kept) >= max(self._capacity, 1):
                self._kept.popitem(last=False)
            if self._capacity > 0:
                self._kept[key_id] = _Kept(key=secret, origin=origin)

    def forget(self, key_id: bytes) -> None:
        """Forget a session, which can then not be resumed."""
        with self._lock:
            self._kept.pop(key_id, None)

    def take(self, request: KeyedRequest, *, epoch: int, collateral_digest: bytes) -> tuple[bytes, Origin]:
        """Give and forget the key that a request proves to have; ``ChannelRefused``, always the same, otherwise.

        Refused are unknown, used and forgotten keys, a proof that does not fit (the key stays), a session of another
        epoch, one whose evidence was judged with other collateral than today's, and one whose verdict is too old.
        """
        with self._lock:
            kept = self._kept.get(request.key_id)
            if kept is None or not request.is_proven_by(kept.key):
                raise _unknown()
            del self._kept[request.key_id]
        origin = kept.origin
        too_old = self._clock.monotonic() - origin.attested > self._max_age
        if too_old or origin.epoch != epoch or origin.collateral_digest != collateral_digest:
            raise _unknown()
        return kept.key, origin


def _unknown() -> ChannelRefused:
    return ChannelRefused("this instance cannot resume the session", hint="attest again")
