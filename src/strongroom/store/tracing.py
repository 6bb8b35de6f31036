"""Traces for OpenTelemetry: a span for each request, transaction, exchange and quote. No identifiers, no messages.

Needs the extra ``telemetry``. The caller decides where spans go, by the tracer that it gives.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.trace import Status, StatusCode

from strongroom.store.metrics import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

__all__ = ["Spans"]


class Spans:
    """An observer that traces."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, route: str) -> Iterator[None]:
        """Trace a request by the name of its route."""
        with self._span("request", {"strongroom.route": route}):
            yield

    @contextmanager
    def storage(self, kind: str) -> Iterator[None]:
        """Trace a transaction."""
        with self._span("storage", {"strongroom.transaction": kind}):
            yield

    @contextmanager
    def exchange(self, kind: str) -> Iterator[None]:
        """Trace an exchange."""
        with self._span("exchange", {"strongroom.exchange": kind}):
            yield

    @contextmanager
    def quote(self, leaves: int) -> Iterator[None]:
        """Trace a quote."""
        with self._span("quote", {"strongroom.leaves": leaves}):
            yield

    @contextmanager
    def _span(self, name: str, attributes: dict[str, str | int]) -> Iterator[None]:
        # an exception's text and traceback could name somebody: its code alone is kept
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("strongroom.outcome", outcome_of(error))
                span.set_status(Status(StatusCode.ERROR))
                raise
            span.set_attribute("strongroom.outcome", "ok")
