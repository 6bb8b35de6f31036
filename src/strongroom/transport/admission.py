"""Transports that ask once more before an accepted peer is talked to: for every session, before the first request.

``admit`` is given each newly attested peer and raises ``AppraisalRefused`` where the client holds something against it
that the exchange cannot know: what it has seen before, what it was warned of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.client import AttestedTransport
from strongroom.transport.keeper import AttestedOpener, ChannelKeeper

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from strongroom.base.clock import Clock
    from strongroom.channel.client import AttestedChannel, ClientTerms
    from strongroom.transport.keeper import Steps
    from strongroom.verifier.binding import AttestedPeer

    Admit = Callable[[AttestedPeer], None]

__all__ = ["AdmittingOpener", "AdmittingTransport", "AsyncAdmittingTransport"]


class AdmittingOpener(AttestedOpener):
    """Opens channels only to peers that ``admit`` lets pass."""

    def __init__(self, terms: ClientTerms, clock: Clock, admit: Admit) -> None:
        super().__init__(terms, clock)
        self._admit = admit

    def open(self, earlier: AttestedChannel | None) -> Steps[AttestedChannel]:
        """Open a channel. A resumed session that is not admitted any more is followed by a whole exchange."""
        attested = yield from super().open(earlier)
        try:
            self._admit(attested.peer)
        except AppraisalRefused:
            if not attested.peer.resumed:
                raise
        else:
            return attested
        attested = yield from super().open(None)
        self._admit(attested.peer)
        return attested


class AdmittingTransport(AttestedTransport):
    """``AttestedTransport`` with an ``admit``."""

    def __init__(
        self,
        url: str,
        terms: ClientTerms,
        *,
        admit: Admit,
        clock: Clock,
        timeout_seconds: float | None = 30.0,
        outer: httpx2.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, terms, clock=clock, timeout_seconds=timeout_seconds, outer=outer)
        self._keeper = ChannelKeeper(AdmittingOpener(terms, clock, admit), clock)


class AsyncAdmittingTransport(AsyncAttestedTransport):
    """``AsyncAttestedTransport`` with an ``admit``."""

    def __init__(
        self,
        url: str,
        terms: ClientTerms,
        *,
        admit: Admit,
        clock: Clock,
        timeout_seconds: float | None = 30.0,
        outer: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, terms, clock=clock, timeout_seconds=timeout_seconds, outer=outer)
        self._keeper = ChannelKeeper(AdmittingOpener(terms, clock, admit), clock)
