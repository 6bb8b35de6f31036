"""What tenants use: counted in memory, added to the database at intervals, by tenant and month (docs/spec/tenants.md).

A request costs no write. A crash loses what one instance has counted since its last flush, and nothing else: accounts
and vaults are counted from the accounts' index, and bytes can be counted again from the entries themselves.
Each flush carries the instance's number and its own, so that one whose outcome was lost is never added twice.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.store.ports import Table
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["MONTHS_KEPT", "UsageMeter", "Used", "month_of"]

MONTHS_KEPT: Final = 36
_APPLIED: Final = 64  # flushes that a row remembers, of all instances
_FLUSH_BYTES: Final = 16
_MAX_ROW_BYTES: Final = 4096
_OFFSET: Final = 1 << 62  # bytes added may be negative, canonical numbers in Fields may not


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One tenant in one month: requests served, bytes added less bytes removed, accounts opened less those deleted."""

    requests: int = 0
    bytes: int = 0
    accounts: int = 0

    def __add__(self, other: Used) -> Used:
        return Used(
            requests=self.requests + other.requests,
            bytes=self.bytes + other.bytes,
            accounts=self.accounts + other.accounts,
        )


@dataclass(slots=True)
class _Row:
    version: int = 0
    used: Used = field(default_factory=Used)
    applied: tuple[bytes, ...] = ()


class UsageMeter:
    """Counts for one instance. Threads may share it."""

    def __init__(self, storage: RecordStore, rows: SealedRows, keys: StoreKeys) -> None:
        self._storage = storage
        self._rows = rows
        self._keys = keys
        self._instance = os.urandom(8)
        self._flushes = 0
        self._pending: defaultdict[tuple[bytes, str], Used] = defaultdict(Used)
        self._leaving: dict[tuple[bytes, str], Used] = {}
        self._totals: dict[tuple[bytes, str], Used] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def add(self, tenant: bytes, used: Used, at: datetime) -> None:
        """Count something. It is in the database after the next flush."""
        with self._lock:
            self._pending[tenant, month_of(at)] += used
            self._pending[tenant, ""] += used  # over all months

    def month(self, tenant: bytes, month: str) -> Used:
        """Give a month's figures as far as this instance knows them: the others' are as old as its last flush."""
        return self._known(tenant, month)

    def total(self, tenant: bytes) -> Used:
        """Give the figures over all months."""
        return self._known(tenant, "")

    def flush(self) -> None:
        """Add what was counted to the database. What could not be added is kept for the next time."""
        with self._turn:
            with self._lock:
                if not self._leaving:  # else an earlier flush has to be repeated as it was, under its own number
                    self._leaving, self._pending = dict(self._pending), defaultdict(Used)
                    self._flushes += 1
            number = self._instance + self._flushes.to_bytes(8, "big")
            leaving = self._leaving

            def apply(transaction: WriteTransaction) -> dict[tuple[bytes, str], Used]:
                return {place: self._apply(transaction, place, used, number) for place, used in leaving.items()}

            fresh = transact(self._storage, apply) if leaving else {}
            # the commit is durable: from here on the figures are the database's
            with self._lock:
                self._totals = fresh  # what else was known is read again when it is asked for: others may have added
                self._leaving = {}

    def read(self, transaction: ReadTransaction, tenant: bytes, month: str) -> Used:
        """Read a month's figures from the database; ``""`` for all months together."""
        return self._row(transaction, (tenant, month)).used

    def correct(self, transaction: WriteTransaction, tenant: bytes, *, bytes_now: int) -> Used:
        """Set a tenant's total of bytes to what was counted from the entries."""
        place = (tenant, "")
        row = self._row(transaction, place)
        used = Used(requests=row.used.requests, bytes=bytes_now, accounts=row.used.accounts)
        self._save(transaction, place, _Row(row.version, used, row.applied))
        return used

    def forget(self, tenant: bytes) -> None:
        """Drop what is known of a tenant, so that it is read again."""
        with self._lock:
            for place in [place for place in self._totals if place[0] == tenant]:
                del self._totals[place]

    def clear(self, transaction: WriteTransaction, tenant: bytes, months: list[str]) -> None:
        """Remove a tenant's rows."""
        for month in ("", *months):
            key = self._key((tenant, month))
            row = transaction.get(Table.DEPLOYMENT, key)
            if row is not None:
                transaction.delete(Table.DEPLOYMENT, key, expected_version=row.version)

    def _known(self, tenant: bytes, month: str) -> Used:
        place = (tenant, month)
        with self._lock:
            known = self._totals.get(place)
        if known is None:
            with self._storage.read() as transaction:
                known = self._row(transaction, place).used
            with self._lock:
                known = self._totals.setdefault(place, known)
        with self._lock:
            return known + self._leaving.get(place, Used()) + self._pending.get(place, Used())

    def _apply(self, transaction: WriteTransaction, place: tuple[bytes, str], used: Used, number: bytes) -> Used:
        row = self._row(transaction, place)
        if number in row.applied:
            return row.used
        applied = (*row.applied, number)[-_APPLIED:]
        added = row.used + used
        self._save(transaction, place, _Row(row.version, added, applied))
        return added

    def _row(self, transaction: ReadTransaction, place: tuple[bytes, str]) -> _Row:
        row = self._rows.get(transaction, Table.DEPLOYMENT, self._key(place))
        if row is None:
            return _Row()
        try:
            fields = Fields.decode(row.value, path="usage row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
            used = Used(
                requests=fields.number("requests"),
                bytes=fields.number("bytes") - _OFFSET,
                accounts=fields.number("accounts") - _OFFSET,
            )
            applied = fields.byte_strings("applied", length=_FLUSH_BYTES, at_most=_APPLIED)
            fields.done()
        except Malformed as cause:
            raise StorageUnavailable("a row of usage figures holds something else") from cause
        return _Row(row.version, used, applied)

    def _save(self, transaction: WriteTransaction, place: tuple[bytes, str], row: _Row) -> None:
        value = canonical.encode(
            {
                "requests": row.used.requests,
                "bytes": row.used.bytes + _OFFSET,
                "accounts": row.used.accounts + _OFFSET,
                "applied": list(row.applied),
            }
        )
        key = self._key(place)
        if row.version:
            self._rows.replace(transaction, Table.DEPLOYMENT, key, expected_version=row.version, value=value)
        else:
            self._rows.insert(transaction, Table.DEPLOYMENT, key, value)

    def _key(self, place: tuple[bytes, str]) -> bytes:
        return self._keys.identifier("usage", place[0], place[1].encode())


def month_of(at: datetime) -> str:
    """Give the calendar month (UTC) as ``2026-11``."""
    return f"{at:%Y-%m}"
