"""New keys for the account when a device is removed (docs/spec/enrolment.md 5): renewing them, and getting them.

The removed device knows the keys before and the account secret, and not the password: so the store's copy of the new
keys, which opens with both, is closed to it. The other devices fetch that copy when they read in the log that there
is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.client.account import log_in_as_device, opened_keyring
from strongroom.client.device import begin_renewal, keep_keyring, renewal_begun
from strongroom.formats import store_api as api
from strongroom.records.wrapping import wrap_keyring
from strongroom.vaultlog.chain import extend, remove_device, renew_keys
from strongroom.vaultlog.entry import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device
    from strongroom.records.keyring import Keyring
    from strongroom.vaultlog.chain import ChainState

__all__ = ["remove_and_renew", "renewed_keyring", "restore_copy"]


def remove_and_renew(store: StoreApi, device: Device, removed: bytes, chain: ChainState) -> None:
    """Remove a device at the end of ``chain`` and renew the account's keys with it, all or nothing.

    The new keys are on this device's disk before the store hears of them, and become the device's own once the store
    has acknowledged them or the log shows them. ``HeadMoved`` when somebody else's entries were first.
    """
    keyring = device.keyring.renewed()
    begin_renewal(device, keyring)
    login = log_in_as_device(store, device)
    opened_keyring(login, device.account_secret)
    removal = Step(entry=remove_device(device.device_key, removed, chain, epoch=chain.epoch), sealed=b"")
    account_key = keyring.signing_key().public
    renewal = Step(entry=renew_keys(device.device_key, account_key, extend(chain, [removal])), sealed=b"")
    _send(store, device, keyring, export_key=login.export_key, chain=chain, steps=[removal, renewal])
    keep_keyring(device, keyring)


def restore_copy(store: StoreApi, device: Device, chain: ChainState) -> None:
    """Give the store its copy of the account's keys back, where it has an older one than the log speaks of."""
    keyring = device.keyring
    if keyring.generation == 1:
        return
    login = log_in_as_device(store, device)
    if login.view.generation < keyring.generation:
        _send(store, device, keyring, export_key=login.export_key, chain=chain, steps=[])


def renewed_keyring(store: StoreApi, device: Device, *, generation: int, account_key: bytes) -> Keyring:
    """Give the account's keys up to a generation: this device's own renewal, or the store's copy, by the password.

    ``NotAuthorised`` when the password is not the account's any more.
    """
    begun = renewal_begun(device)
    if begun is not None and begun.generation == generation and begun.signing_key().public == account_key:
        return begun
    return opened_keyring(log_in_as_device(store, device), device.account_secret)


def _send(
    store: StoreApi, device: Device, keyring: Keyring, *, export_key: bytes, chain: ChainState, steps: Sequence[Step]
) -> None:
    pairs = [step.to_bytes() for step in steps]
    wrapped = wrap_keyring(
        keyring,
        export_key=export_key,
        account_secret=device.account_secret,
        account=device.profile.account_id,
    )
    store.renew_keys(
        api.RenewKeys(
            generation=keyring.generation,
            wrapped_root_key=wrapped,
            account_key=keyring.signing_key().public,
            expected_length=chain.length,
            expected_chain=chain.chain_hash,
            entries=[api.EntryPair(entry=entry, sealed=sealed) for entry, sealed in pairs],
        )
    )
