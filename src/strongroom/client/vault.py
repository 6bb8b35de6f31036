"""The vault as this device has it. Reading and writing need no network; syncing is ``client.driver``'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.formats.store_api import MAX_SEALED_BYTES
from strongroom.records.keys import new_record_id
from strongroom.sync.model import RecordState, SyncState
from strongroom.vaultlog.entry import MAX_ENTRY_BYTES, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from strongroom.client.ports import LocalStore
    from strongroom.records.item import Item
    from strongroom.sync.effects import Apply

__all__ = ["LocalVault", "NoSuchItem", "VaultItem"]

_RECORDS: Final = "record"
_PENDING: Final = "pending"  # marks the records that a sync has to look at, so that it need not read all of them
_META: Final = "meta"
_SYNC_STATE: Final = b"sync state"
_ENTRIES: Final = "entry"  # the vault's log as it was verified, by index: what can be handed back to the store


_MAX_ENTRY_ROW: Final = MAX_SEALED_BYTES + MAX_ENTRY_BYTES + 64


class NoSuchItem(Misconfigured):
    """Nothing, or more than one thing, answers to this name."""

    code = "no-such-item"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultItem:
    """An item with the identifier of its record (16 bytes); ``pending`` when the store has not got this edit yet."""

    record: bytes
    item: Item
    pending: bool

    @property
    def short_id(self) -> str:
        """The first 8 hexadecimal digits of the identifier, for people."""
        return self.record.hex()[:8]


class LocalVault:
    """The items of one vault in one local store."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def items(self, *, deleted: bool = False) -> list[VaultItem]:
        """Give the items, by title; with ``deleted`` those in the trash instead."""
        found = [
            VaultItem(record=state.record, item=state.current, pending=state.dirty)
            for state in self._states()
            if state.current.deleted == deleted and (state.current.fields or not deleted)
        ]
        return sorted(found, key=lambda entry: (entry.item.title.casefold(), entry.record))

    def search(self, text: str, *, deleted: bool = False) -> list[VaultItem]:
        """Give the items that have a text in their title, username or addresses."""
        wanted = text.casefold()
        return [entry for entry in self.items(deleted=deleted) if wanted in _searched(entry.item)]

    def find(self, name: str, *, deleted: bool = False) -> VaultItem:
        """Find the one item that a name means: its title, the beginning of its identifier, else a part of either.

        ``NoSuchItem`` when none does or several do; the hint then lists their identifiers, not their contents.
        """
        items = self.items(deleted=deleted)
        wanted = name.casefold()
        for matches in (
            [entry for entry in items if entry.item.title.casefold() == wanted],
            [entry for entry in items if len(wanted) >= 4 and entry.record.hex().startswith(wanted)],
            [entry for entry in items if wanted in _searched(entry.item)],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise NoSuchItem(
                    f"{len(matches)} items match",
                    hint="use one of these identifiers: " + ", ".join(entry.short_id for entry in matches[:8]),
                )
        raise NoSuchItem("no item matches", hint="`strongroom list` shows what there is; sync if it was just added")

    def add(self, item: Item) -> VaultItem:
        """Add an item; durable when this returns."""
        return self.add_all([item])[0]

    def add_all(self, items: Iterable[Item]) -> list[VaultItem]:
        """Add items, all or none."""
        states = [RecordState.created(new_record_id(), item) for item in items]
        with self._store.transaction():
            for state in states:
                self._put(state)
        return [VaultItem(record=state.record, item=state.current, pending=True) for state in states]

    def change(self, entry: VaultItem, item: Item) -> VaultItem:
        """Replace an item by its edited self; durable when this returns."""
        with self._store.transaction():
            state = self._state(entry.record).edited(item)
            self._put(state)
        return VaultItem(record=entry.record, item=item, pending=state.dirty)

    def pending(self) -> list[RecordState]:
        """Give the states that a sync has to look at."""
        return [self._state(record) for record, _ in self._store.items(_PENDING)]

    def pending_count(self) -> int:
        """Count the records with edits that the store does not have."""
        return sum(1 for _ in self._store.items(_PENDING))

    def sync_state(self) -> SyncState | None:
        """Give what this device knows of the vault's log, or ``None`` before the first sync."""
        encoded = self._store.get(_META, _SYNC_STATE)
        return None if encoded is None else SyncState.from_bytes(encoded)

    def version_of(self, record: bytes) -> int:
        """Give the version of a record that this device last read from the log, 0 for none."""
        encoded = self._store.get(_RECORDS, record)
        return 0 if encoded is None else RecordState.from_bytes(encoded).base_version

    def apply(self, change: Apply) -> None:
        """Write what a sync brought, all or none. A crash before leaves the old state, one after it the new."""
        with self._store.transaction():
            for record in change.records:
                self._put(record)
            for index, (entry, sealed) in enumerate(change.steps, start=change.first):
                self._store.put(_ENTRIES, _index(index), canonical.encode([entry, sealed]))
            self._store.put(_META, _SYNC_STATE, change.state.to_bytes())

    def log(self) -> list[Step]:
        """Give the vault's log as this device verified it, from its beginning on."""
        steps = []
        for place, (key, encoded) in enumerate(self._store.items(_ENTRIES)):
            if key != _index(place):
                raise StorageUnavailable("the local database misses an entry of the vault's log")
            entry, sealed = _pair(encoded)
            steps.append(Step.from_bytes(entry, sealed))
        return steps

    def _states(self) -> Iterator[RecordState]:
        for _, encoded in self._store.items(_RECORDS):
            yield RecordState.from_bytes(encoded)

    def _state(self, record: bytes) -> RecordState:
        encoded = self._store.get(_RECORDS, record)
        if encoded is None:
            raise StorageUnavailable("the local database misses a record that it speaks of")
        return RecordState.from_bytes(encoded)

    def _put(self, state: RecordState) -> None:
        self._store.put(_RECORDS, state.record, state.to_bytes())
        if state.dirty or state.sent is not None:
            self._store.put(_PENDING, state.record, b"")
        else:
            self._store.delete(_PENDING, state.record)


def _index(index: int) -> bytes:
    return index.to_bytes(8, "big")


def _pair(encoded: bytes) -> tuple[bytes, bytes]:
    match canonical.decode(encoded, path="kept entry", error=Malformed, max_bytes=_MAX_ENTRY_ROW):
        case [bytes() as entry, bytes() as sealed]:
            return entry, sealed
        case _:
            raise StorageUnavailable("the local database holds something else than an entry")


def _searched(item: Item) -> str:
    """Give what a search looks through: title, username and addresses, no secrets."""
    parts = (item.title, item.get("username"), *(uri.value for uri in item.uris))
    return "\n".join(parts).casefold()
