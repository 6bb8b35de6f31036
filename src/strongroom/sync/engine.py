"""The sync engine: events in, effects out, one transition table (docs/spec/sync.md section 4).

It holds no clock, file or socket, and takes nothing but an attested peer's word. The driver carries out effects in
order and hands in what came of them; an engine lives for one sync and is dropped after it, however it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import (
    HeadMoved,
    Misconfigured,
    RecordTampered,
    RollbackDetected,
    StoreUnreachable,
    WithheldDetected,
)
from strongroom.crypto.hashing import equal
from strongroom.records.sealed_record import RecordPlace, open_record
from strongroom.sync.batches import Batch, VaultKeys, next_batch
from strongroom.sync.effects import (
    Append,
    Appended,
    Apply,
    Conflicted,
    Effect,
    Event,
    Failed,
    Fetch,
    Finished,
    KeysFetched,
    Page,
    Prove,
    Proven,
    Publish,
    RenewKeys,
    Started,
    Summary,
)
from strongroom.sync.merge import merge
from strongroom.sync.model import RecordState
from strongroom.vaultlog.entry import KeysRenewed, RecordWritten, Step
from strongroom.vaultlog.head import verify_head
from strongroom.vaultlog.proof import ProofKind, make_proof
from strongroom.vaultlog.sisters import hold_against, judge_sisters, known_sisters
from strongroom.vaultlog.statement import SignedStatement, state_view
from strongroom.vaultlog.view import advance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from strongroom.crypto.signatures import SigningKey
    from strongroom.records.keyring import Keyring
    from strongroom.sync.model import SyncState
    from strongroom.vaultlog.head import VerifiedHead
    from strongroom.vaultlog.sisters import SisterNews
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["MAX_ATTEMPTS", "MAX_LAGS", "Phase", "SyncEngine"]

MAX_ATTEMPTS: Final = 16  # appends lost to others before a sync gives up
MAX_LAGS: Final = 2  # answers behind what is known before they count as misbehaviour
_LAG_PAUSE_MS: Final = 150  # and twice that before the second
_RESTATE_MS: Final = 24 * 60 * 60 * 1000  # a statement is renewed daily, so that silence can be told from absence


class Phase(StrEnum):
    """Where a sync stands."""

    IDLE = "idle"
    FETCHING = "fetching"
    RENEWING = "renewing"
    PROVING = "proving"
    PUSHING = "pushing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Held:
    """A page that reached the head, held back until the store has shown that the sisters' views lie on its history."""

    head: VerifiedHead
    changed: tuple[RecordState, ...]
    kept: _Kept
    news: SisterNews


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Kept:
    """Verified steps to be kept, from index ``first`` on."""

    first: int
    steps: tuple[tuple[bytes, bytes], ...]


class SyncEngine:
    """One sync of one vault by one device.

    ``dirty`` are the record states with edits that the log does not have; ``keyring`` are the account's keys as this
    device knows them. Unless ``may_admit`` is false, a device that is not a member yet admits itself; otherwise it can
    only read. ``version_of`` gives the version that the local store has of a record (0:
    none), and ``at_ms`` is the time by this device's clock, in unix milliseconds.
    """

    def __init__(
        self,
        *,
        peer: AttestedPeer,
        state: SyncState,
        dirty: Iterable[RecordState],
        device_key: SigningKey,
        keyring: Keyring,
        may_admit: bool = True,
        version_of: Callable[[bytes], int],
        at_ms: int,
    ) -> None:
        if not equal(peer.deployment, state.deployment):
            raise Misconfigured("this vault is kept by another deployment than the attested one")
        if keyring.signing_key(max(1, state.view.chain.epoch)).public != state.view.chain.account_key:
            raise ValueError("these are not the keys of the account whose log this is")
        self.phase = Phase.IDLE
        self._head_key_hash = peer.head_key_hash
        self._state = state
        self._dirty = {record.record: record for record in dirty if record.dirty}
        self._device_key = device_key
        self._keys = VaultKeys(keyring, state.view.chain.vault)
        self._may_admit = may_admit
        self._version_of = version_of
        self._at_ms = at_ms
        self._batch: Batch | None = None
        self._held: _Held | None = None
        self._unread: Page | None = None
        self._attempts = 0
        self._lags = 0
        self._summary = Summary()

    def handle(self, event: Event) -> list[Effect]:
        """Take an event and give the effects to carry out, in order.

        ``Misbehaviour`` (with a proof where there is one), ``Malformed``, ``NotAuthorised``, ``HeadMoved`` and
        ``StoreUnreachable`` end the sync; what was applied before stays valid. ``ValueError`` for an event that has
        no place here: a mistake of the driver.
        """
        try:
            transition, leads_to = _TRANSITIONS[self.phase, type(event)]
        except KeyError:
            raise ValueError(f"{type(event).__name__} has no place while {self.phase.value}") from None
        try:
            effects = transition(self, event)
        except BaseException:
            self.phase = Phase.STOPPED
            raise
        assert self.phase in leads_to  # noqa: S101 - the table is the specification of this class
        return effects

    def record_edited(self, record: RecordState) -> RecordState:
        """Take an edit that a person made while this sync runs; give the state to write to the local store.

        ``record`` is the state as the local store has it, with the edit in it. The driver holds the lock under which
        it also carries out ``Apply``.
        """
        self._dirty[record.record] = record
        return record

    # transitions ---------------------------------------------------------------------------------------------

    def _start(self, _event: Event) -> list[Effect]:
        return [self._fetch()]

    def _take_page(self, event: Event) -> list[Effect]:
        if not isinstance(event, Page):
            raise TypeError("a page is needed")
        try:
            return self._read_page(event)
        except (RollbackDetected, WithheldDetected):
            # an instance that lags shows what is known when it is asked again; one that lies does not
            self._lags += 1
            if self._lags > MAX_LAGS:
                raise
            return [replace(self._fetch(), pause_ms=self._lags * _LAG_PAUSE_MS)]

    def _read_page(self, page: Page) -> list[Effect]:
        first = self._state.view.chain.length
        head = verify_head(page.head, head_key_hash=self._head_key_hash, vault=self._state.view.chain.vault)
        steps = [Step.from_bytes(entry, sealed) for entry, sealed in page.steps]
        view = advance(self._state.view, head, steps, version_of=self._version_of)
        if view.chain.epoch > self._keys.keyring.generation:
            # nothing of this page is kept until its keys are there: it is then read from its beginning
            self._unread = page
            self.phase = Phase.RENEWING
            return [RenewKeys(generation=view.chain.epoch, account_key=view.chain.account_key)]
        self._check_keys(steps)
        if not view.complete and not steps:
            raise StoreUnreachable(
                f"the store signed a head of length {head.head.length} and shows {view.chain.length} entries"
            )
        kept = _Kept(first=first, steps=page.steps)
        if not view.complete:
            changed = self._pull(steps)
            self._state = replace(self._state, view=view)
            return [self._apply(changed, kept), self._fetch()]
        if max(1, view.chain.epoch) < self._keys.keyring.generation:
            raise WithheldDetected(
                "the store keeps back the entry with which the account's keys were renewed",
                proof=make_proof(ProofKind.WITHHELD, earlier=head.signed, later=head.signed),
            )
        news = judge_sisters(
            known_sisters(self._state.sisters),
            page.views,
            chain=view.chain,
            head=head,
            own_device=self._device_key.public,
        )
        changed = self._pull(steps)
        self._state = replace(self._state, view=view)
        held = _Held(head=head, changed=changed, kept=kept, news=news)
        if not news.behind:
            return self._release(held)
        self._held = held
        self.phase = Phase.PROVING
        return [Prove(size=head.head.length, lengths=tuple(sorted(news.behind)))]

    def _take_keys(self, event: Event) -> list[Effect]:
        if not isinstance(event, KeysFetched) or self._unread is None:
            raise TypeError("keys are needed")
        ours = self._keys.keyring
        if not event.keyring.extends(ours) or event.keyring.generation == ours.generation:
            raise RecordTampered("the account's new keys do not continue its old ones")
        self._keys = VaultKeys(event.keyring, self._state.view.chain.vault)
        page, self._unread = self._unread, None
        return self._read_page(page)

    def _check_keys(self, steps: Sequence[Step]) -> None:
        """See that what the log calls the account's key is the keyring's, generation by generation."""
        for step in steps:
            entry = step.entry.entry
            if isinstance(entry.change, KeysRenewed):
                ours = self._keys.keyring.signing_key(entry.epoch).public
                if not equal(entry.change.account_key, ours):
                    raise RecordTampered(f"entry {entry.index} names another account key than the account's own")

    def _take_proven(self, event: Event) -> list[Effect]:
        if not isinstance(event, Proven) or self._held is None:
            raise TypeError("consistency paths are needed")
        held, self._held = self._held, None
        hold_against(held.news, event.paths, held.head)
        return self._release(held)

    def _release(self, held: _Held) -> list[Effect]:
        sisters = tuple(sorted(sister.signed for sister in held.news.sisters.values()))
        self._state = replace(self._state, sisters=sisters)
        return self._push_or_finish(held.changed, held.kept)

    def _take_appended(self, event: Event) -> list[Effect]:
        if not isinstance(event, Appended) or self._batch is None:
            raise TypeError("an answer to an append is needed")
        head = verify_head(event.head, head_key_hash=self._head_key_hash, vault=self._state.view.chain.vault)
        end = self._batch.steps[-1].entry
        if (head.head.length, head.head.chain_hash) != (end.entry.index + 1, end.chain_hash):
            # the store says yes and signs something else: only reading the log tells what it holds
            return self._retry()
        first = self._state.view.chain.length
        self._state = replace(self._state, view=advance(self._state.view, head, self._batch.steps))
        acknowledged = tuple(self._acknowledge(sent) for sent in self._batch.records)
        self._summary = replace(self._summary, pushed=self._summary.pushed + len(acknowledged))
        kept = _Kept(first=first, steps=tuple(step.to_bytes() for step in self._batch.steps))
        self._batch = None
        return self._push_or_finish(acknowledged, kept)

    def _take_conflict(self, _event: Event) -> list[Effect]:
        return self._retry()

    def _stop(self, _event: Event) -> list[Effect]:
        self.phase = Phase.STOPPED
        return []

    # pulling -------------------------------------------------------------------------------------------------

    def _fetch(self) -> Fetch:
        self.phase = Phase.FETCHING
        return Fetch(after_length=self._state.view.chain.length, statement=self._state.stated)

    def _retry(self) -> list[Effect]:
        self._batch = None
        self._attempts += 1
        if self._attempts >= MAX_ATTEMPTS:
            raise HeadMoved(f"other devices' entries were first {self._attempts} times", hint="Try again later.")
        return [self._fetch()]

    def _pull(self, steps: Sequence[Step]) -> tuple[RecordState, ...]:
        """Give the states of the records that the entries write; the chain has checked the entries already."""
        changed: dict[bytes, RecordState] = {}
        dirty = dict(self._dirty)
        summary = self._summary
        for step in steps:
            entry = step.entry.entry
            if not isinstance(entry.change, RecordWritten):
                continue
            record, version = entry.change.record, entry.change.version
            theirs = open_record(
                step.sealed,
                self._keys.of(entry.epoch),
                RecordPlace(vault=entry.vault, record=record, version=version, author=entry.author, epoch=entry.epoch),
            )
            mine = dirty.get(record)
            if mine is None:
                updated = RecordState(record=record, base=theirs, base_version=version, current=theirs)
                summary = replace(summary, pulled=summary.pulled + 1)
            elif entry.author == self._device_key.public and theirs == mine.sent:
                # our own append, whose acknowledgement was lost: what the person did since comes after it
                updated = RecordState(record=record, base=theirs, base_version=version, current=mine.current)
                summary = replace(summary, pushed=summary.pushed + 1)
            else:
                merged = merge(mine.base, theirs, mine.current)
                updated = RecordState(record=record, base=theirs, base_version=version, current=merged.item)
                summary = replace(
                    summary,
                    pulled=summary.pulled + 1,
                    merged=summary.merged + 1,
                    conflicts=summary.conflicts + merged.conflicts,
                )
            changed[record] = updated
            if updated.dirty:
                dirty[record] = updated
            else:
                dirty.pop(record, None)
        self._dirty = dirty
        self._summary = summary
        return tuple(changed.values())

    def _apply(self, records: Iterable[RecordState], kept: _Kept) -> Apply:
        return Apply(records=tuple(records), state=self._state, first=kept.first, steps=kept.steps)

    # pushing -------------------------------------------------------------------------------------------------

    def _push_or_finish(self, changed: Sequence[RecordState], kept: _Kept) -> list[Effect]:
        """Send the next batch, or end. What is about to be sent is written down first, as the next ``Apply``."""
        batch = next_batch(
            self._state.view.chain,
            self._dirty.values(),
            device_key=self._device_key,
            keys=self._keys,
            may_admit=self._may_admit,
        )
        states = {record.record: record for record in changed}
        if batch is None:
            self.phase = Phase.DONE
            published = self._restate()
            return [self._apply(states.values(), kept), *published, Finished(summary=self._summary)]
        for sent in batch.records:
            self._dirty[sent.record] = sent
            states[sent.record] = sent
        self._batch = batch
        self.phase = Phase.PUSHING
        chain = self._state.view.chain
        return [
            self._apply(states.values(), kept),
            Append(
                expected_length=chain.length,
                expected_hash=chain.chain_hash,
                steps=tuple(step.to_bytes() for step in batch.steps),
            ),
        ]

    def _restate(self) -> list[Effect]:
        """Sign what this device has reached, if it is a member and its last statement says less or is a day old.

        What others wrote and this device has read is told at once. Where it only wrote itself, its entries say as
        much, and the statement goes with the next fetch.
        """
        view = self._state.view
        if view.head is None or self._device_key.public not in view.chain.members:
            return []
        at_ms = self._at_ms
        if self._state.stated is not None:
            last = SignedStatement.from_bytes(self._state.stated)
            if last.head.length == view.chain.length and at_ms < last.statement.time_ms + _RESTATE_MS:
                return []
            # a clock that was set back must not make a word look older than the one before
            at_ms = max(at_ms, last.statement.time_ms + 1)
        statement = state_view(view.head, device_key=self._device_key, at_ms=at_ms)
        told = self._state.stated is not None and self._summary.pulled == 0
        self._state = replace(self._state, stated=statement)
        return [] if told else [Publish(statement=statement)]

    def _acknowledge(self, sent: RecordState) -> RecordState:
        """Give the state of a record whose version the log now has; the person may have gone on editing it."""
        current = self._dirty.pop(sent.record).current
        state = RecordState(record=sent.record, base=sent.current, base_version=sent.base_version + 1, current=current)
        if state.dirty:
            self._dirty[sent.record] = state
        return state


_Transition = tuple[Callable[[SyncEngine, Event], list[Effect]], frozenset[Phase]]

_TRANSITIONS: Final[dict[tuple[Phase, type[Event]], _Transition]] = {
    (Phase.IDLE, Started): (SyncEngine._start, frozenset({Phase.FETCHING})),
    (Phase.IDLE, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
    (Phase.FETCHING, Page): (
        SyncEngine._take_page,
        frozenset({Phase.FETCHING, Phase.RENEWING, Phase.PROVING, Phase.PUSHING, Phase.DONE}),
    ),
    (Phase.FETCHING, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
    (Phase.RENEWING, KeysFetched): (
        SyncEngine._take_keys,
        frozenset({Phase.FETCHING, Phase.PROVING, Phase.PUSHING, Phase.DONE}),
    ),
    (Phase.RENEWING, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
    (Phase.PROVING, Proven): (SyncEngine._take_proven, frozenset({Phase.PUSHING, Phase.DONE})),
    (Phase.PROVING, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
    (Phase.PUSHING, Appended): (SyncEngine._take_appended, frozenset({Phase.PUSHING, Phase.FETCHING, Phase.DONE})),
    (Phase.PUSHING, Conflicted): (SyncEngine._take_conflict, frozenset({Phase.FETCHING})),
    (Phase.PUSHING, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
}
"""What may happen in which phase, who handles it, and where that may lead. An error leads to ``STOPPED``."""
