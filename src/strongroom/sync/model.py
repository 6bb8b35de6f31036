"""What a device keeps of a vault: one state for each record, and one for the log (docs/spec/sync.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedRecord
from strongroom.base.fields import Fields
from strongroom.records.item import MAX_ITEM_BYTES, Item
from strongroom.records.keys import RECORD_ID_BYTES
from strongroom.vaultlog.chain import MAX_DEVICES
from strongroom.vaultlog.statement import MAX_STATEMENT_BYTES, SignedStatement
from strongroom.vaultlog.view import View

__all__ = ["RecordState", "SyncState"]

_FORMAT: Final = "strongroom record state"
_STATE_FORMAT: Final = "strongroom sync state"
_VERSION: Final = 1
_PATH: Final = "record state"
_MAX_STATE_BYTES: Final = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    """One record on one device.

    ``base`` is what the log says as far as it has been read, in ``base_version`` (0: not there yet); ``current`` is
    what the person sees. ``sent`` is what this device last tried to append without knowing yet whether it arrived.
    """

    record: bytes
    base: Item | None = None
    base_version: int = 0
    current: Item
    sent: Item | None = None

    @property
    def dirty(self) -> bool:
        """Whether there is something that the log does not have, or may have without this device knowing."""
        return self.current != self.base or self.sent is not None

    @classmethod
    def created(cls, record: bytes, item: Item) -> RecordState:
        """Give the state of a record made on this device."""
        return cls(record=record, current=item)

    def edited(self, item: Item) -> RecordState:
        """Give the state after an edit on this device."""
        return replace(self, current=item)

    def to_bytes(self) -> bytes:
        """Encode for the device's own store."""
        # an item that stands in two places is written once: most records are clean, and most edits are sent as they are
        base = None if self.base is None else self.base.to_bytes()
        current = base if base is not None and self.current is self.base else self.current.to_bytes()
        sent = None if self.sent is None else current if self.sent is self.current else self.sent.to_bytes()
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "record": self.record,
                "base": base,
                "base_version": self.base_version,
                "current": None if current == base else current,
                "sent": None if sent == current else sent,
                "is_sent": sent == current,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> RecordState:
        """Decode, or raise ``MalformedRecord``."""
        limit = 3 * MAX_ITEM_BYTES + 1024
        decoded = canonical.decode(data, path=_PATH, error=MalformedRecord, max_bytes=limit)
        is_sent = decoded.pop("is_sent", None) if isinstance(decoded, dict) else None
        fields = Fields(decoded, path=_PATH, error=MalformedRecord)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", _VERSION)
        record = fields.byte_string("record", length=RECORD_ID_BYTES)
        raw_base = fields.optional_byte_string("base")
        base_version = fields.number("base_version")
        raw_current = fields.optional_byte_string("current")
        raw_sent = fields.optional_byte_string("sent")
        fields.done()
        base = _item(raw_base)
        current = _item(raw_current) or base
        sent = _item(raw_sent)
        if current is None or not isinstance(is_sent, bool) or (is_sent and sent is not None):
            raise fields.fail("the items do not fit together")
        if (raw_current is not None and raw_current == raw_base) or (
            raw_sent is not None and raw_sent == (raw_current or raw_base)
        ):
            raise fields.fail("an item is written twice")
        return cls(
            record=record, base=base, base_version=base_version, current=current, sent=current if is_sent else sent
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """What a device keeps of the vault's log, and of whose store keeps it.

    ``deployment`` is SHA-256 of the store's deployment key (32 bytes). ``stated`` is this device's last signed
    statement, ``sisters`` are the last accepted ones of the other devices, in the order of their bytes.
    """

    deployment: bytes
    view: View
    stated: bytes | None = None
    sisters: tuple[bytes, ...] = ()

    @classmethod
    def empty(cls, *, deployment: bytes, vault: bytes, account_key: bytes) -> SyncState:
        """Give the state of a device before its first sync."""
        return cls(deployment=deployment, view=View.empty(vault=vault, account_key=account_key))

    def to_bytes(self) -> bytes:
        """Encode for the device's own store."""
        return canonical.encode(
            {
                "format": _STATE_FORMAT,
                "version": _VERSION,
                "deployment": self.deployment,
                "view": self.view.to_bytes(),
                "stated": self.stated,
                "sisters": list(self.sisters),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SyncState:
        """Decode, or raise ``MalformedRecord`` (``MalformedEntry`` for what lies inside)."""
        fields = Fields.decode(data, path="sync state", error=MalformedRecord, max_bytes=_MAX_STATE_BYTES)
        fields.exactly("format", _STATE_FORMAT)
        fields.exactly("version", _VERSION)
        state = cls(
            deployment=fields.byte_string("deployment", length=32),
            view=View.from_bytes(fields.byte_string("view")),
            stated=fields.optional_byte_string("stated", at_most=MAX_STATEMENT_BYTES),
            sisters=tuple(fields.byte_strings("sisters", at_most=MAX_DEVICES)),
        )
        fields.done()
        for statement in state.sisters if state.stated is None else (state.stated, *state.sisters):
            SignedStatement.from_bytes(statement)
        return state


def _item(data: bytes | None) -> Item | None:
    return None if data is None else Item.from_bytes(data)
