"""Resumption: a new channel to the same instance without a new quote, under the old verdict and its age.

The key comes from the session whose verdict it was, and is mixed with a fresh secret. A ticket is used once; the
channel that it opens brings the next one (docs/spec/attested-channel.md 12).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.channel.keyed import ClientKeyedExchange, KeyedMode, KeyMismatch
from strongroom.verifier.binding import ResumptionProof, check_resumable, resume_peer

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from strongroom.channel.schedule import KeySchedule
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["ResumptionAttempt", "ResumptionTicket"]


class ResumptionTicket:
    """What a client keeps of a session to resume it once. No representation: it holds a key."""

    __slots__ = ("_key", "_lock", "_used", "collateral_digest", "peer")

    def __init__(self, peer: AttestedPeer, collateral_digest: bytes, key: tuple[bytes, bytes]) -> None:
        """``key`` is identifier and key, as ``ClientChannel.resumption_key`` gives them."""
        self.peer = peer
        self.collateral_digest = collateral_digest
        self._key = key
        self._used = False
        self._lock = threading.Lock()

    @property
    def used(self) -> bool:
        """Whether it has been tried."""
        return self._used

    def take(self) -> tuple[bytes, bytes]:
        """Give identifier and key, once; ``AppraisalRefused`` after that."""
        with self._lock:
            if self._used:
                raise _refused("the ticket has been used")
            self._used = True
            return self._key


class ResumptionAttempt:
    """One attempt to resume. Send ``request``, give the answer to ``finish``."""

    def __init__(
        self,
        ticket: ResumptionTicket,
        *,
        policy_digest: bytes,
        deployment: bytes | None,
        max_age: timedelta,
        at: datetime,
    ) -> None:
        """Check that the old verdict may be repeated at all, before a word is sent; ``AppraisalRefused`` if not."""
        self._ticket = ticket
        self._policy_digest = policy_digest
        self._deployment = deployment
        self._max_age = max_age
        check_resumable(
            ticket.peer, policy_digest=policy_digest, expected_deployment=deployment, max_age=max_age, at=at
        )
        key_id, key = ticket.take()
        self._exchange = ClientKeyedExchange(KeyedMode.RESUMPTION, key_id=key_id, key=key)

    @property
    def request(self) -> bytes:
        """The bytes to send."""
        return self._exchange.request

    def finish(self, answer: bytes, *, at: datetime) -> tuple[AttestedPeer, KeySchedule]:
        """Give the peer, proven by its old verdict, and the new session's keys.

        ``MalformedMessage`` for bytes that are no answer, ``AppraisalRefused`` with every finding otherwise.
        """
        try:
            core, keys = self._exchange.finish(answer)
        except KeyMismatch:
            raise _refused("the other end is not the instance that the ticket is for") from None
        peer = resume_peer(
            self._ticket.peer,
            ResumptionProof(
                session=keys.transcript,
                deployment=core.deployment,
                epoch=core.epoch,
                collateral_digest=core.collateral_digest or b"",
                verdict_collateral_digest=self._ticket.collateral_digest,
            ),
            policy_digest=self._policy_digest,
            expected_deployment=self._deployment,
            max_age=self._max_age,
            at=at,
        )
        return peer, keys


def _refused(message: str) -> AppraisalRefused:
    return AppraisalRefused([Finding(check=Check.KEY_BINDING, message=message, section="attested-channel 12")])
