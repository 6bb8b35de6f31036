"""What administrators did, in sealed rows: written in the transaction of the act itself, so that no act is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES
from strongroom.formats.store_api import TENANT_BYTES
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["Act", "AdminLog"]

_MAX_ROW_BYTES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act: when, by whose key, what, and on which tenant."""

    time_ms: int
    administrator: bytes
    action: str
    tenant: bytes


class AdminLog:
    """The log of a deployment. Every method works within a transaction of the caller's."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys
        self._length_key = keys.identifier("administration log")

    def append(self, transaction: WriteTransaction, act: Act) -> None:
        """Add an act."""
        version, length = self._length(transaction)
        body = {
            "time": act.time_ms,
            "administrator": act.administrator,
            "action": act.action,
            "tenant": act.tenant,
        }
        self._rows.insert(transaction, Table.DEPLOYMENT, self._key(length), canonical.encode(dict(body)))
        value = canonical.encode({"length": length + 1})
        if version:
            self._rows.replace(transaction, Table.DEPLOYMENT, self._length_key, expected_version=version, value=value)
        else:
            self._rows.insert(transaction, Table.DEPLOYMENT, self._length_key, value)

    def page(self, transaction: ReadTransaction, *, after: int, limit: int) -> tuple[int, list[Act]]:
        """Give how many acts there are, and at most ``limit`` of them from number ``after`` on."""
        _, length = self._length(transaction)
        keys = [self._key(number) for number in range(after, min(after + limit, length))]
        return length, [_decode(row.value) for row in self._rows.get_each(transaction, Table.DEPLOYMENT, keys)]

    def about(self, transaction: ReadTransaction, tenant: bytes) -> list[Act]:
        """Give every act on one tenant."""
        _, length = self._length(transaction)
        return [act for act in self.page(transaction, after=0, limit=length)[1] if act.tenant == tenant]

    def _length(self, transaction: ReadTransaction) -> tuple[int, int]:
        row = self._rows.get(transaction, Table.DEPLOYMENT, self._length_key)
        if row is None:
            return 0, 0
        try:
            fields = Fields.decode(row.value, path="administration log", error=Malformed, max_bytes=_MAX_ROW_BYTES)
            length = fields.number("length")
            fields.done()
        except Malformed as cause:
            raise _damaged() from cause
        return row.version, length

    def _key(self, number: int) -> bytes:
        return self._keys.identifier("administration log entry", number.to_bytes(8, "big"))


def _decode(value: bytes) -> Act:
    try:
        fields = Fields.decode(value, path="administration log entry", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        act = Act(
            time_ms=fields.number("time"),
            administrator=fields.byte_string("administrator", length=PUBLIC_KEY_BYTES),
            action=fields.text("action", at_most=32),
            tenant=fields.byte_string("tenant", length=TENANT_BYTES),
        )
        fields.done()
    except Malformed as cause:
        raise _damaged() from cause
    return act


def _damaged() -> StorageUnavailable:
    return StorageUnavailable("a row of the administrators' log holds something else")
