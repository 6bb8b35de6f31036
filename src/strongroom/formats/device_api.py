"""The part of the store's interface that is about devices: the list, requests for approval, approval, refusal.

Bodies as in ``formats.store_api``; docs/spec/enrolment.md says what they are for. Times are Unix milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from strongroom.crypto.hpke import PUBLIC_KEY_BYTES
from strongroom.formats.store_api import Body, DeviceName, EntryPair, Key32, Length, Small

__all__ = [
    "MAX_WAITING",
    "ApprovalState",
    "Approve",
    "AskForApproval",
    "AwaitApproval",
    "Awaited",
    "DemandEvidence",
    "DeviceList",
    "DeviceView",
    "Done",
    "Enrol",
    "Enrolled",
    "ListDevices",
    "RefuseDevice",
    "WaitingDevice",
]

MAX_WAITING = 4
"""Devices of one account that wait for approval at a time; a further one takes the place of the oldest."""

KemKey = Annotated[bytes, msgspec.Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]


class ApprovalState(StrEnum):
    """What has become of a request."""

    WAITING = "waiting"
    APPROVED = "approved"
    GONE = "gone"
    """Refused, forgotten after a day, or never made."""


class ListDevices(Body, frozen=True):
    """``POST /v1/devices/list``: nothing to say."""


class DeviceView(Body, frozen=True):
    """One device. ``name`` is what it calls itself; ``seen`` is coarse. ``grade`` is that of its last certificate."""

    device_key: Key32
    name: DeviceName
    added_ms: int
    seen_ms: int
    grade: str
    measurement: bytes
    removed: bool


class WaitingDevice(Body, frozen=True):
    """A device that waits: its key, the key to seal to, what it calls itself."""

    device_key: Key32
    kem_key: KemKey
    name: DeviceName
    asked_ms: int


class DeviceList(Body, frozen=True):
    """Its answer. Who belongs to the vault, the vault's log says; this adds names and times."""

    devices: list[DeviceView]
    waiting: list[WaitingDevice]


class AskForApproval(Body, frozen=True):
    """``POST /v1/devices/ask``: a device that the password let in asks the account's devices to admit it."""

    device_key: Key32
    kem_key: KemKey
    name: DeviceName = ""


class AwaitApproval(Body, frozen=True):
    """``POST /v1/devices/await``: has anybody decided?"""

    device_key: Key32


class Awaited(Body, frozen=True):
    """Its answer; ``sealed`` is the account secret, sealed to the key that the request named."""

    state: ApprovalState
    sealed: Small = b""


class Approve(Body, frozen=True):
    """``POST /v1/devices/approve``: hand over the sealed secret, and append the entry that admits the device.

    ``entries`` holds that entry, or none when the device is a member already.
    """

    device_key: Key32
    sealed: Small
    expected_length: Length
    expected_chain: Key32
    entries: Annotated[list[EntryPair], msgspec.Meta(max_length=1)]


class RefuseDevice(Body, frozen=True):
    """``POST /v1/devices/refuse``: forget a request."""

    device_key: Key32


class Enrol(Body, frozen=True):
    """``POST /v1/devices/enrol``: give this session's device a certificate."""


class Enrolled(Body, frozen=True):
    """Its answer: the signed certificate, the enrolment key (32 bytes), and whether new evidence went into it."""

    certificate: Small
    enrolment_key: Key32
    evidence_was_new: bool


class DemandEvidence(Body, frozen=True):
    """``POST /v1/devices/demand-evidence``: whether this account admits attested devices only."""

    attested: bool


class Done(Body, frozen=True):
    """An answer that says nothing more."""
