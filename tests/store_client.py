"""A person's devices, by hand, against a store service without a network: what the store's own tests need."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

from memory_anchor import MemoryAnchor
from strongroom.attesters.sealing import SealingPolicy
from strongroom.crypto import opaque
from strongroom.crypto.hashing import sha256
from strongroom.crypto.kdf import derive
from strongroom.crypto.opaque import identity_for_test_vectors_only
from strongroom.crypto.signatures import SigningKey
from strongroom.formats import store_api as api
from strongroom.store.deployment import Deployment
from strongroom.store.guess_gate import GuessGate, bound_anchor, open_guesses
from strongroom.store.guessing import STANDARD_LIMITS
from strongroom.store.ports import RecordStore
from strongroom.store.service import StoreService
from strongroom.store.sessions import ChannelSession
from strongroom.vaultlog.chain import ChainState, authorise_device, extend
from strongroom.vaultlog.entry import Entry, RecordWritten, Step


class FakeSealer:
    """A platform that seals with keys from one secret, as EGETKEY would."""

    def __init__(self, secret: bytes = b"platform", platform_id: bytes = b"p" * 16) -> None:
        self.secret = secret
        self.platform_id = platform_id

    def sealing_key(self, policy: SealingPolicy, label: str) -> bytes:
        return derive(self.secret, label, policy.encode())


@dataclass
class FakeClock:
    """A clock that a test sets."""

    instant: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.seconds


LIMITS = STANDARD_LIMITS
_ANCHORS: dict[bytes, MemoryAnchor] = {}


def new_service(storage: RecordStore, clock: FakeClock | None = None) -> StoreService:
    """Make a deployment in an empty database and its service."""
    new_deployment(storage)
    return reopened(storage, clock)


def new_deployment(storage: RecordStore) -> Deployment:
    """Make a deployment in an empty database, with a counter of its own."""
    anchor = MemoryAnchor()
    _ANCHORS[anchor.anchor_id] = anchor
    return Deployment.create(storage, FakeSealer(), anchor=anchor)


def reopened(storage: RecordStore, clock: FakeClock | None = None) -> StoreService:
    """Start a service again over the same database, with the counter that it was made with."""
    clock = clock or FakeClock()
    deployment = Deployment.open(storage, FakeSealer())
    return StoreService(storage, deployment, clock, guesses_of(storage, deployment, clock))


def guesses_of(storage: RecordStore, deployment: Deployment, clock: FakeClock) -> GuessGate:
    """Open the gate of a deployment that ``new_deployment`` made."""
    bound = bound_anchor(storage, deployment.rows, deployment.keys)
    anchor = None if bound is None else _ANCHORS[bound]
    return open_guesses(storage, deployment.rows, deployment.keys, clock, anchor, limits=LIMITS)


def new_session() -> ChannelSession:
    """Begin a session as a new channel would."""
    return ChannelSession(os.urandom(32))


@dataclass
class Person:
    """An account with one device, which keeps its own chain."""

    username: str
    password: bytes = b"correct horse"
    account_id: bytes = field(default_factory=lambda: os.urandom(16))
    vault_id: bytes = field(default_factory=lambda: os.urandom(16))
    account_key: SigningKey = field(default_factory=SigningKey.generate)
    device: SigningKey = field(default_factory=SigningKey.generate)
    versions: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chain = ChainState.genesis(vault=self.vault_id, account_key=self.account_key.public)

    def first(self) -> api.EntryPair:
        entry = authorise_device(self.account_key, self.device.public, self.chain, epoch=1)
        return api.EntryPair(entry=entry.to_bytes(), sealed=b"")

    def follow(self, pairs: list[api.EntryPair]) -> None:
        self.chain = extend(self.chain, [Step.from_bytes(pair.entry, pair.sealed) for pair in pairs])

    def register(self, service: StoreService, session: ChannelSession | None = None) -> api.Appended:
        session = session or new_session()
        state, request = opaque.client.start_registration(self.password)
        started = service.register_start(session, api.RegisterStart(username=self.username, request=request))
        record, _ = opaque.client.finish_registration(
            state, started.response, stretching=identity_for_test_vectors_only
        )
        first = self.first()
        finished = service.register_finish(
            session,
            api.RegisterFinish(
                username=self.username,
                record=record,
                account_id=self.account_id,
                account_key=self.account_key.public,
                wrapped_root_key=b"wrapped",
                vault_id=self.vault_id,
                first=first,
            ),
        )
        self.follow([first])
        return finished

    def login(self, service: StoreService, session: ChannelSession, password: bytes | None = None) -> api.AccountView:
        state, ke1 = opaque.client.start_login(password or self.password)
        started = service.login_start(session, api.LoginStart(username=self.username, ke1=ke1))
        ke3, _, _ = opaque.client.finish_login(state, started.ke2, stretching=identity_for_test_vectors_only)
        return service.login_finish(session, api.LoginFinish(ke3=ke3))

    def prove(self, service: StoreService, session: ChannelSession) -> api.DeviceProven:
        signature = self.device.sign(api.DEVICE_PROOF_LABEL, api.device_proof(session.transcript, self.account_id))
        return service.prove_device(
            session,
            api.DeviceSession(account_id=self.account_id, device_key=self.device.public, signature=signature),
        )

    def write(self, record: bytes, sealed: bytes) -> api.EntryPair:
        """Make the entry that writes the next version of a record, and follow it."""
        version = self.versions.get(record, 0) + 1
        change = RecordWritten(record=record, version=version, sealed_digest=sha256(sealed))
        entry = Entry(
            vault=self.vault_id,
            epoch=1,
            index=self.chain.length,
            previous=self.chain.chain_hash,
            author=self.device.public,
            change=change,
        ).signed_by(self.device)
        self.versions[record] = version
        pair = api.EntryPair(entry=entry.to_bytes(), sealed=sealed)
        self.follow([pair])
        return pair

    def append(self, service: StoreService, session: ChannelSession, pairs: list[api.EntryPair], before: ChainState):
        return service.append(
            session,
            api.Append(expected_length=before.length, expected_chain=before.chain_hash, entries=pairs),
        )
