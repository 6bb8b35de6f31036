"""Sealing anew, after a new key epoch has begun: what an earlier epoch's key opens is sealed under the newest.

It runs beside the service, in small transactions, each of which also notes how far it has come; stopped anywhere, it
goes on there. A row that somebody changes meanwhile is thereby sealed anew itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.store.ports import KEY_BYTES, Table
from strongroom.store.sealing import sealed_epoch
from strongroom.store.tenants import Tenants
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.store.deployment import Deployment
    from strongroom.store.ports import RecordStore, Row, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["Resealed", "reseal", "resealing_is_unfinished"]

_BATCH: Final = 64
_MAX_ROW_BYTES: Final = 256

# rewritten by every attempt at a password, in two steps that have to follow each other
_TABLES: Final = tuple(table for table in Table if table is not Table.GUESSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """What was done: rows seen, rows sealed anew, and rows of an earlier epoch that open for no tenant."""

    seen: int = 0
    sealed: int = 0
    unopened: int = 0

    def __add__(self, other: Resealed) -> Resealed:
        return Resealed(
            seen=self.seen + other.seen, sealed=self.sealed + other.sealed, unopened=self.unopened + other.unopened
        )


@dataclass(frozen=True, slots=True)
class _Place:
    epoch: int
    table: Table
    after: bytes


def resealing_is_unfinished(storage: RecordStore, deployment: Deployment) -> bool:
    """Tell whether an earlier run was stopped before its end."""
    with storage.read() as transaction:
        return transaction.get(Table.DEPLOYMENT, _progress_key(deployment)) is not None


def reseal(
    storage: RecordStore, deployment: Deployment, *, progress: Callable[[Resealed], None] = lambda _: None
) -> Resealed:
    """Seal every row anew that was sealed in an earlier epoch; goes on where an earlier run was stopped."""
    epoch = deployment.root.epoch
    with storage.read() as transaction:
        tenants = Tenants(deployment.rows, deployment.keys).walk(transaction)
    branches = [deployment.rows]
    branches += [deployment.branch(tenant.branch_secret).rows for tenant in tenants if not tenant.is_default]
    place: _Place | None = _begin(storage, deployment, epoch)
    total = Resealed()
    while place is not None:
        done, place = _batch(storage, deployment, branches, place)
        total += done
        progress(total)
    return total


def _begin(storage: RecordStore, deployment: Deployment, epoch: int) -> _Place:
    def work(transaction: WriteTransaction) -> _Place:
        place = _load(transaction, deployment)
        if place is None or place.epoch != epoch:
            place = _Place(epoch, _TABLES[0], b"")
            _save(transaction, deployment, place)
        return place

    return transact(storage, work)


def _batch(
    storage: RecordStore, deployment: Deployment, branches: list[SealedRows], place: _Place
) -> tuple[Resealed, _Place | None]:
    def work(transaction: WriteTransaction) -> tuple[Resealed, _Place | None]:
        found = transaction.scan(place.table, after=place.after, limit=_BATCH)
        outcomes = [_again(transaction, branches, place, key, row) for key, row in found]
        if len(found) == _BATCH:
            after: _Place | None = _Place(place.epoch, place.table, found[-1][0])
        else:
            following = _TABLES[_TABLES.index(place.table) + 1 :]
            after = _Place(place.epoch, following[0], b"") if following else None
        # a crash before the commit leaves these rows and the place as they were, a crash after it both moved on
        _save(transaction, deployment, after)
        return sum(outcomes, Resealed()), after

    return transact(storage, work)


def _again(transaction: WriteTransaction, branches: list[SealedRows], place: _Place, key: bytes, row: Row) -> Resealed:
    epoch = sealed_epoch(row.value)
    if epoch is None or epoch >= place.epoch:
        return Resealed(seen=1)
    for rows in branches:  # the database does not learn whose a row is, so each tenant's key is tried
        try:
            opened = rows.open(place.table, key, row.version, row.value)
        except StorageUnavailable:
            continue
        if branches[0] is not rows:  # neighbours are seldom of one tenant, but big tenants have most rows
            branches.remove(rows)
            branches.insert(0, rows)
        rows.replace(transaction, place.table, key, expected_version=row.version, value=opened.value)
        return Resealed(seen=1, sealed=1)
    return Resealed(seen=1, unopened=1)


def _progress_key(deployment: Deployment) -> bytes:
    return deployment.keys.identifier("sealing anew")


def _load(transaction: WriteTransaction, deployment: Deployment) -> _Place | None:
    row = deployment.rows.get(transaction, Table.DEPLOYMENT, _progress_key(deployment))
    if row is None:
        return None
    try:
        fields = Fields.decode(row.value, path="progress row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        place = _Place(
            fields.number("epoch"),
            Table(fields.text("table", at_most=32)),
            fields.byte_string("after", at_most=KEY_BYTES),
        )
        fields.done()
    except (Malformed, ValueError) as cause:
        raise StorageUnavailable("the row of the sealing's progress holds something else") from cause
    return place


def _save(transaction: WriteTransaction, deployment: Deployment, place: _Place | None) -> None:
    key = _progress_key(deployment)
    row = transaction.get(Table.DEPLOYMENT, key)
    if place is None:
        if row is not None:
            transaction.delete(Table.DEPLOYMENT, key, expected_version=row.version)
        return
    value = canonical.encode({"epoch": place.epoch, "table": str(place.table), "after": place.after})
    if row is None:
        deployment.rows.insert(transaction, Table.DEPLOYMENT, key, value)
    else:
        deployment.rows.replace(transaction, Table.DEPLOYMENT, key, expected_version=row.version, value=value)
