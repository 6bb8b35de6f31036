"""Collateral for a service, refreshed in the background: requests are answered from memory and never wait."""

from __future__ import annotations

import contextlib
import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedCollateral, StrongroomError, Unavailable
from strongroom.collateral.checked import INTEL, CheckedCollateral
from strongroom.collateral.newest import newest_parts, require_forward
from strongroom.collateral.unavailable import ResourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from types import TracebackType

    from strongroom.base.clock import Clock
    from strongroom.collateral.kinds import PlatformKind
    from strongroom.collateral.sources import CollateralSource
    from strongroom.verifier.anchors import Anchor

__all__ = ["RefreshStatus", "Refresher"]

_INTERVAL: Final = timedelta(hours=6)
_FIRST_RETRY_SECONDS: Final = 60.0
_SHORTEST_SECONDS: Final = 60.0
_JITTER: Final = 0.25
_RANDOM: Final = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshStatus:
    """How a refresher stands. ``age`` is the time since the source last gave a set, ``None`` when it never did."""

    age: timedelta | None
    expires_at: datetime | None
    tcb_evaluation_data_number: int | None
    failures: int
    last_failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    checked: CheckedCollateral
    json: bytes


class Refresher:
    """Keeps the newest set for one kind of platform, and asks its source for a newer one now and then.

    Satisfies ``transport.ports.EndorsementSource``. The last good set is given until it expires, however often
    refreshing fails; after that ``CollateralUnavailable`` says so at once. An older set never takes a newer one's
    place. ``fallback`` (the cache) is asked when the source fails before it ever gave anything.

    ``refresh`` asks now. ``start`` asks from a thread of its own, at first at once, then every ``interval`` less up to
    a quarter of it (many services started together spread out), sooner when half of what is left of the set's life is
    shorter, and after a failure in one, two, four … minutes or when the source says.
    """

    def __init__(
        self,
        source: CollateralSource,
        kind: PlatformKind,
        clock: Clock,
        *,
        fallback: CollateralSource | None = None,
        anchors: Sequence[Anchor] = INTEL,
        interval: timedelta = _INTERVAL,
        random: Callable[[], float] = _RANDOM,
    ) -> None:
        self._source = source
        self._kind = kind
        self._clock = clock
        self._fallback = fallback
        self._anchors = tuple(anchors)
        self._interval = interval.total_seconds()
        self._random = random
        self._held: _Held | None = None
        self._asked: float | None = None
        self._refreshed: float | None = None
        self._failures = 0
        self._last_failure = ""
        self._retry_after: float | None = None
        self._refreshing = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def collateral(self, at: datetime) -> bytes:
        """Give the set as JSON, or raise ``CollateralUnavailable``. Never waits."""
        held = self._held
        if held is not None and held.checked.valid_at(at):
            return held.json
        self._wake.set()
        resource = f"collateral for {self._kind}"
        wait = self._retry_after if self._retry_after is not None else _FIRST_RETRY_SECONDS
        if held is not None:
            try:
                held.checked.require(self._kind, at, resource=resource)
            except ResourceUnavailable as error:
                error.retry_after_seconds = wait
                raise
        why = self._last_failure or "has not been fetched yet"
        raise ResourceUnavailable(why, resource=resource, retry_after_seconds=wait)

    def refresh(self) -> None:
        """Ask the source now and take what is newer; raises what the source raises, and keeps what there was."""
        with self._refreshing:
            self._asked = self._clock.monotonic()
            self._retry_after = None
            now = self._clock.now()
            try:
                self._take(self._source.collateral(self._kind, now), now)
            except StrongroomError as error:
                self._failures += 1
                self._last_failure = error.message
                self._retry_after = error.retry_after_seconds if isinstance(error, Unavailable) else None
                self._fall_back(now)
                raise
            self._refreshed = self._clock.monotonic()
            self._failures = 0
            self._last_failure = ""

    def status(self) -> RefreshStatus:
        """Say how old the set is, until when it holds, and what went wrong last."""
        held = self._held
        return RefreshStatus(
            age=None if self._refreshed is None else timedelta(seconds=self._clock.monotonic() - self._refreshed),
            expires_at=None if held is None else held.checked.expires_at,
            tcb_evaluation_data_number=None if held is None else held.checked.tcb_evaluation_data_number,
            failures=self._failures,
            last_failure=self._last_failure,
        )

    def start(self) -> None:
        """Begin to refresh in the background."""
        if self._thread is not None:
            raise RuntimeError("started already")
        self._thread = threading.Thread(target=self._run, name="collateral refresher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop. What the thread is waiting for at this moment may take its time; nobody waits for it."""
        self._closed.set()
        self._wake.set()

    def __enter__(self) -> Refresher:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def next_delay(self) -> float:
        """Give the seconds until the next attempt, chance included."""
        spread = _JITTER * self._random()
        if self._retry_after is not None:
            return max(self._retry_after, _SHORTEST_SECONDS) * (1 + spread)
        delay = self._interval
        if self._failures:
            delay = min(delay, _FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 16))
        elif self._held is not None:
            left = (self._held.checked.expires_at - self._clock.now()).total_seconds()
            delay = min(delay, left / 2)
        return max(delay * (1 - spread), _SHORTEST_SECONDS * (1 - spread))

    def _take(self, offered: CheckedCollateral, now: datetime) -> None:
        offered.require(self._kind, now, resource=self._source.name)
        held = self._held.checked if self._held is not None else None
        newest = offered if held is None else newest_parts([held, offered], anchors=self._anchors)
        require_forward(held, offered, newest, now, source=self._source.name)
        if newest is not held:
            self._held = _Held(checked=newest, json=newest.collateral.to_json())

    def _fall_back(self, now: datetime) -> None:
        if self._held is not None or self._fallback is None:
            return
        with contextlib.suppress(Unavailable, MalformedCollateral):
            self._take(self._fallback.collateral(self._kind, now), now)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self.refresh()
            except StrongroomError:
                pass  # it stands in the status
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a source does
                self._failures += 1
                self._last_failure = f"unexpected: {type(error).__name__}"
            self._wait(self.next_delay())

    def _wait(self, seconds: float) -> None:
        """Wait that long, or until somebody found the set expired, but at least the shortest time after an attempt."""
        self._wake.clear()
        if not self._wake.wait(seconds) or self._closed.is_set():
            return
        asked = self._asked if self._asked is not None else self._clock.monotonic()
        earliest = max(_SHORTEST_SECONDS, self._retry_after or 0.0)
        self._closed.wait(max(0.0, asked + earliest - self._clock.monotonic()))
