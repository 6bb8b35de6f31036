"""This device's secrets and its local store: set up once, unlocked with the password, offline too.

Three files in the device's directory: ``profile.json`` (whom it trusts), ``device.secret`` (32 bytes, mode 0600, half
of what opens the profile's wrapped root key; the password is the other half) and ``vault.db`` (encrypted).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from strongroom.base.errors import Misconfigured, StorageUnavailable
from strongroom.client.profile import Profile, ProfileState, Trust, load_profile, save_profile
from strongroom.crypto.signatures import SigningKey
from strongroom.crypto.stretching import RFC_9106_LOW_MEMORY, StretchProfile
from strongroom.records.account_secret import AccountSecret
from strongroom.records.keyring import Keyring
from strongroom.records.wrapping import DEVICE_SECRET_BYTES, new_device_secret, unwrap_locally, wrap_locally
from strongroom.storage.files import make_private_directory, read_private_file, write_private_file
from strongroom.storage.local_encrypted import create_local_store, open_local_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongroom.client.ports import LocalStore

__all__ = [
    "Device",
    "begin_renewal",
    "create_device",
    "discard_device",
    "keep_keyring",
    "renewal_begun",
    "rewrapped",
    "unlocked_device",
]

_SECRET_FILE: Final = "device.secret"  # noqa: S105 - the name of a file
_DATABASE: Final = "vault.db"
_SECRETS: Final = "secret"
_DEVICE_SEED: Final = b"device seed"
_ACCOUNT_SECRET: Final = b"account secret"
_KEYRING: Final = b"keyring"
_RENEWAL: Final = b"keyring being renewed"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Device:
    """An unlocked device. No representation.

    ``password`` opened it, and gets it the account's new keys when another device renewed them; ``cost`` is that of
    stretching it.
    """

    home: Path
    profile: Profile
    password: bytes
    cost: StretchProfile
    device_key: SigningKey
    account_secret: AccountSecret
    store: LocalStore

    @property
    def keyring(self) -> Keyring:
        """The account's root keys as this device has them now."""
        return Keyring.from_secret(_kept(self.store, _KEYRING))


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class NewDevice:
    """What a device is made of before it exists on disk."""

    username: str
    account_id: bytes
    vault_id: bytes
    keyring: Keyring
    account_secret: AccountSecret
    trust: Trust
    state: ProfileState
    name: str = ""


@contextmanager
def create_device(
    home: Path,
    new: NewDevice,
    *,
    password: bytes,
    cost: StretchProfile = RFC_9106_LOW_MEMORY,
    device_key: SigningKey | None = None,
) -> Iterator[Device]:
    """Write a new device to disk and give it, unlocked. ``device_key`` is its key where that was made before.

    The profile is written last: a crash before leaves files that no profile speaks of, and setting up begins anew.
    """
    device_key = device_key or SigningKey.generate()
    secret = new_device_secret()
    make_private_directory(home)
    _remove_leftovers(home)
    write_private_file(home / _SECRET_FILE, secret)
    store = create_local_store(home / _DATABASE, new.keyring.first.local_store_key(device_key.public))
    try:
        with store.transaction():
            store.put(_SECRETS, _DEVICE_SEED, device_key.seed)
            store.put(_SECRETS, _ACCOUNT_SECRET, new.account_secret.value)
            store.put(_SECRETS, _KEYRING, new.keyring.secret)
        profile = Profile(
            state=new.state,
            username=new.username,
            account_id=new.account_id,
            vault_id=new.vault_id,
            device_key=device_key.public,
            wrapped_root_key=wrap_locally(
                new.keyring.first, password=password, device_secret=secret, account=new.account_id, cost=cost
            ),
            trust=new.trust,
            device_name=new.name,
        )
        save_profile(home, profile)
        yield Device(
            home=home,
            profile=profile,
            password=password,
            cost=cost,
            device_key=device_key,
            account_secret=new.account_secret,
            store=store,
        )
    finally:
        store.close()


@contextmanager
def unlocked_device(
    home: Path, password: bytes, *, accepted: tuple[StretchProfile, ...] = (RFC_9106_LOW_MEMORY,)
) -> Iterator[Device]:
    """Unlock this device; no network is needed.

    ``NotAuthorised`` for a wrong password, ``Misconfigured`` when the device was never set up or misses a part,
    ``StorageUnavailable`` when its database is damaged.
    """
    profile = load_profile(home)
    secret = read_private_file(home / _SECRET_FILE, max_bytes=DEVICE_SECRET_BYTES)
    if secret is None or len(secret) != DEVICE_SECRET_BYTES:
        raise Misconfigured(
            f"{_SECRET_FILE} is missing or cut short, and nothing opens without it",
            hint="move this directory away and log in again with the account secret",
        )
    root_key = unwrap_locally(
        profile.wrapped_root_key,
        password=password,
        device_secret=secret,
        account=profile.account_id,
        accepted=accepted,
    )
    store = open_local_store(home / _DATABASE, root_key.local_store_key(profile.device_key))
    try:
        yield Device(
            home=home,
            profile=profile,
            password=password,
            cost=accepted[0],
            device_key=SigningKey.from_seed(_kept(store, _DEVICE_SEED)),
            account_secret=AccountSecret(_kept(store, _ACCOUNT_SECRET)),
            store=store,
        )
    finally:
        store.close()


def keep_keyring(device: Device, keyring: Keyring) -> None:
    """Write the account's new keys down; durable when this returns."""
    with device.store.transaction():
        device.store.put(_SECRETS, _KEYRING, keyring.secret)
        device.store.delete(_SECRETS, _RENEWAL)


def begin_renewal(device: Device, keyring: Keyring) -> None:
    """Write down the keys that this device is about to renew the account's with, before the store hears of them."""
    with device.store.transaction():
        device.store.put(_SECRETS, _RENEWAL, keyring.secret)


def renewal_begun(device: Device) -> Keyring | None:
    """Give the keys of a renewal that this device began and has not heard the end of."""
    secret = device.store.get(_SECRETS, _RENEWAL)
    return None if secret is None else Keyring.from_secret(secret)


def rewrapped(device: Device, password: bytes) -> Device:
    """Let a device open with another password from now on; the device's secret and database stay as they are."""
    secret = read_private_file(device.home / _SECRET_FILE, max_bytes=DEVICE_SECRET_BYTES)
    if secret is None:
        raise Misconfigured(f"{_SECRET_FILE} is missing")
    wrapped = wrap_locally(
        device.keyring.first,
        password=password,
        device_secret=secret,
        account=device.profile.account_id,
        cost=device.cost,
    )
    profile = msgspec.structs.replace(device.profile, wrapped_root_key=wrapped)
    # commit point: the profile is replaced as a whole, so one of the two passwords opens the device at any time
    save_profile(device.home, profile)
    return replace(device, profile=profile, password=password)


def discard_device(home: Path) -> None:
    """Remove what setting up left, profile first, so that no half is taken for a whole."""
    for name in ("profile.json", _DATABASE, _SECRET_FILE):
        (home / name).unlink(missing_ok=True)
    _remove_leftovers(home)


def _remove_leftovers(home: Path) -> None:
    for path in home.glob(f"{_DATABASE}*"):
        path.unlink()


def _kept(store: LocalStore, name: bytes) -> bytes:
    value = store.get(_SECRETS, name)
    if value is None:
        raise StorageUnavailable("the local database misses one of this device's secrets")
    return value
