"""What a client does, without input or output: which messages to post, and when a channel is renewed.

The procedures are generators. Each yields a ``Post`` and is sent the answer's bytes, or has the error thrown in that
the network gave; what it returns is the result. ``transport.client`` runs them with blocking calls,
``transport.async_client`` with ``await``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from strongroom.base.errors import (
    AppraisalRefused,
    ChannelRefused,
    Malformed,
    NotAuthorised,
    StrongroomError,
    Unavailable,
)
from strongroom.channel.bhttp import BinaryResponse
from strongroom.channel.client import AttestedChannel, ClientExchange, ClientResumption, ClientTerms
from strongroom.channel.keyed import MAX_KEYED_ANSWER_BYTES
from strongroom.channel.messages import MAX_ANSWER_BYTES
from strongroom.channel.shared_key import ClientSharedKeyExchange, SharedKeyChannel
from strongroom.crypto.hashing import digest_of
from strongroom.formats.remote_appraisal import MAX_ANSWER_BYTES as MAX_APPRAISAL_BYTES
from strongroom.formats.remote_appraisal import SignedAppraisal
from strongroom.transport.outer import ServiceRefused
from strongroom.transport.paths import APPRAISE_PATH, EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from strongroom.base.clock import Clock
    from strongroom.channel.secure import ClientChannel
    from strongroom.channel.shared_key import SharedKey
    from strongroom.transport.client_evidence import ClientAttestation
    from strongroom.verifier.binding import AttestedPeer

    Admit = Callable[[AttestedPeer], None]

__all__ = ["AttestedOpener", "ChannelKeeper", "Opener", "Post", "SharedKeyOpener", "Steps"]

_LIFE_SECONDS: Final = 30 * 60.0  # below the server's own limit, so that a channel rarely ends under a request
_RENEW_SECONDS: Final = 25 * 60.0  # from here on one request makes a new channel while the others use the old one
_RETRY_SECONDS: Final = 10.0  # after a renewal that found nobody
_RENEW_AGAIN_SECONDS: Final = 60.0  # after one that worked: what the verdict rests on may be close to its end anyway
_RENEW_BEFORE_END_MS: Final = 5 * 60 * 1000  # of the verdict
_MAX_COLLATERAL_KEPT: Final = 4
_MAX_ATTEST_ANSWER_BYTES: Final = 64 * 1024

T = TypeVar("T")
Opened = TypeVar("Opened", AttestedChannel, SharedKeyChannel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message to post, and how many bytes its answer may have; ``to`` is another service than the channel's."""

    to: str | None = None
    path: str
    content: bytes = field(repr=False)
    limit: int


Steps = Generator[Post, bytes, T]


class Opener(Protocol[Opened]):
    """Opens channels of one kind."""

    def open(self, earlier: Opened | None) -> Steps[Opened]:
        """Open a channel; ``earlier`` is the one that it replaces, if there was one."""
        ...

    def ends_at_ms(self, opened: Opened) -> int | None:
        """Give when nothing may be sent any more, whatever the channel's own age."""
        ...


class AttestedOpener:
    """Opens channels to a service that proves itself: a session resumed where the terms allow, else an exchange.

    After the first exchange the deployment stays pinned, whatever the terms said. ``admit`` is given each peer before
    anything is said to it, and raises ``AppraisalRefused`` where the client holds something against it that the
    exchange cannot know: what it has seen before, what it was warned of. With ``attestation`` this client then proves
    itself, in each channel anew; a service that refuses it is ``ClientNotAttested``, and nothing more is said to it.
    """

    def __init__(
        self,
        terms: ClientTerms,
        clock: Clock,
        admit: Admit | None = None,
        verifiers: Sequence[str] = (),
        *,
        attestation: ClientAttestation | None = None,
    ) -> None:
        """``verifiers`` are the addresses of those whom terms with ``vouching`` want to hear."""
        self._attestation = attestation
        self.terms = terms
        self._verifiers = tuple(verifiers)
        self._admit: Admit = admit or (lambda _peer: None)
        self._clock = clock
        self._memo = Memo(capacity=_MAX_COLLATERAL_KEPT * 16)
        self._collateral: OrderedDict[bytes, bytes] = OrderedDict()

    def open(self, earlier: AttestedChannel | None) -> Steps[AttestedChannel]:
        """Resume ``earlier`` if that can be, else make an exchange."""
        attested = None
        if earlier is not None:
            try:
                attested = yield from self._resume(earlier)
                if attested is not None:
                    self._admit(attested.peer)
            except (AppraisalRefused, ChannelRefused, Malformed, ServiceRefused):
                # whatever stood in the way, the full exchange gives a verdict of its own or says what is wrong
                attested = None
        if attested is None:
            attested = yield from self._exchange()
            self._admit(attested.peer)
        self.terms = replace(self.terms, deployment=attested.peer.deployment)
        if self._attestation is not None:
            yield from self._attest(attested.channel, self._attestation)
        return attested

    def ends_at_ms(self, opened: AttestedChannel) -> int | None:
        """The verdict's end, and for a resumed session the greatest age."""
        return self._resumable_until_ms(opened.peer) if opened.peer.resumed else opened.peer.expires_at_ms

    def _resumable_until_ms(self, peer: AttestedPeer) -> int:
        oldest_ms = peer.attested_at_ms + int(self.terms.max_resumed_age.total_seconds() * 1000)
        return min(peer.expires_at_ms, oldest_ms)

    def _resume(self, earlier: AttestedChannel) -> Steps[AttestedChannel | None]:
        now = self._clock.now()
        if earlier.ticket.used or _ms(now) >= self._resumable_until_ms(earlier.peer) - _RENEW_BEFORE_END_MS:
            return None  # it would have to be renewed at once
        attempt = ClientResumption(earlier, self.terms, at=now)
        answer = yield Post(path=KEYED_PATH, content=attempt.request, limit=MAX_KEYED_ANSWER_BYTES)
        return attempt.finish(answer, at=self._clock.now())

    def _attest(self, channel: ClientChannel, attestation: ClientAttestation) -> Steps[None]:
        request = attestation.request(channel.client_binder, self._clock.now())
        number, message = channel.seal_request(request.to_bytes())
        answer = yield Post(path=MESSAGE_PATH, content=message, limit=_MAX_ATTEST_ANSWER_BYTES)
        attestation.check(BinaryResponse.from_bytes(channel.open_answer(answer, number)))

    def _exchange(self) -> Steps[AttestedChannel]:
        exchange = ClientExchange(self.terms, collateral=self._collateral, memo=self._memo)
        started = self._clock.monotonic()
        answer = yield Post(path=EXCHANGE_PATH, content=exchange.hello, limit=MAX_ANSWER_BYTES)
        elapsed = self._clock.monotonic() - started
        vouches: list[bytes] = []
        if self.terms.vouching is not None:
            vouches = yield from self._vouches(exchange.question(answer).to_bytes())
        attested = exchange.finish(answer, elapsed_seconds=elapsed, at=self._clock.now(), vouches=vouches)
        self._collateral[digest_of(attested.collateral)] = attested.collateral
        while len(self._collateral) > _MAX_COLLATERAL_KEPT:
            self._collateral.popitem(last=False)
        return attested

    def _vouches(self, question: bytes) -> Steps[list[bytes]]:
        """Ask every verifier; one that cannot be had, or answers something else, is as good as none."""
        said: list[bytes] = []
        for address in self._verifiers:
            try:
                answer = yield Post(to=address, path=APPRAISE_PATH, content=question, limit=MAX_APPRAISAL_BYTES)
                said.append(SignedAppraisal.from_bytes(answer).cwt)
            except StrongroomError:
                continue
        return said


class SharedKeyOpener:
    """Opens channels under a shared key: the first of ``keys`` that the service accepts, the newest first."""

    def __init__(self, keys: Sequence[SharedKey], clock: Clock) -> None:
        if not keys:
            raise ValueError("without a key there is no session")
        self._keys = tuple(keys)
        self._clock = clock

    def open(self, earlier: SharedKeyChannel | None) -> Steps[SharedKeyChannel]:
        """Make a keyed exchange. An earlier channel is of no use: the key is there anyway."""
        del earlier
        *others, last = self._keys
        for key in others:
            try:
                return (yield from self._with(key))
            except NotAuthorised:
                continue
        return (yield from self._with(last))

    def ends_at_ms(self, opened: SharedKeyChannel) -> None:
        """There is no verdict that could end."""
        del opened

    def _with(self, key: SharedKey) -> Steps[SharedKeyChannel]:
        exchange = ClientSharedKeyExchange(key)
        try:
            answer = yield Post(path=KEYED_PATH, content=exchange.request, limit=MAX_KEYED_ANSWER_BYTES)
        except ServiceRefused as refusal:
            if refusal.status == NotAuthorised.http_status:
                raise NotAuthorised("the service does not accept the shared key") from refusal
            raise
        return exchange.finish(answer, at=self._clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Live(Generic[Opened]):
    opened: Opened
    since: float


class ChannelKeeper(Generic[Opened]):
    """Keeps one live channel and renews it before it ends. Requests on the old one finish there undisturbed.

    ``ready`` may be called at any time; run ``renewed`` under a lock, one at a time.
    """

    def __init__(self, opener: Opener[Opened], clock: Clock) -> None:
        self._opener: Opener[Opened] = opener
        self._clock = clock
        self._live: _Live[Opened] | None = None
        self._lost: Opened | None = None
        self._renewing = False
        self._not_before = 0.0

    def ready(self) -> Opened | None:
        """Give the channel to use now, or ``None`` if somebody has to run ``renewed`` first.

        While one caller renews a channel that is still good, the others go on using it.
        """
        live = self._live
        if live is None or self._over(live) or (self._due(live) and not self._renewing):
            return None
        return live.opened

    def renewed(self) -> Steps[Opened]:
        """Give a channel, opening one unless somebody did meanwhile."""
        live = self._live
        usable = live is not None and not self._over(live)
        if live is not None and usable and not self._due(live):
            return live.opened
        self._renewing = usable
        try:
            opened = yield from self._opener.open(live.opened if live is not None else self._lost)
        except Unavailable:
            if live is None or not usable:
                raise
            self._not_before = self._clock.monotonic() + _RETRY_SECONDS
            return live.opened  # it is good for some minutes more
        except StrongroomError:
            self._live = None  # a refusal is a fact about the service: the old channel is not used any more either
            raise
        finally:
            self._renewing = False
        now = self._clock.monotonic()
        self._live = _Live(opened=opened, since=now)
        self._lost = None
        self._not_before = now + _RENEW_AGAIN_SECONDS
        return opened

    def lost(self, channel: ClientChannel) -> None:
        """Note that the service does not know this channel. It is replaced, and resumed if the service still can."""
        live = self._live
        if live is not None and live.opened.channel is channel:
            self._live, self._lost = None, live.opened

    def forget(self) -> None:
        """Forget everything."""
        self._live = self._lost = None

    def _over(self, live: _Live[Opened]) -> bool:
        ends_at = self._opener.ends_at_ms(live.opened)
        aged = self._clock.monotonic() - live.since > _LIFE_SECONDS
        return aged or (ends_at is not None and _ms(self._clock.now()) >= ends_at)

    def _due(self, live: _Live[Opened]) -> bool:
        now = self._clock.monotonic()
        if now < self._not_before:
            return False
        ends_at = self._opener.ends_at_ms(live.opened)
        ending = ends_at is not None and _ms(self._clock.now()) >= ends_at - _RENEW_BEFORE_END_MS
        return ending or now - live.since > _RENEW_SECONDS


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
