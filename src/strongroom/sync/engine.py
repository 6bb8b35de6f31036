"""The sync engine: events in, effects out, one transition table (docs/spec/sync.md section 4).

It holds no clock, file or socket, and takes nothing but an attested peer's word. The driver carries out effects in
order and hands in what came of them; an engine lives for one sync and is dropped after it, however it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import HeadMoved, Misconfigured, NotAuthorised, StoreUnreachable
from strongroom.crypto.hashing import equal, sha256
from strongroom.records.sealed_record import RecordPlace, open_record, seal_record
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
    Page,
    Started,
    Summary,
)
from strongroom.sync.merge import merge
from strongroom.sync.model import RecordState
from strongroom.vaultlog.chain import authorise_device
from strongroom.vaultlog.entry import Entry, RecordWritten, Step
from strongroom.vaultlog.head import verify_head
from strongroom.vaultlog.view import advance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from strongroom.crypto.signatures import SigningKey
    from strongroom.records.keys import VaultKey
    from strongroom.sync.model import SyncState
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["MAX_ATTEMPTS", "MAX_BATCH_BYTES", "MAX_BATCH_RECORDS", "Phase", "SyncEngine"]

MAX_BATCH_RECORDS: Final = 199  # and a device's entry: 200 entries in one append
MAX_BATCH_BYTES: Final = 512 * 1024  # of sealed records, passed by at most one record
MAX_ATTEMPTS: Final = 16  # appends lost to others before a sync gives up


class Phase(StrEnum):
    """Where a sync stands."""

    IDLE = "idle"
    FETCHING = "fetching"
    PUSHING = "pushing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Batch:
    """The append under way: the record states as they were sent, and the steps that write them."""

    records: tuple[RecordState, ...]
    steps: tuple[Step, ...]


class SyncEngine:
    """One sync of one vault by one device.

    ``dirty`` are the record states with edits that the log does not have. ``vault_key`` gives the vault's key of an
    epoch and ``epoch`` is the one to write under. With ``account_key`` a device that is not a member yet admits
    itself; without it, it can only read.
    """

    def __init__(
        self,
        *,
        peer: AttestedPeer,
        state: SyncState,
        dirty: Iterable[RecordState],
        device_key: SigningKey,
        vault_key: Callable[[int], VaultKey],
        epoch: int,
        account_key: SigningKey | None = None,
    ) -> None:
        if not equal(peer.deployment, state.deployment):
            raise Misconfigured("this vault is kept by another deployment than the attested one")
        if account_key is not None and account_key.public != state.view.chain.account_key:
            raise ValueError("the account key is not the one that the vault's log begins with")
        self.phase = Phase.IDLE
        self._head_key_hash = peer.head_key_hash
        self._state = state
        self._dirty = {record.record: record for record in dirty if record.dirty}
        self._device_key = device_key
        self._account_key = account_key
        self._vault_key = vault_key
        self._vault_keys: dict[int, VaultKey] = {}
        self._epoch = epoch
        self._batch: _Batch | None = None
        self._attempts = 0
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
        head = verify_head(event.head, head_key_hash=self._head_key_hash, vault=self._state.view.chain.vault)
        steps = [Step.from_bytes(entry, sealed) for entry, sealed in event.steps]
        view = advance(self._state.view, head, steps)
        if not view.complete and not steps:
            raise StoreUnreachable(
                f"the store signed a head of length {head.head.length} and shows {view.chain.length} entries"
            )
        changed = self._pull(steps)
        self._state = replace(self._state, view=view)
        if not view.complete:
            return [Apply(records=changed, state=self._state), self._fetch()]
        return self._push_or_finish(changed)

    def _take_appended(self, event: Event) -> list[Effect]:
        if not isinstance(event, Appended) or self._batch is None:
            raise TypeError("an answer to an append is needed")
        head = verify_head(event.head, head_key_hash=self._head_key_hash, vault=self._state.view.chain.vault)
        end = self._batch.steps[-1].entry
        if (head.head.length, head.head.chain_hash) != (end.entry.index + 1, end.chain_hash):
            # the store says yes and signs something else: only reading the log tells what it holds
            return self._retry()
        self._state = replace(self._state, view=advance(self._state.view, head, self._batch.steps))
        acknowledged = tuple(self._acknowledge(sent) for sent in self._batch.records)
        self._summary = replace(self._summary, pushed=self._summary.pushed + len(acknowledged))
        self._batch = None
        return self._push_or_finish(acknowledged)

    def _take_conflict(self, _event: Event) -> list[Effect]:
        return self._retry()

    def _stop(self, _event: Event) -> list[Effect]:
        self.phase = Phase.STOPPED
        return []

    # pulling -------------------------------------------------------------------------------------------------

    def _fetch(self) -> Fetch:
        self.phase = Phase.FETCHING
        return Fetch(after_length=self._state.view.chain.length, head=self._state.view.head)

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
                self._key(entry.epoch),
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

    # pushing -------------------------------------------------------------------------------------------------

    def _push_or_finish(self, changed: Sequence[RecordState]) -> list[Effect]:
        """Send the next batch, or end. What is about to be sent is written down first, as the next ``Apply``."""
        batch = self._next_batch()
        states = {record.record: record for record in changed}
        if batch is None:
            self.phase = Phase.DONE
            return [Apply(records=tuple(states.values()), state=self._state), Finished(summary=self._summary)]
        for sent in batch.records:
            self._dirty[sent.record] = sent
            states[sent.record] = sent
        self._batch = batch
        self.phase = Phase.PUSHING
        chain = self._state.view.chain
        return [
            Apply(records=tuple(states.values()), state=self._state),
            Append(
                expected_length=chain.length,
                expected_hash=chain.chain_hash,
                steps=tuple(step.to_bytes() for step in batch.steps),
            ),
        ]

    def _next_batch(self) -> _Batch | None:
        chain = self._state.view.chain
        epoch = max(self._epoch, chain.epoch)
        is_member = self._device_key.public in chain.members
        waiting = [record for record in self._dirty.values() if record.current != record.base]
        steps: list[Step] = []
        if not is_member and self._account_key is not None:
            admission = authorise_device(self._account_key, self._device_key.public, chain, epoch=epoch)
            steps.append(Step(entry=admission, sealed=b""))
        elif not is_member and waiting:
            raise NotAuthorised("this device is no member of the vault and cannot write to it")
        records: list[RecordState] = []
        size = 0
        for record in waiting:
            if len(records) == MAX_BATCH_RECORDS or size >= MAX_BATCH_BYTES:
                break
            previous = steps[-1].entry.chain_hash if steps else chain.chain_hash
            step = self._seal_step(record, index=chain.length + len(steps), previous=previous, epoch=epoch)
            steps.append(step)
            records.append(replace(record, sent=record.current))
            size += len(step.sealed)
        return _Batch(records=tuple(records), steps=tuple(steps)) if steps else None

    def _seal_step(self, record: RecordState, *, index: int, previous: bytes, epoch: int) -> Step:
        vault, author, version = self._state.view.chain.vault, self._device_key.public, record.base_version + 1
        place = RecordPlace(vault=vault, record=record.record, version=version, author=author, epoch=epoch)
        sealed = seal_record(record.current, self._key(epoch), place)
        change = RecordWritten(record=record.record, version=version, sealed_digest=sha256(sealed))
        entry = Entry(vault=vault, epoch=epoch, index=index, previous=previous, author=author, change=change)
        return Step(entry=entry.signed_by(self._device_key), sealed=sealed)

    def _acknowledge(self, sent: RecordState) -> RecordState:
        """Give the state of a record whose version the log now has; the person may have gone on editing it."""
        current = self._dirty.pop(sent.record).current
        state = RecordState(record=sent.record, base=sent.current, base_version=sent.base_version + 1, current=current)
        if state.dirty:
            self._dirty[sent.record] = state
        return state

    def _key(self, epoch: int) -> VaultKey:
        if epoch not in self._vault_keys:
            self._vault_keys[epoch] = self._vault_key(epoch)
        return self._vault_keys[epoch]


_Transition = tuple[Callable[[SyncEngine, Event], list[Effect]], frozenset[Phase]]

_TRANSITIONS: Final[dict[tuple[Phase, type[Event]], _Transition]] = {
    (Phase.IDLE, Started): (SyncEngine._start, frozenset({Phase.FETCHING})),
    (Phase.IDLE, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
    (Phase.FETCHING, Page): (SyncEngine._take_page, frozenset({Phase.FETCHING, Phase.PUSHING, Phase.DONE})),
    (Phase.FETCHING, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
    (Phase.PUSHING, Appended): (SyncEngine._take_appended, frozenset({Phase.PUSHING, Phase.FETCHING, Phase.DONE})),
    (Phase.PUSHING, Conflicted): (SyncEngine._take_conflict, frozenset({Phase.FETCHING})),
    (Phase.PUSHING, Failed): (SyncEngine._stop, frozenset({Phase.STOPPED})),
}
"""What may happen in which phase, who handles it, and where that may lead. An error leads to ``STOPPED``."""
