"""The channels that a server knows: bounded in number, age and idle time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from strongroom.base.errors import ChannelRefused, Unavailable
from strongroom.channel.bhttp import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from strongroom.base.clock import Clock
    from strongroom.channel.secure import ServerChannel
    from strongroom.transport.resumptions import Origin

__all__ = ["ChannelLimits", "ChannelTable", "OpenChannel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """How much a server remembers, and how long it waits for a client. A channel takes about 6 KiB.

    ``stall_seconds`` is how long a request may be without progress, and a client read nothing of a streamed answer.
    ``max_body_bytes`` bounds a streamed request, since many an application reads what it is sent into memory; one that
    does not can set ``None``. ``max_resumptions`` sessions can be resumed for ``resumption_seconds`` after their
    evidence; 0 resumes none.
    """

    max_channels: int = 20_000
    unconfirmed_seconds: float = 120.0  # from the answer to the first request; the client verifies in between
    idle_seconds: float = 15 * 60.0
    lifetime_seconds: float = 60 * 60.0
    stall_seconds: float = 60.0
    max_body_bytes: int | None = MAX_MESSAGE_BYTES
    max_resumptions: int = 20_000
    resumption_seconds: float = 24 * 60 * 60.0


@dataclass(slots=True, kw_only=True)
class OpenChannel:
    """A channel and what the service inside remembers about it (``state``), for as long as it lives.

    ``shared_key`` is the label of the shared key that opened it; ``origin`` is set for a channel that can be resumed.
    """

    channel: ServerChannel
    opened: float
    used: float
    state: dict[str, object] = field(default_factory=dict)
    shared_key: str | None = None
    origin: Origin | None = None


class ChannelTable:
    """Two queues: channels that wait for their first request, and the others, least recently used first.

    One queue would not do: behind a channel that may still idle for a while, hellos that nobody followed up would
    fill the table long after their own time. Threads may share it.
    """

    def __init__(self, limits: ChannelLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._unconfirmed: OrderedDict[bytes, OpenChannel] = OrderedDict()
        self._confirmed: OrderedDict[bytes, OpenChannel] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._unconfirmed) + len(self._confirmed)

    def require_room(self) -> None:
        """Raise ``Unavailable`` when there are too many live channels, before a quote is spent on one more."""
        with self._lock:
            self._make_room(self._clock.monotonic())

    def add(self, channel: ServerChannel, *, shared_key: str | None = None, origin: Origin | None = None) -> None:
        """Remember a channel; raises ``Unavailable`` when there are too many live ones."""
        now = self._clock.monotonic()
        with self._lock:
            self._make_room(now)
            self._unconfirmed[channel.channel_id] = OpenChannel(
                channel=channel, opened=now, used=now, shared_key=shared_key, origin=origin
            )

    def find(self, channel_id: bytes) -> OpenChannel:
        """Find a live channel, or raise ``ChannelRefused``: the client then starts again by itself.

        To be named keeps no channel alive, since anybody can repeat a name: see ``touch``.
        """
        now = self._clock.monotonic()
        with self._lock:
            found = self._confirmed.get(channel_id) or self._unconfirmed.get(channel_id)
            if found is None or self._expired(found, now):
                self._confirmed.pop(channel_id, None)
                self._unconfirmed.pop(channel_id, None)
                raise ChannelRefused("this instance does not know the channel", hint="attest again")
            return found

    def touch(self, entry: OpenChannel) -> bool:
        """Note that a request opened in the channel just now: it is confirmed, and not idle.

        Gives whether it was the first one.
        """
        channel_id = entry.channel.channel_id
        with self._lock:
            entry.used = self._clock.monotonic()
            first = self._unconfirmed.pop(channel_id, None) is not None
            self._confirmed[channel_id] = entry
            self._confirmed.move_to_end(channel_id)
            return first

    def remove(self, entry: OpenChannel) -> None:
        """Forget a channel: the next request in it is refused as in one that nobody knows."""
        with self._lock:
            self._unconfirmed.pop(entry.channel.channel_id, None)
            self._confirmed.pop(entry.channel.channel_id, None)

    def _expired(self, entry: OpenChannel, now: float) -> bool:
        idle = self._limits.idle_seconds if entry.channel.confirmed else self._limits.unconfirmed_seconds
        return now - entry.used > idle or now - entry.opened > self._limits.lifetime_seconds

    def _make_room(self, now: float) -> None:
        self._drop_expired(now)
        if len(self) >= self._limits.max_channels:
            raise Unavailable("too many open channels", retry_after_seconds=self._limits.unconfirmed_seconds)

    def _drop_expired(self, now: float) -> None:
        # in order of use, so the stale ones come first; one that is only too old waits until it is idle or named
        for queue in (self._unconfirmed, self._confirmed):
            while queue and self._expired(next(iter(queue.values())), now):
                queue.popitem(last=False)
