"""The account's devices, as a person sees them: the list, and revoking one (docs/spec/enrolment.md 4).

Which devices belong to the vault, this device reads in the log that it has verified. Names, times and grades are the
store's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import HeadMoved, Misconfigured, NotAuthorised
from strongroom.client.account import prove_device
from strongroom.client.approval import current_chain
from strongroom.client.driver import sync_device
from strongroom.client.renewal import remove_and_renew
from strongroom.formats import device_api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device

__all__ = ["KnownDevice", "find_device", "known_devices", "revoke_device"]

_ATTEMPTS: Final = 8
_SHORT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """One device. ``member`` is what the log says; ``current`` tells whether it is this one. Times: Unix ms, or 0."""

    device_key: bytes
    name: str
    added_ms: int
    seen_ms: int
    grade: str
    measurement: bytes
    member: bool
    current: bool

    @property
    def short_id(self) -> str:
        """The first 8 hexadecimal digits of the key, for people."""
        return self.device_key.hex()[:_SHORT]


def known_devices(store: StoreApi, device: Device) -> list[KnownDevice]:
    """Sync, and give every device that belongs or belonged to the vault, members first."""
    sync_device(device, store)
    prove_device(store, device)
    chain = current_chain(device)
    told = {view.device_key: view for view in store.list_devices(device_api.ListDevices()).devices}
    nothing = device_api.DeviceView(
        device_key=bytes(32), name="", added_ms=0, seen_ms=0, grade="none", measurement=b"", removed=False
    )
    found = [
        KnownDevice(
            device_key=key,
            name=told.get(key, nothing).name,
            added_ms=told.get(key, nothing).added_ms,
            seen_ms=told.get(key, nothing).seen_ms,
            grade=told.get(key, nothing).grade,
            measurement=told.get(key, nothing).measurement,
            member=key in chain.members,
            current=key == device.device_key.public,
        )
        for key in chain.members | chain.removed
    ]
    return sorted(found, key=lambda known: (not known.member, known.added_ms, known.device_key))


def find_device(devices: Sequence[KnownDevice], wanted: str) -> KnownDevice:
    """Find the one member that a name, or the beginning of a key in hexadecimal, means."""
    members = [known for known in devices if known.member]
    for matches in (
        [known for known in members if known.name.casefold() == wanted.casefold()],
        [known for known in members if len(wanted) >= 4 and known.device_key.hex().startswith(wanted.lower())],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise Misconfigured(
                f"{len(matches)} devices match",
                hint="use one of these: " + ", ".join(known.short_id for known in matches[:8]),
            )
    raise Misconfigured("no device matches", hint="`strongroom devices` lists them")


def revoke_device(store: StoreApi, device: Device, device_key: bytes) -> None:
    """Remove a device from the vault, and renew the account's keys, which it knows.

    The store answers none of its requests once this has returned, and what is written from then on it cannot read.
    """
    if device_key == device.device_key.public:
        raise Misconfigured("this is the device you are using", hint="revoke it from another one")
    for _ in range(_ATTEMPTS):
        sync_device(device, store)
        prove_device(store, device)
        chain = current_chain(device)
        if device_key in chain.removed:
            return
        if device_key not in chain.members:
            raise NotAuthorised("no such device belongs to the vault")
        try:
            remove_and_renew(store, device, device_key, chain)
        except HeadMoved:
            continue
        sync_device(device, store)
        return
    raise HeadMoved(f"other devices' entries were first {_ATTEMPTS} times", hint="try again later")
