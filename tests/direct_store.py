"""A store's service without network and channel, for tests of the client: the calls of ``StoreApi``, and restarts."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from store_client import FakeSealer, new_service, reopened
from strongroom.client.profile import Trust
from strongroom.crypto.hashing import sha256
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.sessions import ChannelSession

__all__ = ["DirectStore"]

_CALLS = frozenset(
    {
        "register_start",
        "read_account",
        "renew_keys",
        "register_finish",
        "login_start",
        "login_finish",
        "prove_device",
        "fetch",
        "append",
        "prove_history",
        "publish_view",
        "hand_back",
    }
)
_BEFORE_PROOF = frozenset({"register_start", "register_finish", "login_start", "login_finish", "prove_device"}) | {
    "ask_factor",
    "prove_factor",
}
_OF_DEVICES = {
    "list_devices": "listed",
    "ask_for_approval": "ask",
    "await_approval": "awaited",
    "approve_device": "approve",
    "refuse_device": "refuse",
    "enrol": "enrol",
    "demand_evidence": "demand_evidence",
}
_OF_OWNER = {
    name: name
    for name in (
        "ask_factor", "prove_factor", "list_factors", "add_totp", "add_totp_finish", "add_key", "add_key_finish",
        "remove_factor", "password_start", "password_finish", "read_log",
    )
} | {"delete_account": "delete"}  # fmt: skip


class DirectStore:
    """What ``StoreApi`` does, by direct calls. ``before`` runs before each call and may raise, or restart the store."""

    def __init__(self, storage: MemoryRecordStore | None = None) -> None:
        self._storage = storage or MemoryRecordStore()
        self.service = new_service(self._storage) if storage is None else reopened(self._storage)
        self._session = ChannelSession(os.urandom(32))
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self.calls: list[str] = []
        opened = Deployment.open(self._storage, FakeSealer())
        self.deployment = opened.deployment_id
        self.trust = Trust(url="http://store.invalid", deployment=self.deployment, policy=None, simulated_root=None)
        self._head_key_hash = sha256(opened.keys.head.public)

    def another_client(self) -> DirectStore:
        """Give another client's way to the same store."""
        return DirectStore(self._storage)

    def restart(self) -> None:
        """Forget every session, as a store that was restarted does; clients get a new channel by themselves."""
        self.service = reopened(self._storage)
        self._session = ChannelSession(os.urandom(32))

    def peer(self) -> Any:
        return SimpleNamespace(
            session=self._session.transcript, deployment=self.deployment, head_key_hash=self._head_key_hash, epoch=1
        )

    def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name not in _CALLS and name not in _OF_DEVICES and name not in _OF_OWNER:
            raise AttributeError(name)

        def call(body: Any) -> Any:
            self.calls.append(name)
            self.before(name)
            if name in _OF_DEVICES or name in (_CALLS | set(_OF_OWNER)) - _BEFORE_PROOF:
                self.service.check(self._session)  # as every route does that needs a proven session
            if name in _OF_OWNER:
                answer = getattr(self.service.owner, _OF_OWNER[name])(self._session, body)
            elif name in _OF_DEVICES:
                answer = getattr(self.service.devices, _OF_DEVICES[name])(self._session, body)
            else:
                answer = getattr(self.service, name)(self._session, body)
            self.after(name)
            return answer

        return call
