"""What happened to an account, for its owner to read: sealed, bounded, and the operator's in no form.

Two rows for each account: the last 256 events, and the attempts at its password, counted by the hour. The second has
a fixed size and is written for every attempt, in a row that belongs to nobody where nobody has the name, so that
neither time nor size tells whether an account exists (docs/spec/accounts.md section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["AccountEvent", "AuditLog", "Happened", "Window"]

_KEPT: Final = 256
_WINDOWS: Final = 8
_WINDOW_BYTES: Final = 20
_WINDOW_MS: Final = 60 * 60 * 1000
_MAX_ROW_BYTES: Final = 64 * 1024
_MAX_COUNT: Final = (1 << 32) - 1
_MAX_TIME: Final = (1 << 63) - 1
_NOBODY: Final = b"nobody"


class AccountEvent(StrEnum):
    """What the owner is told about."""

    REGISTERED = "registered"
    LOGGED_IN = "logged in"
    FACTOR_WRONG = "wrong second factor"
    RECOVERY_CODE_USED = "recovery code used"
    FACTOR_ADDED = "second factor added"
    FACTOR_REMOVED = "second factor removed"
    PASSWORD_CHANGED = "password changed"  # noqa: S105 - the name of an event
    DELETION_REFUSED = "deletion refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event, at a time of the host's clock."""

    at_ms: int
    event: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Attempts within an hour of the first of them."""

    first_ms: int
    last_ms: int
    count: int


class AuditLog:
    """The logs of one tenant's accounts. Every method works within a transaction of the caller's."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys

    def begin(self, transaction: WriteTransaction, account_id: bytes, *, at_ms: int) -> None:
        """Make an account's rows, with the account."""
        self._rows.insert(transaction, Table.AUDIT, self._attempts_key(account_id), _pack(()))
        self.note(transaction, account_id, AccountEvent.REGISTERED, at_ms=at_ms)

    def note(
        self, transaction: WriteTransaction, account_id: bytes, event: AccountEvent, *, at_ms: int, detail: str = ""
    ) -> None:
        """Add an event; the oldest gives way."""
        key = self._events_key(account_id)
        version, events = self._events(transaction, key)
        kept = [*events, Happened(at_ms=at_ms, event=str(event), detail=detail[:64])][-_KEPT:]
        value = canonical.encode({"events": [_line(happened) for happened in kept]})
        self._put(transaction, key, version, value)

    def note_attempt(self, transaction: WriteTransaction, account_id: bytes | None, *, at_ms: int) -> None:
        """Count an attempt at a password; ``None`` for a name that nobody has."""
        key = self._attempts_key(account_id or _NOBODY)
        version, windows = self._windows(transaction, key)
        newest = windows[-1] if windows else None
        if newest is None or not 0 <= at_ms - newest.first_ms < _WINDOW_MS:
            windows = (*windows, Window(first_ms=at_ms, last_ms=at_ms, count=1))[-_WINDOWS:]
        else:
            count = min(newest.count + 1, _MAX_COUNT)
            windows = (*windows[:-1], Window(first_ms=newest.first_ms, last_ms=at_ms, count=count))
        self._put(transaction, key, version, _pack(windows))

    def take_attempt_back(self, transaction: WriteTransaction, account_id: bytes) -> None:
        """Uncount the newest attempt: it was a login."""
        key = self._attempts_key(account_id)
        version, windows = self._windows(transaction, key)
        if windows:
            last = windows[-1]
            fewer = Window(first_ms=last.first_ms, last_ms=last.last_ms, count=last.count - 1)
            self._put(transaction, key, version, _pack((*windows[:-1], fewer) if fewer.count else windows[:-1]))

    def read(self, transaction: ReadTransaction, account_id: bytes) -> tuple[Sequence[Happened], Sequence[Window]]:
        """Give the events and the attempts that are kept, oldest first."""
        return (
            self._events(transaction, self._events_key(account_id))[1],
            self._windows(transaction, self._attempts_key(account_id))[1],
        )

    def erase(self, transaction: WriteTransaction, account_id: bytes) -> None:
        """Remove an account's rows."""
        for key in (self._events_key(account_id), self._attempts_key(account_id)):
            row = transaction.get(Table.AUDIT, key)
            if row is not None:
                transaction.delete(Table.AUDIT, key, expected_version=row.version)

    def _events(self, transaction: ReadTransaction, key: bytes) -> tuple[int, Sequence[Happened]]:
        row = self._rows.get(transaction, Table.AUDIT, key)
        if row is None:
            return 0, ()
        try:
            fields = Fields.decode(row.value, path="account log", error=Malformed, max_bytes=_MAX_ROW_BYTES)
            lines = fields.byte_strings("events", at_most=_KEPT)
            fields.done()
            return row.version, tuple(map(_happened, lines))
        except Malformed as cause:
            raise _damaged() from cause

    def _windows(self, transaction: ReadTransaction, key: bytes) -> tuple[int, tuple[Window, ...]]:
        row = self._rows.get(transaction, Table.AUDIT, key)
        if row is None:
            return 0, ()
        if len(row.value) != _WINDOWS * _WINDOW_BYTES:
            raise _damaged()
        return row.version, _unpack(row.value)

    def _put(self, transaction: WriteTransaction, key: bytes, version: int, value: bytes) -> None:
        if version:
            self._rows.replace(transaction, Table.AUDIT, key, expected_version=version, value=value)
        else:
            self._rows.insert(transaction, Table.AUDIT, key, value)

    def _events_key(self, account_id: bytes) -> bytes:
        return self._keys.identifier("account log", account_id)

    def _attempts_key(self, account_id: bytes) -> bytes:
        return self._keys.identifier("attempts", account_id)


def _line(happened: Happened) -> bytes:
    return canonical.encode({"at": happened.at_ms, "event": happened.event, "detail": happened.detail})


def _happened(line: bytes) -> Happened:
    fields = Fields.decode(line, path="event", error=Malformed, max_bytes=512)
    happened = Happened(
        at_ms=fields.number("at"), event=fields.text("event", at_most=64), detail=fields.text("detail", at_most=64)
    )
    fields.done()
    return happened


def _pack(windows: Sequence[Window]) -> bytes:
    """Write windows, the empty ones first: 160 bytes, however many there are."""
    lines = (
        min(window.first_ms, _MAX_TIME).to_bytes(8, "big")
        + min(window.last_ms, _MAX_TIME).to_bytes(8, "big")
        + window.count.to_bytes(4, "big")
        for window in windows
    )
    return b"".join(lines).rjust(_WINDOWS * _WINDOW_BYTES, b"\x00")


def _unpack(value: bytes) -> tuple[Window, ...]:
    lines = [value[start : start + _WINDOW_BYTES] for start in range(0, len(value), _WINDOW_BYTES)]
    windows = (
        Window(
            first_ms=int.from_bytes(line[:8], "big"),
            last_ms=int.from_bytes(line[8:16], "big"),
            count=int.from_bytes(line[16:], "big"),
        )
        for line in lines
    )
    return tuple(window for window in windows if window.count)


def _damaged() -> StorageUnavailable:
    return StorageUnavailable("an account's log holds something else")
