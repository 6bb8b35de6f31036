"""Registering an account and joining one from a new device (docs/spec/accounts.md). Either can stop anywhere.

What only this device knows is on its disk before the store hears of it, so that no account exists whose keys were
lost with a crash. Begun again, registering finds out whether the account was made and goes on from there.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from strongroom.base.errors import (
    Malformed,
    Misconfigured,
    NotAuthorised,
    RecordTampered,
    SecondFactorNeeded,
    StoreUnreachable,
)
from strongroom.client.api import AccountExists
from strongroom.client.device import NewDevice, create_device, discard_device, unlocked_device
from strongroom.client.profile import ProfileState, Trust, load_profile, profile_exists, save_profile
from strongroom.crypto import opaque
from strongroom.crypto.stretching import RFC_9106_LOW_MEMORY, StretchProfile
from strongroom.formats import account_api
from strongroom.formats import store_api as api
from strongroom.records.account_secret import AccountSecret
from strongroom.records.keyring import Keyring
from strongroom.records.keys import FIRST_EPOCH
from strongroom.records.wrapping import unwrap_keyring, wrap_keyring
from strongroom.vaultlog.chain import ChainState, authorise_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device
    from strongroom.crypto.signatures import SigningKey

__all__ = [
    "Credentials",
    "LoggedIn",
    "in_one_session",
    "joined",
    "joined_with",
    "log_in",
    "log_in_as_device",
    "mark_ready",
    "opened_keyring",
    "prove_device",
    "registered",
]

_ATTEMPTS: Final = 3


T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Credentials:
    """A name and a password, the cost of stretching it, and what this device is to be called. No representation.

    ``second_factor`` is asked for one where the account has any; without it, such a login fails.
    """

    username: str
    password: bytes
    cost: StretchProfile = RFC_9106_LOW_MEMORY
    device_name: str = ""
    second_factor: Callable[[account_api.FactorAsked], account_api.ProveFactor] | None = None

    def __post_init__(self) -> None:
        try:
            self.username.encode()
        except UnicodeEncodeError:
            raise Malformed("not a text that UTF-8 can hold", path="username") from None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class LoggedIn:
    """What a proven password gives: the account as the store has it, and OPAQUE's export key. No representation."""

    view: api.AccountView
    export_key: bytes


@contextmanager
def registered(
    home: Path,
    store: StoreApi,
    credentials: Credentials,
    trust: Trust,
    *,
    before_ready: Callable[[Device], None] = lambda _: None,
) -> Iterator[Device]:
    """Register a new account with this device as its first, and give the unlocked device.

    ``before_ready`` keeps what the person must not lose, the account secret, before setting up counts as over: where
    it fails, registering again goes on from there. ``AccountExists`` when the name is somebody's, ``Malformed`` when
    it is none; this device is then as if nothing had been tried.
    """
    with _pending(home, credentials, trust) as device:
        try:
            _register(store, device, credentials)
        except (AccountExists, Malformed):
            # ours, when an earlier try was acknowledged to nobody; somebody else's, when our device is no member
            if not _is_ours(store, device):
                device.store.close()
                discard_device(home)
                raise
        before_ready(device)
        yield mark_ready(device)


@contextmanager
def joined(
    home: Path, store: StoreApi, credentials: Credentials, trust: Trust, account_secret: AccountSecret
) -> Iterator[Device]:
    """Log in from a device that the account does not know yet, and give it, unlocked.

    The session then is the account's; the device becomes a member with its first sync. ``NotAuthorised`` for a wrong
    password, an unknown account and a wrong account secret.
    """
    with joined_with(home, log_in(store, credentials), credentials, trust, account_secret) as device:
        yield device


@contextmanager
def joined_with(
    home: Path,
    login: LoggedIn,
    credentials: Credentials,
    trust: Trust,
    account_secret: AccountSecret,
    *,
    device_key: SigningKey | None = None,
) -> Iterator[Device]:
    """Set this device up after a login; ``device_key`` is one that was approved already, else a new one is made."""
    view = login.view
    keyring = opened_keyring(login, account_secret)
    if profile_exists(home):
        profile = load_profile(home)
        if profile.state is not ProfileState.JOINING or profile.account_id != view.account_id:
            raise _already_set_up()
        with unlocked_device(home, credentials.password, accepted=(credentials.cost,)) as device:
            yield device
        return
    new = NewDevice(
        username=credentials.username,
        account_id=view.account_id,
        vault_id=view.vault_id,
        keyring=keyring,
        account_secret=account_secret,
        trust=trust,
        state=ProfileState.JOINING,
        name=credentials.device_name,
    )
    with create_device(
        home, new, password=credentials.password, cost=credentials.cost, device_key=device_key
    ) as device:
        yield device


def opened_keyring(login: LoggedIn, account_secret: AccountSecret) -> Keyring:
    """Open the account's root keys after a login, and hold what the store says of the account against them.

    ``NotAuthorised`` for a wrong account secret, ``RecordTampered`` for another account key or another vault.
    """
    view = login.view
    keyring = unwrap_keyring(
        view.wrapped_root_key,
        export_key=login.export_key,
        account_secret=account_secret,
        account=view.account_id,
        generation=view.generation,
    )
    if keyring.signing_key().public != view.account_key:
        raise RecordTampered("the store shows another account key than the account's own")
    if keyring.first.first_vault() != view.vault_id:
        raise RecordTampered("the store shows another vault than the account's own")
    return keyring


def prove_device(store: StoreApi, device: Device) -> bytes:
    """Prove this device in the present session, and give that; ``NotAuthorised`` when the vault does not know it.

    A store that was restarted since the channel was made answers in a new session, where the proof does not hold; it
    is made again then, so that a refusal is always about the device.
    """
    account_id = device.profile.account_id

    def prove(session: bytes) -> bytes:
        signature = device.device_key.sign(api.DEVICE_PROOF_LABEL, api.device_proof(session, account_id))
        store.prove_device(
            api.DeviceSession(
                account_id=account_id,
                device_key=device.device_key.public,
                signature=signature,
                name=device.profile.device_name,
            )
        )
        return session

    return in_one_session(store, prove)


def mark_ready(device: Device) -> Device:
    """Write down that setting up is over, and give the device as it is now."""
    profile = msgspec.structs.replace(device.profile, state=ProfileState.READY)
    save_profile(device.home, profile)
    return replace(device, profile=profile)


@contextmanager
def _pending(home: Path, credentials: Credentials, trust: Trust) -> Iterator[Device]:
    """Give the device of a registration that was begun earlier, or begin one."""
    if profile_exists(home):
        profile = load_profile(home)
        if profile.state is not ProfileState.REGISTERING or profile.username != credentials.username:
            raise _already_set_up()
        with unlocked_device(home, credentials.password, accepted=(credentials.cost,)) as device:
            yield device
        return
    keyring = Keyring.generate()
    new = NewDevice(
        username=credentials.username,
        account_id=os.urandom(16),
        vault_id=keyring.first.first_vault(),
        keyring=keyring,
        account_secret=AccountSecret.generate(),
        trust=trust,
        state=ProfileState.REGISTERING,
        name=credentials.device_name,
    )
    with create_device(home, new, password=credentials.password, cost=credentials.cost) as device:
        yield device


def _register(store: StoreApi, device: Device, credentials: Credentials) -> None:
    profile = device.profile
    account_key = device.keyring.signing_key()
    genesis = ChainState.genesis(vault=profile.vault_id, account_key=account_key.public)
    first = authorise_device(account_key, device.device_key.public, genesis, epoch=FIRST_EPOCH)

    def register(_session: bytes) -> None:
        state, request = opaque.client.start_registration(credentials.password)
        started = store.register_start(api.RegisterStart(username=credentials.username, request=request))
        record, export_key = opaque.client.finish_registration(
            state, started.response, stretching=opaque.argon2id(credentials.cost)
        )
        wrapped = wrap_keyring(
            device.keyring,
            export_key=export_key,
            account_secret=device.account_secret,
            account=profile.account_id,
        )
        store.register_finish(
            api.RegisterFinish(
                username=credentials.username,
                record=record,
                account_id=profile.account_id,
                account_key=account_key.public,
                wrapped_root_key=wrapped,
                vault_id=profile.vault_id,
                first=api.EntryPair(entry=first.to_bytes(), sealed=b""),
            )
        )

    in_one_session(store, register)


def _is_ours(store: StoreApi, device: Device) -> bool:
    try:
        prove_device(store, device)
    except NotAuthorised:
        return False
    return True


def log_in(store: StoreApi, credentials: Credentials) -> LoggedIn:
    """Prove the password, and a second factor where the account has one.

    ``NotAuthorised`` for a wrong password, an unknown account and a wrong second factor; ``SecondFactorNeeded`` where
    the credentials bring none.
    """

    def attempt(_session: bytes) -> LoggedIn:
        ke3, export_key = _prove_password(store, credentials)
        try:
            view = store.login_finish(ke3)
        except SecondFactorNeeded:
            if credentials.second_factor is None:
                raise
            asked = store.ask_factor(account_api.AskFactor())
            view = store.prove_factor(credentials.second_factor(asked))
        return LoggedIn(view=view, export_key=export_key)

    return in_one_session(store, attempt)


def log_in_as_device(store: StoreApi, device: Device) -> LoggedIn:
    """Prove the password for OPAQUE's export key, then the device; no second factor is asked of a proven device."""
    credentials = Credentials(username=device.profile.username, password=device.password, cost=device.cost)

    def attempt(_session: bytes) -> bytes:
        ke3, export_key = _prove_password(store, credentials)
        with suppress(SecondFactorNeeded):
            store.login_finish(ke3)
        return export_key

    export_key = in_one_session(store, attempt)
    prove_device(store, device)
    return LoggedIn(view=store.read_account(api.ReadAccount()), export_key=export_key)


def _prove_password(store: StoreApi, credentials: Credentials) -> tuple[api.LoginFinish, bytes]:
    state, ke1 = opaque.client.start_login(credentials.password)
    started = store.login_start(api.LoginStart(username=credentials.username, ke1=ke1))
    try:
        ke3, _, export_key = opaque.client.finish_login(
            state, started.ke2, stretching=opaque.argon2id(credentials.cost)
        )
    except opaque.WrongPassword:
        raise NotAuthorised("unknown account or wrong password") from None
    return api.LoginFinish(ke3=ke3), export_key


def in_one_session(store: StoreApi, attempt: Callable[[bytes], T]) -> T:
    """Make several calls that belong to one session; where the store was restarted between them, make them again.

    So a refusal is always about who asks, and never about a session that nobody knows any more.
    """
    for _ in range(_ATTEMPTS):
        session = store.peer().session
        try:
            return attempt(session)
        except NotAuthorised:
            if store.peer().session == session:
                raise
    raise _restarting()


def _restarting() -> StoreUnreachable:
    return StoreUnreachable("the store is restarted again and again", hint="try again later")


def _already_set_up() -> Misconfigured:
    return Misconfigured("this directory already belongs to a device", hint="use another --home, or move this one away")
