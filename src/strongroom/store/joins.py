"""The log of joins: who was ever given the root key, and every change of the rules by which that happens.

Sealed, append-only, a hash chain: each entry names the one before, and the tail names the length. An entry is durable
before the key it speaks of leaves the enclave (docs/spec/instances.md 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, equal, labelled_hash
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["JoinEvent", "JoinLog", "JoinRecord"]

_MAX_BYTES: Final = 1024
_NOTHING: Final = bytes(DIGEST_BYTES)


class JoinEvent(StrEnum):
    """What happened."""

    CREATED = "created"
    JOIN = "join"
    UPGRADE = "upgrade"
    RECOVERY = "recovery"
    CHARTER = "charter"
    RELEASE = "release"
    SHARES = "shares"
    QUORUM = "quorum"
    ROTATION = "rotation"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRecord:
    """One event. ``machine`` and ``measurement`` are whose it is, ``instance`` SHA-256 of its instance key.

    ``detail`` is a digest: of the charter, of a release's manifest. What does not apply is 32 zero bytes, or empty for
    the measurement. ``time_ms`` is the host's clock.
    """

    event: JoinEvent
    time_ms: int
    machine: bytes = _NOTHING
    measurement: bytes = b""
    instance: bytes = _NOTHING
    detail: bytes = _NOTHING

    def to_bytes(self, *, previous: bytes) -> bytes:
        """Encode with the hash of the entry before."""
        return canonical.encode(
            {
                "event": str(self.event),
                "time": self.time_ms,
                "machine": self.machine,
                "measurement": self.measurement,
                "instance": self.instance,
                "detail": self.detail,
                "previous": previous,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> tuple[JoinRecord, bytes]:
        """Decode, or raise ``Malformed``; gives the hash of the entry before, too."""
        fields = Fields.decode(data, path="join log", error=Malformed, max_bytes=_MAX_BYTES)
        event = fields.text("event", at_most=16)
        if event not in set(JoinEvent):
            raise fields.fail("an unknown event")
        record = cls(
            event=JoinEvent(event),
            time_ms=fields.number("time"),
            machine=fields.byte_string("machine", length=DIGEST_BYTES),
            measurement=fields.byte_string("measurement", at_most=48),
            instance=fields.byte_string("instance", length=DIGEST_BYTES),
            detail=fields.byte_string("detail", length=DIGEST_BYTES),
        )
        previous = fields.byte_string("previous", length=DIGEST_BYTES)
        fields.done()
        return record, previous


class JoinLog:
    """The log in one database."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys

    def append(self, transaction: WriteTransaction, record: JoinRecord) -> None:
        """Add an entry in the caller's transaction; two instances that append at once take turns by the tail."""
        tail = self._rows.get(transaction, Table.DEPLOYMENT, self._tail_row())
        length, last = (0, _NOTHING) if tail is None else _tail(tail.value)
        encoded = record.to_bytes(previous=last)
        self._rows.insert(transaction, Table.DEPLOYMENT, self._entry_row(length + 1), encoded)
        value = canonical.encode({"length": length + 1, "last": _hash(encoded)})
        if tail is None:
            self._rows.insert(transaction, Table.DEPLOYMENT, self._tail_row(), value)
        else:
            self._rows.replace(
                transaction, Table.DEPLOYMENT, self._tail_row(), expected_version=tail.version, value=value
            )

    def read(self, transaction: ReadTransaction) -> list[JoinRecord]:
        """Give every entry, oldest first; ``StorageUnavailable`` when one is missing or does not follow."""
        tail = self._rows.get(transaction, Table.DEPLOYMENT, self._tail_row())
        length, last = (0, _NOTHING) if tail is None else _tail(tail.value)
        keys = [self._entry_row(number) for number in range(1, length + 1)]
        records, expected = [], _NOTHING
        for row in self._rows.get_each(transaction, Table.DEPLOYMENT, keys):
            record, previous = JoinRecord.from_bytes(row.value)
            if not equal(previous, expected):
                raise _altered()
            records.append(record)
            expected = _hash(row.value)
        if not equal(expected, last):
            raise _altered()
        return records

    def _entry_row(self, number: int) -> bytes:
        return self._keys.identifier("join log entry", number.to_bytes(8, "big"))

    def _tail_row(self) -> bytes:
        return self._keys.identifier("join log tail")


def _tail(value: bytes) -> tuple[int, bytes]:
    fields = Fields.decode(value, path="join log tail", error=Malformed, max_bytes=_MAX_BYTES)
    length, last = fields.number("length"), fields.byte_string("last", length=DIGEST_BYTES)
    fields.done()
    return length, last


def _hash(encoded: bytes) -> bytes:
    return labelled_hash("strongroom join log v1", encoded)


def _altered() -> StorageUnavailable:
    return StorageUnavailable("the log of joins does not hold together: rows of two times are mixed in the database")
