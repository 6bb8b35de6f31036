"""What the store notes of an account's devices beside the vault's log: names, times, grades, and who waits.

Which devices belong to the account, the log says and nothing else; these rows may be lost without harm to anybody.
They are sealed like every row; the enclave sees the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.crypto.hpke import PUBLIC_KEY_BYTES
from strongroom.formats.device_api import MAX_WAITING
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["WAITING_MS", "DeviceNote", "Devices", "Waiting"]

WAITING_MS: Final = 24 * 60 * 60 * 1000
"""How long a request for approval is kept."""

_MAX_NOTE_BYTES: Final = 1024
_MAX_WAITING_BYTES: Final = 32 * 1024
_MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNote:
    """What is noted of one device. Times are Unix milliseconds; ``seen_ms`` is brought forward once an hour."""

    name: str = ""
    added_ms: int = 0
    seen_ms: int = 0
    grade: str = "none"
    measurement: bytes = b""
    attested_ms: int = 0

    def to_bytes(self) -> bytes:
        """Encode for the row."""
        return canonical.encode(
            {
                "name": self.name,
                "added": self.added_ms,
                "seen": self.seen_ms,
                "grade": self.grade,
                "measurement": self.measurement,
                "attested": self.attested_ms,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> DeviceNote:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="device row", error=Malformed, max_bytes=_MAX_NOTE_BYTES)
        note = cls(
            name=fields.text("name", at_most=_MAX_NAME),
            added_ms=fields.number("added"),
            seen_ms=fields.number("seen"),
            grade=fields.text("grade", at_most=16),
            measurement=fields.byte_string("measurement", at_most=64),
            attested_ms=fields.number("attested"),
        )
        fields.done()
        return note


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A device that asked for approval. ``sealed`` is empty until it is approved."""

    device_key: bytes
    kem_key: bytes
    name: str
    asked_ms: int
    sealed: bytes = b""

    def to_bytes(self) -> bytes:
        """Encode as one of a row's items."""
        return canonical.encode(
            {
                "device": self.device_key,
                "kem": self.kem_key,
                "name": self.name,
                "asked": self.asked_ms,
                "sealed": self.sealed,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Waiting:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="waiting device", error=Malformed, max_bytes=_MAX_WAITING_BYTES)
        waiting = cls(
            device_key=fields.byte_string("device", length=32),
            kem_key=fields.byte_string("kem", length=PUBLIC_KEY_BYTES),
            name=fields.text("name", at_most=_MAX_NAME),
            asked_ms=fields.number("asked"),
            sealed=fields.byte_string("sealed", at_most=2048),
        )
        fields.done()
        return waiting


class Devices:
    """The notes of one tenant. Every method works within a transaction of the caller's."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys

    def notes(
        self, transaction: ReadTransaction, account_id: bytes, device_keys: Collection[bytes]
    ) -> Mapping[bytes, DeviceNote]:
        """Give the notes there are, by device."""
        keys = {self._note_key(account_id, device): device for device in device_keys}
        found = transaction.get_many(Table.ACCOUNTS, keys)
        opened = {keys[key]: self._rows.open(Table.ACCOUNTS, key, row.version, row.value) for key, row in found.items()}
        return {device: _read(row.value) for device, row in opened.items()}

    def save(self, transaction: WriteTransaction, account_id: bytes, device_key: bytes, note: DeviceNote) -> None:
        """Keep a note in the place of an earlier one."""
        self._put(transaction, self._note_key(account_id, device_key), note.to_bytes())

    def waiting(self, transaction: ReadTransaction, account_id: bytes, *, at_ms: int) -> tuple[Waiting, ...]:
        """Give the devices that wait, or were approved and have not come since; none that asked a day ago."""
        row = self._rows.get(transaction, Table.ACCOUNTS, self._waiting_key(account_id))
        if row is None:
            return ()
        try:
            fields = Fields.decode(row.value, path="waiting devices", error=Malformed, max_bytes=_MAX_WAITING_BYTES)
            every = tuple(map(Waiting.from_bytes, fields.byte_strings("waiting", at_most=MAX_WAITING)))
            fields.done()
        except Malformed as cause:
            raise _damaged() from cause
        return tuple(waiting for waiting in every if abs(at_ms - waiting.asked_ms) < WAITING_MS)

    def save_waiting(self, transaction: WriteTransaction, account_id: bytes, waiting: Iterable[Waiting]) -> None:
        """Keep who waits: the last ``MAX_WAITING`` of them."""
        kept = list(waiting)[-MAX_WAITING:]
        value = canonical.encode({"waiting": [item.to_bytes() for item in kept]})
        self._put(transaction, self._waiting_key(account_id), value)

    def demands_evidence(self, transaction: ReadTransaction, account_id: bytes) -> bool:
        """Tell whether an account admits attested devices only."""
        return self._rows.get(transaction, Table.ACCOUNTS, self._rule_key(account_id)) is not None

    def demand_evidence(self, transaction: WriteTransaction, account_id: bytes, *, demanded: bool) -> None:
        """Note whether it does."""
        row = transaction.get(Table.ACCOUNTS, self._rule_key(account_id))
        if demanded and row is None:
            self._rows.insert(transaction, Table.ACCOUNTS, self._rule_key(account_id), b"attested")
        if not demanded and row is not None:
            transaction.delete(Table.ACCOUNTS, self._rule_key(account_id), expected_version=row.version)

    def forget(self, transaction: WriteTransaction, account_id: bytes, device_keys: Iterable[bytes]) -> None:
        """Remove all that is noted of an account, for good; ``device_keys`` are all that ever belonged to it."""
        keys = [self._waiting_key(account_id), self._rule_key(account_id)]
        keys += (self._note_key(account_id, device) for device in device_keys)
        for key, row in transaction.get_many(Table.ACCOUNTS, keys).items():
            transaction.delete(Table.ACCOUNTS, key, expected_version=row.version)

    def _put(self, transaction: WriteTransaction, key: bytes, value: bytes) -> None:
        row = transaction.get(Table.ACCOUNTS, key)
        if row is None:
            self._rows.insert(transaction, Table.ACCOUNTS, key, value)
        else:
            self._rows.replace(transaction, Table.ACCOUNTS, key, expected_version=row.version, value=value)

    def _note_key(self, account_id: bytes, device_key: bytes) -> bytes:
        return self._keys.identifier("device", account_id, device_key)

    def _rule_key(self, account_id: bytes) -> bytes:
        return self._keys.identifier("devices rule", account_id)

    def _waiting_key(self, account_id: bytes) -> bytes:
        return self._keys.identifier("waiting devices", account_id)


def _read(value: bytes) -> DeviceNote:
    try:
        return DeviceNote.from_bytes(value)
    except Malformed as cause:
        raise _damaged() from cause


def _damaged() -> StorageUnavailable:
    return StorageUnavailable("a row about devices holds something else")
