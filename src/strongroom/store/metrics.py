"""Figures for Prometheus: rates, errors and durations. Labels are names from our own tables and nothing else.

How many series there can be is bounded by the number of routes times the number of error codes, whatever clients do.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from strongroom import __version__
from strongroom.base.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["STEP_SECONDS", "Metrics", "outcome_of"]

STEP_SECONDS: Final = 10.0
"""Figures are shown as they were at most so long ago, so that single requests are not watched through them."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LEAVES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """An observer that counts. ``monotonic`` is the clock that durations are taken from, in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._registry = registry = CollectorRegistry()
        self._shown: tuple[float, bytes] | None = None
        self._requests = Counter(
            "strongroom_requests", "Requests inside channels.", ["route", "outcome"], registry=registry
        )
        self._request_seconds = Histogram(
            "strongroom_request_seconds", "How long they took.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._in_progress = Gauge("strongroom_requests_in_progress", "Requests under way.", registry=registry)
        self._exchanges = Counter("strongroom_exchanges", "Channels asked for.", ["kind", "outcome"], registry=registry)
        self._quotes = Counter("strongroom_quotes", "Quotes asked of the platform.", ["outcome"], registry=registry)
        self._quote_seconds = Histogram(
            "strongroom_quote_seconds", "How long they took.", buckets=_SECONDS, registry=registry
        )
        self._quote_leaves = Histogram(
            "strongroom_quote_leaves", "Clients that share a quote.", buckets=_LEAVES, registry=registry
        )
        self._transactions = Counter(
            "strongroom_storage_transactions", "Transactions.", ["kind", "outcome"], registry=registry
        )
        self._transaction_seconds = Histogram(
            "strongroom_storage_seconds", "How long they took.", ["kind"], buckets=_SECONDS, registry=registry
        )
        self._channels = Gauge("strongroom_channels", "Open channels.", registry=registry)
        self._collateral = Gauge(
            "strongroom_collateral_expires_seconds", "When the collateral expires, in unix seconds.", registry=registry
        )
        Gauge("strongroom_build", "The version that runs.", ["version"], registry=registry).labels(__version__).set(1)

    def watch_channels(self, count: Callable[[], int]) -> None:
        """Take the number of open channels from here."""
        self._channels.set_function(count)

    def watch_collateral(self, expires: Callable[[], float]) -> None:
        """Take the collateral's expiry from here, in unix seconds."""
        self._collateral.set_function(expires)

    def text(self) -> bytes:
        """Give the figures in Prometheus's text format, in steps of ``STEP_SECONDS``."""
        now = self._monotonic()
        if self._shown is None or not 0 <= now - self._shown[0] < STEP_SECONDS:
            self._shown = (now, generate_latest(self._registry))
        return self._shown[1]

    @contextmanager
    def request(self, route: str) -> Iterator[None]:
        """Count and time a request."""
        with self._in_progress.track_inprogress(), self._timed(self._requests, self._request_seconds, route):
            yield

    @contextmanager
    def storage(self, kind: str) -> Iterator[None]:
        """Count and time a transaction."""
        with self._timed(self._transactions, self._transaction_seconds, kind):
            yield

    @contextmanager
    def exchange(self, kind: str) -> Iterator[None]:
        """Count an exchange."""
        try:
            yield
        except BaseException as error:
            self._exchanges.labels(kind, outcome_of(error)).inc()
            raise
        self._exchanges.labels(kind, "ok").inc()

    @contextmanager
    def quote(self, leaves: int) -> Iterator[None]:
        """Count and time a quote and those who share it."""
        began = self._monotonic()
        try:
            yield
        except BaseException as error:
            self._quotes.labels(outcome_of(error)).inc()
            raise
        self._quotes.labels("ok").inc()
        self._quote_seconds.observe(self._monotonic() - began)
        self._quote_leaves.observe(leaves)

    @contextmanager
    def _timed(self, counter: Counter, seconds: Histogram, label: str) -> Iterator[None]:
        began = self._monotonic()
        outcome = "ok"
        try:
            yield
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            counter.labels(label, outcome).inc()
            seconds.labels(label).observe(self._monotonic() - began)


def outcome_of(error: BaseException) -> str:
    """Name what something ended in: the error's code, from our own list, or ``failed``."""
    return error.code if isinstance(error, StrongroomError) else "failed"
