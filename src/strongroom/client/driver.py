"""Carries out what the sync engine decides: requests to the store, transactions in the local store.

The order is the engine's: what it wants written is durable before anything else goes on, so a crash at any line
leaves a state from which the next sync goes on (docs/spec/sync.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, assert_never

from strongroom.base.errors import Conflict, Malformed, Misconfigured, NotAuthorised, StoreUnreachable
from strongroom.client.account import mark_ready, prove_device
from strongroom.client.profile import ProfileState
from strongroom.client.vault import LocalVault
from strongroom.formats import store_api as api
from strongroom.records.keys import FIRST_EPOCH
from strongroom.sync import effects
from strongroom.sync.engine import SyncEngine
from strongroom.sync.model import SyncState
from strongroom.vaultlog.head import SignedHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device

__all__ = ["sync_device"]

_PAGE: int = 512
T = TypeVar("T")


def sync_device(
    device: Device, store: StoreApi, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> effects.Summary:
    """Bring the device and the store into step, in both directions.

    Raises ``RollbackDetected``, ``ForkDetected`` or ``RecordTampered``, with a proof, when the store contradicts what
    it signed: nothing of that answer is applied. ``progress`` is told how many entries of how many were read.
    """
    return _Driver(device, store, progress).run()


class _Driver:
    def __init__(self, device: Device, store: StoreApi, progress: Callable[[int, int], None]) -> None:
        self._device = device
        self._store = store
        self._progress = progress
        self._vault = LocalVault(device.store)
        self._proven: bytes | None = None
        state = self._vault.sync_state()
        member = state is not None and device.device_key.public in state.view.chain.members
        self._joining = device.profile.state is ProfileState.JOINING and not member

    def run(self) -> effects.Summary:
        if self._device.profile.state is ProfileState.REGISTERING:
            raise Misconfigured("this device's registration was not finished", hint="run `strongroom register` again")
        engine = self._engine()
        waiting = engine.handle(effects.Started())
        while True:
            # an Apply may stand before the effect that asks the store for something; the last one decides what follows
            event: effects.Event | None = None
            for effect in waiting:
                match effect:
                    case effects.Apply():
                        self._vault.apply(effect.records, effect.state)
                    case effects.Fetch():
                        event = self._fetch(effect)
                    case effects.Append():
                        event = self._append(effect)
                    case effects.Finished():
                        self._joined()
                        return effect.summary
                    case _:
                        assert_never(effect)
            if event is None:
                raise RuntimeError("the sync engine asked for nothing and did not finish")
            waiting = engine.handle(event)

    def _engine(self) -> SyncEngine:
        device, profile = self._device, self._device.profile
        peer = self._store.peer()
        account_key = device.root_key.signing_key()
        state = self._vault.sync_state() or SyncState.empty(
            deployment=profile.trust.deployment, vault=profile.vault_id, account_key=account_key.public
        )
        if profile.vault_id != state.view.chain.vault:
            # nothing authenticates the profile, and a record sealed for another vault would open for nobody
            raise Malformed("names another vault than this device's database", path="profile.json")
        return SyncEngine(
            peer=peer,
            state=state,
            dirty=self._vault.pending(),
            device_key=device.device_key,
            vault_key=lambda epoch: device.root_key.vault_key(profile.vault_id, epoch=epoch),
            epoch=FIRST_EPOCH,
            account_key=account_key,
        )

    def _fetch(self, effect: effects.Fetch) -> effects.Event:
        body = api.FetchPage(after=effect.after_length, limit=_PAGE, view=effect.head or b"")
        page = self._authorised(lambda: self._store.fetch(body))
        self._progress(effect.after_length + len(page.entries), SignedHead.from_bytes(page.head).head.length)
        return effects.Page(head=page.head, steps=tuple((pair.entry, pair.sealed) for pair in page.entries))

    def _append(self, effect: effects.Append) -> effects.Event:
        body = api.Append(
            expected_length=effect.expected_length,
            expected_chain=effect.expected_hash,
            entries=[api.EntryPair(entry=entry, sealed=sealed) for entry, sealed in effect.steps],
        )
        try:
            return effects.Appended(head=self._authorised(lambda: self._store.append(body)).head)
        except Conflict:
            return effects.Conflicted()

    def _authorised(self, call: Callable[[], T]) -> T:
        """Make a call in a session that has proven this device; a new channel (the store restarted) proves it again."""
        self._prove()
        try:
            return call()
        except NotAuthorised:
            if self._store.peer().session == self._proven:
                raise
            if self._joining:
                raise StoreUnreachable(
                    "the store was restarted in the middle of a login", hint="log in again: it goes on from there"
                ) from None
            self._prove()
            return call()

    def _prove(self) -> None:
        session = self._store.peer().session
        if self._joining:
            # a joining device speaks in the session that the password opened
            self._proven = self._proven or session
        elif session != self._proven:
            self._proven = prove_device(self._store, self._device)

    def _joined(self) -> None:
        if self._device.profile.state is ProfileState.JOINING:
            prove_device(self._store, self._device)
            mark_ready(self._device)
