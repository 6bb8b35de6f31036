"""What an account's owner does from a device that is set up: another password, second factors, the log, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from strongroom.client.account import in_one_session, prove_device
from strongroom.client.device import rewrapped
from strongroom.client.driver import sync_device
from strongroom.crypto import opaque
from strongroom.formats import account_api as api
from strongroom.formats.store_api import FetchPage
from strongroom.records.wrapping import wrap_keyring
from strongroom.vaultlog.head import SignedHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device

__all__ = ["EXPORT_FORMAT", "add_key", "add_totp", "change_password", "delete_account", "everything", "read_log"]

EXPORT_FORMAT: Final = "strongroom export"
_PAGE: Final = 512


def change_password(store: StoreApi, device: Device, password: bytes) -> Device:
    """Exchange the account's password, at the store first and then on this device; gives the device as it is now.

    Syncs first: the keys that are wrapped anew have to be the account's newest, else ``Conflict`` is raised and
    nothing is changed. A crash between store and device leaves this device opening with the old password: changing
    it again mends that. The account secret stays, and other devices go on opening with the passwords they have.
    """
    sync_device(device, store)

    def change(_session: bytes) -> None:
        prove_device(store, device)
        state, request = opaque.client.start_registration(password)
        started = store.password_start(api.PasswordStart(request=request))
        record, export_key = opaque.client.finish_registration(
            state, started.response, stretching=opaque.argon2id(device.cost)
        )
        keyring = device.keyring
        wrapped = wrap_keyring(
            keyring,
            export_key=export_key,
            account_secret=device.account_secret,
            account=device.profile.account_id,
        )
        store.password_finish(
            api.PasswordFinish(record=record, wrapped_root_key=wrapped, generation=keyring.generation)
        )

    in_one_session(store, change)
    return rewrapped(device, password)


def add_totp(store: StoreApi, device: Device, name: str, show: Callable[[bytes], str]) -> list[str]:
    """Add an authenticator application: ``show`` takes its secret to the person and brings a code back.

    Gives the recovery codes if it is the account's first second factor.
    """
    prove_device(store, device)
    secret = store.add_totp(api.AddTotp(name=name)).secret
    return store.add_totp_finish(api.AddTotpFinish(code=show(secret))).recovery_codes


def add_key(store: StoreApi, device: Device, name: str, rp_id: str, answer: Callable[[str], str]) -> list[str]:
    """Add a security key: ``answer`` takes the creation options to the key and brings its response back."""
    prove_device(store, device)
    options = store.add_key(api.AddKey(name=name, rp_id=rp_id)).options
    return store.add_key_finish(api.AddKeyFinish(response=answer(options))).recovery_codes


def read_log(store: StoreApi, device: Device) -> api.AccountLog:
    """Read what happened to the account."""
    prove_device(store, device)
    return store.read_log(api.ReadLog())


def delete_account(store: StoreApi, device: Device) -> None:
    """Delete the account and its vault at the store. What is on this device stays."""
    prove_device(store, device)
    store.delete_account(api.DeleteAccount(account_id=device.profile.account_id))


def everything(store: StoreApi, device: Device) -> dict[str, Any]:
    """Collect everything that the store keeps of the account, for JSON (docs/spec/accounts.md section 9)."""
    prove_device(store, device)
    profile = device.profile
    entries: list[Any] = []
    while True:
        page = store.fetch(FetchPage(after=len(entries), limit=_PAGE))
        entries += page.entries
        if len(entries) >= SignedHead.from_bytes(page.head).head.length or not page.entries:
            break
    return {
        "format": EXPORT_FORMAT,
        "version": 1,
        "username": profile.username,
        "account_id": profile.account_id.hex(),
        "vault_id": profile.vault_id.hex(),
        "deployment": profile.trust.deployment.hex(),
        "head": page.head.hex(),
        "views": [view.hex() for view in page.views],
        "entries": [[pair.entry.hex(), pair.sealed.hex()] for pair in entries],
        "second_factors": msgspec.to_builtins(store.list_factors(api.ListFactors())),
        "log": msgspec.to_builtins(store.read_log(api.ReadLog())),
    }
