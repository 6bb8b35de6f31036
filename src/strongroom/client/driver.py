"""Carries out what the sync engine decides: requests to the store, transactions in the local store.

The order is the engine's: what it wants written is durable before anything else goes on, so a crash at any line
leaves a state from which the next sync goes on (docs/spec/sync.md).
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, TypeVar, assert_never

from strongroom.base.errors import (
    Conflict,
    Malformed,
    Misconfigured,
    NotAuthorised,
    StoreUnreachable,
    Unavailable,
)
from strongroom.client.account import mark_ready, prove_device
from strongroom.client.device import keep_keyring
from strongroom.client.profile import ProfileState
from strongroom.client.renewal import renewed_keyring
from strongroom.client.vault import LocalVault
from strongroom.formats import store_api as api
from strongroom.sync import effects
from strongroom.sync.engine import SyncEngine
from strongroom.sync.model import SyncState
from strongroom.transport.clock import SystemClock
from strongroom.vaultlog.head import SignedHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.base.clock import Clock
    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device

__all__ = ["sync_device"]

_PAGE: int = 512
T = TypeVar("T")


def sync_device(
    device: Device,
    store: StoreApi,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> effects.Summary:
    """Bring the device and the store into step, in both directions.

    Raises ``RollbackDetected``, ``ForkDetected`` or ``RecordTampered``, with a proof, when the store contradicts what
    it signed: nothing of that answer is applied. ``progress`` is told how many entries of how many were read, and
    ``pause`` waits a number of seconds before a store that lags is asked again.
    """
    return _Driver(device, store, progress, clock or SystemClock(), pause).run()


class _Driver:
    def __init__(
        self,
        device: Device,
        store: StoreApi,
        progress: Callable[[int, int], None],
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        self._device = device
        self._store = store
        self._progress = progress
        self._clock = clock
        self._pause = pause
        self._vault = LocalVault(device.store)
        self._proven: bytes | None = None
        state = self._vault.sync_state()
        member = state is not None and device.device_key.public in state.view.chain.members
        self._to_mark = device.profile.state is ProfileState.JOINING
        self._joining = self._to_mark and not member

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
                        self._vault.apply(effect)
                    case effects.Fetch():
                        event = self._fetch(effect)
                    case effects.RenewKeys():
                        event = self._get_keys(effect)
                    case effects.Prove():
                        event = self._ask_proofs(effect)
                    case effects.Publish():
                        self._publish(effect)
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
        first_key = device.keyring.signing_key(1).public
        state = self._vault.sync_state() or SyncState.empty(
            deployment=profile.trust.deployment,
            vault=profile.vault_id,
            account_key=first_key,
        )
        if profile.vault_id != state.view.chain.vault:
            # nothing authenticates the profile, and a record sealed for another vault would open for nobody
            raise Malformed("names another vault than this device's database", path="profile.json")
        return SyncEngine(
            peer=peer,
            state=state,
            dirty=self._vault.pending(),
            device_key=device.device_key,
            keyring=device.keyring,
            version_of=self._vault.version_of,
            at_ms=int(self._clock.now().timestamp() * 1000),
        )

    def _fetch(self, effect: effects.Fetch) -> effects.Event:
        if effect.pause_ms:
            self._pause(effect.pause_ms / 1000)
        body = api.FetchPage(after=effect.after_length, limit=_PAGE, view=effect.statement or b"")
        page = self._authorised(lambda: self._store.fetch(body))
        self._progress(effect.after_length + len(page.entries), SignedHead.from_bytes(page.head).head.length)
        return effects.Page(
            head=page.head,
            steps=tuple((pair.entry, pair.sealed) for pair in page.entries),
            views=tuple(page.views),
        )

    def _get_keys(self, effect: effects.RenewKeys) -> effects.Event:
        keyring = renewed_keyring(
            self._store, self._device, generation=effect.generation, account_key=effect.account_key
        )
        keep_keyring(self._device, keyring)
        return effects.KeysFetched(keyring=keyring)

    def _ask_proofs(self, effect: effects.Prove) -> effects.Event:
        paths: dict[int, tuple[bytes, ...]] = {}
        for start in range(0, len(effect.lengths), api.MAX_LENGTHS_PER_PROOF):
            lengths = effect.lengths[start : start + api.MAX_LENGTHS_PER_PROOF]
            body = api.ProveHistory(size=effect.size, lengths=list(lengths))
            answer = self._authorised(functools.partial(self._store.prove_history, body))
            paths.update(zip(lengths, map(tuple, answer.paths), strict=False))
        return effects.Proven(paths=paths)

    def _publish(self, effect: effects.Publish) -> None:
        self._joined()  # everything is applied: from here on this device speaks for itself
        try:
            self._authorised(lambda: self._store.publish_view(api.PublishView(view=effect.statement)))
        except Unavailable:
            # everything is in step already; the next sync shows the same statement again
            return

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
        if self._to_mark:
            self._proven = prove_device(self._store, self._device)
            mark_ready(self._device)
            self._joining = self._to_mark = False
