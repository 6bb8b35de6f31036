"""Devices for the tests of sync: an engine, a dictionary for a disk, and a driver that can be interrupted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from strongroom.base.errors import HeadMoved
from strongroom.crypto.signatures import SigningKey
from strongroom.records.item import Item, ItemType
from strongroom.records.keyring import Keyring
from strongroom.records.keys import AccountRootKey
from strongroom.sync import effects
from strongroom.sync.engine import SyncEngine
from strongroom.sync.model import RecordState, SyncState
from strongroom.testing.lying_store import LyingStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.verifier.binding import AttestedPeer

VAULT = b"vault-0123456789"
DEPLOYMENT = b"D" * 32
ROOT = AccountRootKey(bytes(range(32)))
ACCOUNT = ROOT.signing_key()
HEAD_KEY = SigningKey.from_seed(b"h" * 32)


class Crashed(Exception):
    """The device lost power."""


def peer(store: MemoryStore, deployment: bytes = DEPLOYMENT) -> AttestedPeer:
    """What the engine uses of an attested peer."""
    return cast(
        "AttestedPeer",
        SimpleNamespace(deployment=deployment, head_key_hash=store.head_key_hash, epoch=store.epoch),
    )


def memory_store(page_size: int = 500) -> MemoryStore:
    return MemoryStore(vault=VAULT, account_key=ACCOUNT.public, head_key=HEAD_KEY, page_size=page_size)


def lying_store(page_size: int = 500) -> LyingStore:
    return LyingStore(vault=VAULT, account_key=ACCOUNT.public, head_key=HEAD_KEY, page_size=page_size)


def login(title: str, *, at: int = 1_000, **fields: str) -> Item:
    return Item(item_type=ItemType.LOGIN, fields={"title": title, **fields}, created_at=at, changed_at=at)


class Device:
    """One device: what it has on disk, and a driver. Whatever the engine knew is gone after each sync."""

    def __init__(self, name: str, *, may_admit: bool = True) -> None:
        self.key = SigningKey.from_seed(name.encode().ljust(32, b"."))
        self.may_admit = may_admit
        self.keyring = Keyring((ROOT,))
        state = SyncState.empty(deployment=DEPLOYMENT, vault=VAULT, account_key=ACCOUNT.public)
        self.disk: dict[tuple[str, bytes], bytes] = {("meta", b"sync"): state.to_bytes()}
        self.engine: SyncEngine | None = None
        self.at_ms = 1_790_000_000_000

    def version_of(self, record: bytes) -> int:
        """What the local store would say."""
        known = self.disk.get(("record", record))
        return 0 if known is None else RecordState.from_bytes(known).base_version

    @property
    def state(self) -> SyncState:
        return SyncState.from_bytes(self.disk["meta", b"sync"])

    @property
    def records(self) -> dict[bytes, RecordState]:
        return {key: RecordState.from_bytes(value) for (kind, key), value in self.disk.items() if kind == "record"}

    @property
    def items(self) -> dict[bytes, Item]:
        return {key: record.current for key, record in self.records.items()}

    def write(self, record: RecordState) -> None:
        if self.engine is not None:
            record = self.engine.record_edited(record)
        self.disk["record", record.record] = record.to_bytes()

    def create(self, record: bytes, item: Item) -> None:
        self.write(RecordState.created(record, item))

    def edit(self, record: bytes, change: Callable[[Item], Item]) -> None:
        old = self.records[record]
        self.write(old.edited(change(old.current)))

    def sync(
        self,
        store: MemoryStore,
        *,
        crash_after: int | None = None,
        lose_acknowledgement: bool = False,
        while_appending: Callable[[], None] | None = None,
    ) -> effects.Summary:
        """Drive one sync. ``crash_after`` counts effects; the rest are ways in which an append goes wrong."""
        self.engine = SyncEngine(
            peer=peer(store),
            state=self.state,
            dirty=[record for record in self.records.values() if record.dirty],
            device_key=self.key,
            keyring=self.keyring,
            may_admit=self.may_admit,
            version_of=self.version_of,
            at_ms=self.at_ms,
        )
        try:
            return self._drive(self.engine, store, crash_after, lose_acknowledgement, while_appending)
        finally:
            self.engine = None

    def _drive(
        self,
        engine: SyncEngine,
        store: MemoryStore,
        crash_after: int | None,
        lose_acknowledgement: bool,
        while_appending: Callable[[], None] | None,
    ) -> effects.Summary:
        done = 0
        event: effects.Event = effects.Started()
        while True:
            for effect in engine.handle(event):
                if done == crash_after:
                    raise Crashed
                done += 1
                event = self._carry_out(effect, store) or event
                match effect:
                    case effects.Append(expected_length=length, expected_hash=digest, steps=steps):
                        if while_appending is not None:
                            while_appending()
                            while_appending = None
                        try:
                            event = effects.Appended(head=store.append(length, digest, steps))
                        except HeadMoved:
                            event = effects.Conflicted()
                        if lose_acknowledgement:
                            raise Crashed
                    case effects.Finished(summary=summary):
                        return summary

    def _carry_out(self, effect: effects.Effect, store: MemoryStore) -> effects.Event | None:
        """Do what needs no interruption: give the answer, if there is one."""
        match effect:
            case effects.Apply(records=records, state=state, first=first, steps=steps):
                self.disk["meta", b"sync"] = state.to_bytes()
                for record in records:
                    self.disk["record", record.record] = record.to_bytes()
                for index, step in enumerate(steps, start=first):
                    self.disk["entry", index.to_bytes(8, "big")] = b"".join(step)
            case effects.Fetch(after_length=after, statement=statement):
                answer = store.fetch(after, statement)
                return effects.Page(**dict(zip(("head", "steps", "views"), answer, strict=True)))
            case effects.Prove(size=size, lengths=lengths):
                return effects.Proven(paths=store.prove(size, lengths))
            case effects.Publish(statement=statement):
                store.publish(statement)
        return None


def settle(store: MemoryStore, *devices: Device) -> None:
    """Sync until every device has everything."""
    for _ in range(2):
        for device in devices:
            device.sync(store)
