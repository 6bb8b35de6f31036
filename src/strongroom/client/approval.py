"""A new device that has no account secret asks an old one for it (docs/spec/enrolment.md 3): both ends.

The new device proves the password, makes its keys and shows a code. The old one compares the code with what the
store says, seals the account secret to the new device and signs the entry that admits it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import DevicePending, HeadMoved, NotAuthorised, RecordTampered
from strongroom.client.account import joined_with, log_in, prove_device
from strongroom.client.driver import sync_device
from strongroom.client.vault import LocalVault
from strongroom.crypto.aead import OpenFailed
from strongroom.crypto.hpke import HpkePrivateKey, InvalidPublicKey, seal_to
from strongroom.crypto.signatures import SigningKey
from strongroom.formats import device_api as api
from strongroom.formats.device_request import ApprovalRequest, read_code
from strongroom.formats.store_api import EntryPair
from strongroom.records.account_secret import ACCOUNT_SECRET_BYTES, AccountSecret
from strongroom.records.keys import FIRST_EPOCH
from strongroom.vaultlog.chain import ChainState, authorise_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from strongroom.client.account import Credentials
    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device
    from strongroom.client.profile import Trust

__all__ = ["Patience", "approve_device", "current_chain", "joined_by_approval", "waiting_devices"]

_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a device waits: ``pause`` sleeps between two questions, ``questions`` is how many it asks."""

    pause: Callable[[], None]
    questions: int = 300


@contextmanager
def joined_by_approval(
    home: Path,
    store: StoreApi,
    credentials: Credentials,
    trust: Trust,
    *,
    show_code: Callable[[str], None],
    patience: Patience,
) -> Iterator[Device]:
    """Log in, wait until another device has admitted this one, and give it, unlocked.

    ``DevicePending`` when nobody decided in time, ``NotAuthorised`` when the request was refused. The keys of a
    request live in memory: whoever is interrupted asks again, and gets another code. When that happens after the
    approval, the admitted key is nobody's, and can be revoked like any device.
    """
    login = log_in(store, credentials)
    view = login.view
    device_key, kem = SigningKey.generate(), HpkePrivateKey.generate()
    request = ApprovalRequest(
        account_id=view.account_id, vault_id=view.vault_id, device_key=device_key.public, kem_key=kem.public
    )
    store.ask_for_approval(
        api.AskForApproval(device_key=device_key.public, kem_key=kem.public, name=credentials.device_name)
    )
    show_code(request.code)
    secret = _opened(_awaited(store, request, patience), kem, request)
    # the root key opens with this secret and the password's own key, so whoever sealed it knows the account's secret
    with joined_with(home, login, credentials, trust, secret, device_key=device_key) as device:
        yield device


def waiting_devices(store: StoreApi, device: Device) -> list[tuple[ApprovalRequest, api.WaitingDevice]]:
    """Give the requests that wait, each with what the store says of it."""
    prove_device(store, device)
    profile = device.profile
    return [
        (
            ApprovalRequest(
                account_id=profile.account_id,
                vault_id=profile.vault_id,
                device_key=waiting.device_key,
                kem_key=waiting.kem_key,
            ),
            waiting,
        )
        for waiting in store.list_devices(api.ListDevices()).waiting
    ]


def approve_device(store: StoreApi, device: Device, code: str) -> api.WaitingDevice:
    """Admit the device that shows ``code``, and hand it the account secret; gives what was admitted.

    ``NotAuthorised`` when no waiting device has that code: it was mistyped, the request is a day old, or somebody
    put another device in its place.
    """
    wanted = read_code(code)
    found = [(request, shown) for request, shown in waiting_devices(store, device) if request.code == wanted]
    if not found:
        raise NotAuthorised("no waiting device has this code", hint="compare it with what the new device shows")
    request, shown = found[0]
    try:
        sealed = seal_to(request.kem_key, device.account_secret.value, request.info)
    except InvalidPublicKey:
        raise NotAuthorised("the waiting device's key is none") from None
    for _ in range(_ATTEMPTS):
        sync_device(device, store)
        chain = current_chain(device)
        entries = []
        if request.device_key not in chain.members:
            entry = authorise_device(device.device_key, request.device_key, chain, epoch=FIRST_EPOCH)
            entries.append(EntryPair(entry=entry.to_bytes(), sealed=b""))
        try:
            store.approve_device(
                api.Approve(
                    device_key=request.device_key,
                    sealed=sealed,
                    expected_length=chain.length,
                    expected_chain=chain.chain_hash,
                    entries=entries,
                )
            )
        except HeadMoved:
            continue
        sync_device(device, store)
        return shown
    raise HeadMoved(f"other devices' entries were first {_ATTEMPTS} times", hint="try again later")


def current_chain(device: Device) -> ChainState:
    """Give where the vault's log stands, as this device has verified it with its last sync."""
    state = LocalVault(device.store).sync_state()
    if state is None:
        raise NotAuthorised("this device has not synced yet", hint="run `strongroom sync`")
    return state.view.chain


def _awaited(store: StoreApi, request: ApprovalRequest, patience: Patience) -> bytes:
    question = api.AwaitApproval(device_key=request.device_key)
    for _ in range(patience.questions):
        answer = store.await_approval(question)
        if answer.state is api.ApprovalState.APPROVED:
            return answer.sealed
        if answer.state is api.ApprovalState.GONE:
            raise NotAuthorised("the request was refused on another device", hint="log in again to ask once more")
        patience.pause()
    raise DevicePending("no other device approved this one in time", hint="log in again to ask once more")


def _opened(sealed: bytes, kem: HpkePrivateKey, request: ApprovalRequest) -> AccountSecret:
    try:
        secret = kem.open(sealed, request.info)
    except OpenFailed:
        raise RecordTampered("what the store says another device sealed for this one does not open") from None
    if len(secret) != ACCOUNT_SECRET_BYTES:
        raise RecordTampered("another device sealed something else than an account secret")
    return AccountSecret(secret)
