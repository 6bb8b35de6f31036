"""The key hierarchy of an account (docs/spec/sealed-record.md section 3).

account root key → account signing key; account root key → vault key (vault, epoch) → record key (record id). Key
objects show nothing of themselves.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from strongroom.crypto.kdf import KEY_BYTES, derive
from strongroom.crypto.signatures import SigningKey

__all__ = [
    "FIRST_EPOCH",
    "RECORD_ID_BYTES",
    "VAULT_ID_BYTES",
    "AccountRootKey",
    "VaultKey",
    "new_record_id",
]

VAULT_ID_BYTES: Final = 16
RECORD_ID_BYTES: Final = 16
FIRST_EPOCH: Final = 1  # of the account's and of every vault's keys; a rotation counts up

_SIGNING_LABEL: Final = "strongroom account signing key v1"
_FIRST_VAULT_LABEL: Final = "strongroom first vault v1"
_VAULT_LABEL: Final = "strongroom vault key v1"
_RECORD_LABEL: Final = "strongroom record key v1"
_LOCAL_LABEL: Final = "strongroom local store key v1"


def new_record_id() -> bytes:
    """Draw the identifier of a new record; drawn on any device, none needs to ask for one."""
    return secrets.token_bytes(RECORD_ID_BYTES)


@dataclass(frozen=True, slots=True, repr=False)
class VaultKey:
    """The key of one vault in one epoch; it derives and never encrypts."""

    _key: bytes

    def record_key(self, record: bytes) -> bytes:
        """Derive the 32-byte key of one record.

        All versions of the record share it: each has a random nonce, in a mode that forgives a repeated one.
        """
        return derive(self._key, _RECORD_LABEL, record)


@dataclass(frozen=True, slots=True, repr=False)
class AccountRootKey:
    """The 32 random bytes from which every key of an account comes."""

    _key: bytes

    def __post_init__(self) -> None:
        if len(self._key) != KEY_BYTES:
            raise ValueError(f"an account root key has {KEY_BYTES} bytes")

    @classmethod
    def generate(cls) -> AccountRootKey:
        """Draw a new key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def secret(self) -> bytes:
        """The 32 bytes, for wrapping and for nothing else."""
        return self._key

    def signing_key(self, *, epoch: int = FIRST_EPOCH) -> SigningKey:
        """Derive the account signing key, which admits devices to the account's vaults."""
        return SigningKey.from_seed(derive(self._key, _SIGNING_LABEL, _number(epoch)))

    def first_vault(self) -> bytes:
        """Derive the identifier of the account's own vault (16 bytes).

        Derived and not drawn, so that a new device knows it before the store names it, and cannot be led to another.
        """
        return derive(self._key, _FIRST_VAULT_LABEL, length=VAULT_ID_BYTES)

    def vault_key(self, vault: bytes, *, epoch: int) -> VaultKey:
        """Derive the key of one vault in one epoch."""
        return VaultKey(derive(self._key, _VAULT_LABEL, vault, _number(epoch)))

    def local_store_key(self, device: bytes) -> bytes:
        """Derive the 32-byte key of one device's local store."""
        return derive(self._key, _LOCAL_LABEL, device)


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")
