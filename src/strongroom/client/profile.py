"""A device's profile: whom it trusts and who it is. Nothing in it is secret by itself; altering it would matter.

It lies beside the encrypted local store, in a directory that only its owner can write.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from strongroom.base.errors import Malformed, Misconfigured
from strongroom.storage.files import make_private_directory, read_private_file, write_private_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Profile", "ProfileState", "Trust", "load_profile", "profile_exists", "save_profile"]

_FILE: Final = "profile.json"
_MAX_BYTES: Final = 64 * 1024


class ProfileState(StrEnum):
    """How far setting up this device got. A device that stopped half-way goes on from here."""

    REGISTERING = "registering"
    JOINING = "joining"
    READY = "ready"


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """On what terms this device talks to the store.

    ``deployment`` is the pinned SHA-256 of the deployment key. ``policy`` is the text of an appraisal policy, or
    ``None`` for the standing rule: exactly the code that is installed here, on an up-to-date platform.
    ``machines`` are the ids of the only machines that will do, none for any; ``notice_key`` signs distrust notices
    beside the deployment key; ``tenant`` is whose store it is within the deployment. They come from the invitation.
    """

    url: str
    deployment: bytes
    policy: str | None
    simulated_root: bytes | None
    machines: tuple[bytes, ...] = ()
    notice_key: bytes | None = None
    tenant: bytes | None = None
    attest_with: str | None = None


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One account on this device. ``wrapped_root_key`` opens with the password and the device's secret.

    ``device_name`` is what the account's other devices see this one called.
    """

    state: ProfileState
    username: str
    account_id: bytes
    vault_id: bytes
    device_key: bytes
    wrapped_root_key: bytes
    trust: Trust
    device_name: str = ""


def profile_exists(home: Path) -> bool:
    """Tell whether this device was set up, wholly or half."""
    return (home / _FILE).exists()


def save_profile(home: Path, profile: Profile) -> None:
    """Write the profile, whole or not at all."""
    make_private_directory(home)
    write_private_file(home / _FILE, msgspec.json.format(msgspec.json.encode(profile)))


def load_profile(home: Path) -> Profile:
    """Read the profile; ``Misconfigured`` when this device was not set up, ``Malformed`` when the file is damaged."""
    content = read_private_file(home / _FILE, max_bytes=_MAX_BYTES)
    if content is None:
        raise Misconfigured(
            "this device has not been set up", hint="run `strongroom register` or `strongroom login` first"
        )
    try:
        return msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, ValueError) as cause:
        raise Malformed(str(cause)[:200], path=_FILE) from None
