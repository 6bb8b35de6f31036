"""Counts an attempt before it is answered, in a state that neither a restart nor an older database gives back.

Where the deployment has a counter outside its database (``store.freshness``), the state is sealed together with the
counter's value, and each change goes through three steps (docs/spec/guess-limits.md 3): write the changed state as
*pending* for the next value, move the counter, write it as *confirmed*. Attempts that arrive while one change is
being made share the next one. Where there is no counter, the state lives in memory and begins exhausted.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from strongroom.base import canonical
from strongroom.base.errors import (
    AnchorMoved,
    AnchorUnavailable,
    Conflict,
    Contended,
    Malformed,
    Misconfigured,
    StorageUnavailable,
    StrongroomError,
    TooManyGuesses,
    Unavailable,
)
from strongroom.base.fields import Fields
from strongroom.store.freshness import ANCHOR_ID_BYTES
from strongroom.store.guessing import (
    NAME_BYTES,
    STANDARD_LIMITS,
    Allowed,
    GuessLimits,
    GuessState,
    Refused,
    attempt,
    exhausted,
    give_back,
    moved_on,
)
from strongroom.store.ports import Table
from strongroom.store.store_time import Moment, StoreTime
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.base.clock import Clock
    from strongroom.store.freshness import AnchorReading, FreshnessAnchor
    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.sealing import SealedRows

    Note = Callable[[WriteTransaction], None]

__all__ = [
    "AnchoredGuesses",
    "GuessGate",
    "UnanchoredGuesses",
    "bound_anchor",
    "found_guesses",
    "guess_name",
    "open_guesses",
    "rebind_guesses",
    "too_many_guesses",
]

_log = logging.getLogger(__name__)

_TRIES: Final = 400
_PAUSE_SECONDS: Final = 0.01
_PATIENCE: Final = 200
"""How many pauses another instance may take between its two writes before it counts as gone (2 seconds)."""

_WRITER_BYTES: Final = 16
_MAX_ROW_BYTES: Final = 4 * 1024 * 1024 + 1024


class GuessGate(Protocol):
    """What stands before every evaluation of a guess."""

    def admit(self, name: bytes, note: Note) -> None:
        """Count an attempt at ``name`` (16 bytes), durably, or raise ``TooManyGuesses``: then nothing was counted.

        ``note`` runs in the very transaction that counts, at most once for each time that the change is tried.
        Raises ``Unavailable`` when it cannot be made sure that the attempt was counted; it may have been.
        """
        ...

    def give_back(self, name: bytes) -> None:
        """Give an attempt back that ended in a login; should the process end first, it stays counted."""
        ...


def found_guesses(
    transaction: WriteTransaction, rows: SealedRows, keys: StoreKeys, anchor: FreshnessAnchor | None
) -> None:
    """Tie a new deployment to its counter, or to none, for ever, in the transaction that makes the deployment.

    This is the only time at which a state is made that is not exhausted. The counter has moved on with the first
    attempt, and what is sealed here is then an older state like any other.
    """
    anchor_id = None if anchor is None else anchor.anchor_id
    rows.insert(transaction, Table.DEPLOYMENT, _binding_key(keys), canonical.encode({"anchor": anchor_id}))
    if anchor is not None:
        kept = _Kept(value=anchor.read().value, confirmed=True, writer=bytes(_WRITER_BYTES), state=GuessState())
        rows.insert(transaction, Table.GUESSES, _state_key(keys, anchor.anchor_id), kept.to_bytes())


def rebind_guesses(
    transaction: WriteTransaction, rows: SealedRows, keys: StoreKeys, anchor: FreshnessAnchor, limits: GuessLimits
) -> None:
    """Tie a deployment to a new counter, with nothing in hand: moving never gives a guesser an attempt."""
    key = _binding_key(keys)
    row = rows.get(transaction, Table.DEPLOYMENT, key)
    if row is None:
        raise StorageUnavailable("the database does not say what this deployment's guess limits hang on")
    binding = canonical.encode({"anchor": anchor.anchor_id})
    rows.replace(transaction, Table.DEPLOYMENT, key, expected_version=row.version, value=binding)
    kept = _Kept(
        value=anchor.read().value,
        confirmed=True,
        writer=bytes(_WRITER_BYTES),
        state=exhausted(GuessState(), limits),
    )
    rows.insert(transaction, Table.GUESSES, _state_key(keys, anchor.anchor_id), kept.to_bytes())


def bound_anchor(storage: RecordStore, rows: SealedRows, keys: StoreKeys) -> bytes | None:
    """Give the name of the counter that a deployment was made with, or ``None`` where it was made without."""
    with storage.read() as transaction:
        row = rows.get(transaction, Table.DEPLOYMENT, _binding_key(keys))
    if row is None:
        raise StorageUnavailable("the database does not say what this deployment's guess limits hang on")
    fields = Fields.decode(row.value, path="guess limits", error=Malformed, max_bytes=256)
    bound = fields.optional_byte_string("anchor", length=ANCHOR_ID_BYTES)
    fields.done()
    return bound


def open_guesses(
    storage: RecordStore,
    rows: SealedRows,
    keys: StoreKeys,
    clock: Clock,
    anchor: FreshnessAnchor | None,
    *,
    limits: GuessLimits = STANDARD_LIMITS,
) -> GuessGate:
    """Open the gate of a deployment; ``Misconfigured`` unless ``anchor`` is the counter that it was made with.

    Were another counter taken, or none, each new one would stand for one more budget.
    """
    bound = bound_anchor(storage, rows, keys)
    if bound != (None if anchor is None else anchor.anchor_id):
        raise Misconfigured(
            "this deployment's guess limits hang on another counter"
            if bound is not None
            else "this deployment was made without a counter for its guess limits",
            setting="anchor",
            hint="start it as it was made; a deployment keeps its counter for ever",
        )
    if anchor is None:
        return UnanchoredGuesses(storage, clock, limits=limits)
    return AnchoredGuesses(storage, rows, _state_key(keys, anchor.anchor_id), clock, anchor, limits=limits)


@dataclass(slots=True, eq=False)
class _Attempt:
    """One attempt on its way through a gate."""

    name: bytes
    note: Note
    outcome: Allowed | Refused | StrongroomError | None = None

    def finish(self) -> None:
        """Return when the attempt was counted, raise otherwise."""
        match self.outcome:
            case Allowed():
                return
            case Refused(retry_after_ms=wait):
                raise too_many_guesses(wait)
            case StrongroomError() as error:
                raise error
            case None:
                raise Unavailable("the attempt could not be counted", retry_after_seconds=1.0)


def too_many_guesses(wait_ms: int) -> TooManyGuesses:
    """Build the refusal: the same words for every name."""
    minutes = -(-wait_ms // 60_000)
    return TooManyGuesses(
        "too many attempts at this name, or at all names together",
        retry_after_seconds=wait_ms / 1000,
        hint=f"try again in {minutes} minute{'' if minutes == 1 else 's'}; devices that are set up go on syncing",
    )


class UnanchoredGuesses:
    """The gate of a deployment without a counter: nothing is kept, and every start begins with nothing in hand.

    Whatever a database says about the past, an older one could say otherwise; so none is asked.
    """

    def __init__(self, storage: RecordStore, clock: Clock, *, limits: GuessLimits) -> None:
        self._storage = storage
        self._clock = clock
        self._limits = limits
        self._time = StoreTime()
        self._lock = threading.Lock()
        self._state = exhausted(GuessState(), limits)
        self._time.now(0, self._moment())

    def admit(self, name: bytes, note: Note) -> None:
        """Count an attempt in memory, then note it; see ``GuessGate``."""
        made = _Attempt(name, note)
        with self._lock:
            state = moved_on(self._state, self._time.now(self._state.time_ms, self._moment()))
            made.outcome = attempt(state, name, self._limits)
            if isinstance(made.outcome, Allowed):
                self._state = made.outcome.state
        if isinstance(made.outcome, Allowed):
            transact(self._storage, note)
        made.finish()

    def give_back(self, name: bytes) -> None:
        """Give an attempt back."""
        with self._lock:
            self._state = give_back(self._state, name, self._limits)

    def _moment(self) -> Moment:
        return Moment(monotonic_ms=int(self._clock.monotonic() * 1000), anchor_ms=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A state as it is sealed: for which value of the counter, and whether the counter has been moved there."""

    value: int
    confirmed: bool
    writer: bytes
    state: GuessState

    def to_bytes(self) -> bytes:
        return canonical.encode(
            {
                "value": self.value,
                "confirmed": int(self.confirmed),
                "writer": self.writer,
                "state": self.state.to_bytes(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> _Kept:
        try:
            fields = Fields.decode(data, path="guess row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
            kept = cls(
                value=fields.number("value"),
                confirmed=bool(fields.number("confirmed", at_most=1)),
                writer=fields.byte_string("writer", length=_WRITER_BYTES),
                state=GuessState.from_bytes(fields.byte_string("state")),
            )
            fields.done()
        except Malformed as cause:
            raise StorageUnavailable("the row of the guess limits holds something else") from cause
        return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the database holds, judged by the counter: the row's version (0 for none), and whether it is the newest."""

    version: int
    kept: _Kept
    newest: bool


class _Wait(Exception):  # another instance is in the middle of a change; try again a little later
    pass


class AnchoredGuesses:
    """The gate of a deployment with a counter outside its database."""

    def __init__(
        self,
        storage: RecordStore,
        rows: SealedRows,
        key: bytes,
        clock: Clock,
        anchor: FreshnessAnchor,
        *,
        limits: GuessLimits,
    ) -> None:
        self._storage = storage
        self._rows = rows
        self._key = key
        self._clock = clock
        self._anchor = anchor
        self._limits = limits
        self._time = StoreTime()
        self._writer = os.urandom(_WRITER_BYTES)
        self._queue = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Attempt] = []
        self._returned: list[bytes] = []
        self._waited: tuple[bytes, int] = (b"", 0)

    def admit(self, name: bytes, note: Note) -> None:
        """Count an attempt, together with all that wait for their turn; see ``GuessGate``."""
        made = _Attempt(name, note)
        with self._queue:
            self._waiting.append(made)
        with self._turn:
            if made.outcome is None:
                with self._queue:
                    batch, self._waiting = self._waiting, []
                    returned, self._returned = self._returned, []
                self._decide(batch, returned)
        made.finish()

    def give_back(self, name: bytes) -> None:
        """Give an attempt back, with the next change."""
        with self._queue:
            self._returned.append(name)

    def _decide(self, batch: Sequence[_Attempt], returned: Sequence[bytes]) -> None:
        failure: StrongroomError = Unavailable("the attempt could not be counted", retry_after_seconds=1.0)
        try:
            for _ in range(_TRIES):
                try:
                    if self._change(batch, returned):
                        return
                except _Wait:
                    time.sleep(_PAUSE_SECONDS)
                except (AnchorMoved, Conflict, Contended):
                    continue  # another instance was first, or the database was put back: look again
        except StrongroomError as error:
            failure = error
        for made in batch:
            made.outcome = failure

    def _change(self, batch: Sequence[_Attempt], returned: Sequence[bytes]) -> bool:
        """Try one change; tell whether every attempt of the batch has its outcome."""
        reading = self._anchor.read()
        with self._storage.write() as transaction:
            found = self._find(transaction, reading)
            state = self._present(found.kept.state, reading)
            if found.newest:
                for name in returned:
                    state = give_back(state, name, self._limits)
            else:
                _log.warning("the guess limits in the database are not the newest; nobody has an attempt left")
                state = exhausted(state, self._limits)
            outcomes: list[Allowed | Refused | StrongroomError] = []
            changed = not found.newest
            for made in batch:
                decision = attempt(state, made.name, self._limits)
                if isinstance(decision, Allowed):
                    state, changed = decision.state, True
                outcomes.append(decision if isinstance(decision, Refused) else _noted(made, decision, transaction))
            pending = _Kept(value=reading.value + 1, confirmed=False, writer=self._writer, state=state)
            if changed:
                self._write(transaction, found.version, pending)
        # Commit point. A crash from here to the counter's move leaves a pending state for a value that is still to
        # come: the next start goes on from it, so what it counts stays counted. A crash between the move and the
        # confirmation leaves a pending state for the present value. Whether the counter was moved for this state or
        # for another that was put away meanwhile, nothing tells; so the next start begins exhausted.
        if changed:
            self._anchor.advance(reading.value)  # of all who wrote for this value, one gets past this line
        for made, outcome in zip(batch, outcomes, strict=True):
            made.outcome = outcome
        if changed:
            self._confirm(found.version + 1, pending)
        return True

    def _find(self, transaction: ReadTransaction, reading: AnchorReading) -> _Found:
        row = self._rows.get(transaction, Table.GUESSES, self._key)
        if row is None:
            nothing = _Kept(value=0, confirmed=True, writer=bytes(_WRITER_BYTES), state=GuessState())
            return _Found(version=0, kept=nothing, newest=False)
        kept = _Kept.from_bytes(row.value)
        in_the_middle = not kept.confirmed and kept.writer != self._writer
        if in_the_middle and kept.value in {reading.value, reading.value + 1}:
            self._wait_for(row.value)
        if kept.value > reading.value + (not kept.confirmed):
            # another instance has moved the counter since it was read; if not, the counter has gone backwards
            if self._anchor.read().value < kept.value - (not kept.confirmed):
                raise AnchorUnavailable("the counter is behind what was sealed under it")
            raise _Wait
        newest = kept.value == reading.value if kept.confirmed else kept.value == reading.value + 1
        return _Found(version=row.version, kept=kept, newest=newest)

    def _wait_for(self, row: bytes) -> None:
        """Give another instance the time to finish its change, once for each change."""
        pauses = self._waited[1] + 1 if self._waited[0] == row else 1
        self._waited = (row, pauses)
        if pauses <= _PATIENCE:
            raise _Wait

    def _present(self, kept: GuessState, reading: AnchorReading) -> GuessState:
        moment = Moment(monotonic_ms=int(self._clock.monotonic() * 1000), anchor_ms=reading.elapsed_ms)
        return moved_on(kept, self._time.now(kept.time_ms, moment))

    def _write(self, transaction: WriteTransaction, version: int, kept: _Kept) -> None:
        if version:
            self._rows.replace(transaction, Table.GUESSES, self._key, expected_version=version, value=kept.to_bytes())
        else:
            self._rows.insert(transaction, Table.GUESSES, self._key, kept.to_bytes())

    def _confirm(self, version: int, pending: _Kept) -> None:
        confirmed = _Kept(value=pending.value, confirmed=True, writer=pending.writer, state=pending.state)
        try:
            transact(self._storage, lambda transaction: self._write(transaction, version, confirmed))
        except (Conflict, StorageUnavailable):
            # the attempts are counted; should nobody write again, the next start begins exhausted
            _log.warning("the guess limits could not be confirmed")


def _noted(made: _Attempt, allowed: Allowed, transaction: WriteTransaction) -> Allowed | StrongroomError:
    try:
        made.note(transaction)
    except Contended:  # the whole transaction was undone
        raise
    except StrongroomError as error:  # one account's damaged row is no other account's business
        return error
    return allowed


def guess_name(keys: StoreKeys, kind: str, *parts: bytes) -> bytes:
    """Give the 16 bytes under which attempts at something are counted."""
    return keys.identifier(f"guesses at {kind}", *parts)[:NAME_BYTES]


def _binding_key(keys: StoreKeys) -> bytes:
    return keys.identifier("guess limits")


def _state_key(keys: StoreKeys, anchor_id: bytes) -> bytes:
    return keys.identifier("guess state", anchor_id)
