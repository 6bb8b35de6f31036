"""Wrapping the account root key: for the store and for one device (docs/spec/sealed-record.md section 4).

The store's copy needs the password, through OPAQUE's export key, *and* the account secret, which the store never
sees. The device's copy needs the password, through Argon2id, *and* the device secret, which lies outside it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, NotAuthorised
from strongroom.base.fields import Fields
from strongroom.crypto.aead import OVERHEAD_BYTES, OpenFailed, open_sealed, seal
from strongroom.crypto.kdf import KEY_BYTES, derive
from strongroom.crypto.stretching import RFC_9106_LOW_MEMORY, StretchProfile, profile, stretch
from strongroom.records.keyring import MAX_GENERATIONS, Keyring
from strongroom.records.keys import AccountRootKey

if TYPE_CHECKING:
    from collections.abc import Collection

    from strongroom.records.account_secret import AccountSecret

__all__ = [
    "DEVICE_SECRET_BYTES",
    "EXPORT_KEY_BYTES",
    "new_device_secret",
    "unwrap_keyring",
    "unwrap_locally",
    "wrap_keyring",
    "wrap_locally",
]

EXPORT_KEY_BYTES: Final = 64  # Nh of OPAQUE with SHA-512 (RFC 9807 section 7)
DEVICE_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16  # RFC 9106 section 3.1
_MAX_WRAPPED_BYTES: Final = 512
_MAX_KEYRING_BYTES: Final = MAX_GENERATIONS * KEY_BYTES + 512
_SEALED_BYTES: Final = KEY_BYTES + OVERHEAD_BYTES
_ROOT_FORMAT: Final = "strongroom wrapped root key"
_LOCAL_FORMAT: Final = "strongroom local root key"
_VERSION: Final = 1


def wrap_keyring(keyring: Keyring, *, export_key: bytes, account_secret: AccountSecret, account: bytes) -> bytes:
    """Wrap the root keys for the store to keep.

    ``account`` is the account's identifier; it and the newest generation are bound to the result, so the store cannot
    hand out another account's or older keys.
    """
    header = _root_header(account, keyring.generation)
    sealed = seal(_root_wrapping_key(export_key, account_secret), keyring.secret, canonical.encode(header))
    return canonical.encode({"format": _ROOT_FORMAT, "version": _VERSION, "sealed": sealed})


def unwrap_keyring(
    wrapped: bytes, *, export_key: bytes, account_secret: AccountSecret, account: bytes, generation: int
) -> Keyring:
    """Unwrap what the store kept; ``Malformed``, or ``NotAuthorised`` when a secret, account or generation differs."""
    fields = Fields.decode(wrapped, path="wrapped root key", error=Malformed, max_bytes=_MAX_KEYRING_BYTES)
    fields.exactly("format", _ROOT_FORMAT)
    fields.exactly("version", _VERSION)
    sealed = fields.byte_string("sealed")
    fields.done()
    header = _root_header(account, generation)
    try:
        keys = open_sealed(_root_wrapping_key(export_key, account_secret), sealed, canonical.encode(header))
    except OpenFailed:
        raise NotAuthorised(
            "this account secret does not open the account's root key",
            hint="Use the account secret of this account's recovery kit.",
        ) from None
    if len(keys) != generation * KEY_BYTES:
        raise Malformed("the root keys are not as many as their generation", path="wrapped root key")
    return Keyring.from_secret(keys)


def new_device_secret() -> bytes:
    """Draw a device secret, to be kept apart from the local copy that it protects."""
    return secrets.token_bytes(DEVICE_SECRET_BYTES)


def wrap_locally(
    root: AccountRootKey, *, password: bytes, device_secret: bytes, account: bytes, cost: StretchProfile
) -> bytes:
    """Wrap the root key for unlocking this device without the store."""
    salt = secrets.token_bytes(_SALT_BYTES)
    header = _local_header(cost, salt)
    key = _local_wrapping_key(password, device_secret, salt, cost)
    sealed = seal(key, root.secret, canonical.encode({**header, "account": account}))
    return canonical.encode({**header, "sealed": sealed})


def unwrap_locally(
    wrapped: bytes,
    *,
    password: bytes,
    device_secret: bytes,
    account: bytes,
    accepted: Collection[StretchProfile] = (RFC_9106_LOW_MEMORY,),
) -> AccountRootKey:
    """Unwrap this device's copy; ``Malformed``, or ``NotAuthorised`` for a wrong password.

    Only ``accepted`` profiles are computed, so a changed file can neither choose a cheap one nor exhaust memory.
    """
    fields = Fields.decode(wrapped, path="local root key", error=Malformed, max_bytes=_MAX_WRAPPED_BYTES)
    fields.exactly("format", _LOCAL_FORMAT)
    fields.exactly("version", _VERSION)
    cost = profile(fields.text("profile", at_most=64))
    salt = fields.byte_string("salt", length=_SALT_BYTES)
    sealed = fields.byte_string("sealed", length=_SEALED_BYTES)
    fields.done()
    if cost is None or cost not in accepted:
        raise fields.fail("stretched with a profile that is not accepted here")
    header = _local_header(cost, salt)
    key = _local_wrapping_key(password, device_secret, salt, cost)
    try:
        return AccountRootKey(open_sealed(key, sealed, canonical.encode({**header, "account": account})))
    except OpenFailed:
        raise NotAuthorised("wrong password, or the local key belongs to another device") from None


def _root_header(account: bytes, generation: int) -> dict[str, object]:
    return {"format": _ROOT_FORMAT, "version": _VERSION, "account": account, "generation": generation}


def _root_wrapping_key(export_key: bytes, account_secret: AccountSecret) -> bytes:
    if len(export_key) != EXPORT_KEY_BYTES:
        raise ValueError(f"an export key has {EXPORT_KEY_BYTES} bytes")
    # both parts have a fixed length, so their concatenation is unambiguous
    return derive(export_key + account_secret.value, "strongroom root wrapping key v1")


def _local_header(cost: StretchProfile, salt: bytes) -> dict[str, object]:
    # the account is bound as associated data only: the file need not say whose it is
    return {"format": _LOCAL_FORMAT, "version": _VERSION, "profile": cost.name, "salt": salt}


def _local_wrapping_key(password: bytes, device_secret: bytes, salt: bytes, cost: StretchProfile) -> bytes:
    if len(device_secret) != DEVICE_SECRET_BYTES:
        raise ValueError(f"a device secret has {DEVICE_SECRET_BYTES} bytes")
    return derive(stretch(password, salt, cost) + device_secret, "strongroom local wrapping key v1")
