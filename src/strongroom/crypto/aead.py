"""Authenticated encryption: AES-256-GCM under a counter, AES-256-GCM-SIV where a nonce is drawn at random."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV

__all__ = ["OVERHEAD_BYTES", "CounterBox", "OpenFailed", "open_sealed", "seal"]

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES  # what ``seal`` adds to a plaintext


class OpenFailed(Exception):  # a fact for the caller to turn into its own family, never shown to people
    """The box was not made with this key for this place."""


def seal(key: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Seal under a 32-byte key that seals many values: AES-256-GCM-SIV (RFC 8452), nonce first.

    The nonce is random. Should two ever be equal under one key, this mode shows at most that two plaintexts are
    the same; GCM would give up its authentication key.
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCMSIV(key).encrypt(nonce, plaintext, associated_data)


def open_sealed(key: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    """Open what ``seal`` made, or raise ``OpenFailed``."""
    if len(sealed) < OVERHEAD_BYTES:
        raise OpenFailed
    try:
        return AESGCMSIV(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated_data)
    except InvalidTag:
        raise OpenFailed from None


class CounterBox:
    """AES-256-GCM (NIST SP 800-38D) for one direction of one channel.

    The nonce is the message's number. That is safe only because the key lives for one channel and one direction
    and the owner of the box never uses a number twice; nothing else may use this class.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, number: int, plaintext: bytes, associated_data: bytes) -> bytes:
        """Seal message ``number`` (0 to 2^64 - 1)."""
        return self._cipher.encrypt(number.to_bytes(NONCE_BYTES, "big"), plaintext, associated_data)

    def open(self, number: int, sealed: bytes, associated_data: bytes) -> bytes:
        """Open message ``number``, or raise ``OpenFailed``."""
        try:
            return self._cipher.decrypt(number.to_bytes(NONCE_BYTES, "big"), sealed, associated_data)
        except InvalidTag:
            raise OpenFailed from None
