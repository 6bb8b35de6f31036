"""What the store asks of a counter outside of its database, so that an older database can be told from the newest.

The database is the host's: it can be put back as a whole, and every seal in it still opens. A counter that only rises
and that the host cannot set back makes the difference (docs/spec/guess-limits.md). Adapters satisfy this
structurally; ``tests/conformance/test_freshness_anchors.py`` holds each of them to it.
"""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["ANCHOR_ID_BYTES", "AnchorReading", "FreshnessAnchor"]

ANCHOR_ID_BYTES: Final = 32


class AnchorReading(Protocol):
    """A counter at one moment."""

    @property
    def value(self) -> int:
        """The counter, from 0 to 2^63 - 1."""
        ...

    @property
    def elapsed_ms(self) -> int | None:
        """Milliseconds on the anchor's own clock, from an arbitrary start; ``None`` where it has none.

        Between two readings at least the difference has passed, up to the clock's precision; it begins again at 0
        when the anchor is restarted. It is believed before the host's clock, and never sets a limit back.
        """
        ...


class FreshnessAnchor(Protocol):
    """One counter that only rises. Synchronous; called from several threads at once, and from several instances.

    Every method raises ``AnchorUnavailable`` when the counter cannot be reached or its answer does not prove itself;
    the store then refuses whatever depends on it, and devices that prove themselves by their keys still sync.
    """

    @property
    def anchor_id(self) -> bytes:
        """32 bytes that name this counter for ever: what was sealed under one counter is not taken under another.

        A counter that was removed and made again has another name, or goes on from where it was.
        """
        ...

    def read(self) -> AnchorReading:
        """Give the counter as it is now: never less than any reading that any caller was given before."""
        ...

    def advance(self, expected: int) -> AnchorReading:
        """Move the counter from ``expected`` to ``expected + 1`` and give it; durable before this returns.

        ``AnchorMoved`` when the counter is not at ``expected``: of several callers that expect the same value, at
        most one succeeds. It may have been moved by the failed call, too. After ``AnchorUnavailable`` it may have
        been moved or not: ``read`` tells.
        """
        ...
