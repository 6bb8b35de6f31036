"""The suite: ristretto255-SHA512, HKDF-SHA512, HMAC-SHA512, SHA-512 (RFC 9807 section 7), sizes and functions.

Names of sizes are the RFC's: Nn for nonces, Npk and Nsk for the key exchange's keys, Nm for tags, Nh for hashes, Nx
for what is extracted, Nseed for the seeds of keys. All in bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.crypto import stretching

__all__ = [
    "CONTEXT",
    "ENVELOPE_BYTES",
    "NH",
    "NM",
    "NN",
    "NOE",
    "NOK",
    "NPK",
    "NSEED",
    "NX",
    "Entropy",
    "Identities",
    "KeyStretching",
    "WrongPassword",
    "argon2id",
    "expand",
    "extract",
    "framed",
    "hashed",
    "identity_for_test_vectors_only",
    "mac",
    "xor",
]

NN: Final = 32
NSEED: Final = 32
NPK: Final = 32
NOE: Final = 32  # an encoded element of the OPRF
NOK: Final = 32  # a seed of an OPRF key
NM: Final = 64
NH: Final = 64
NX: Final = 64
ENVELOPE_BYTES: Final = NN + NM

CONTEXT: Final = b"strongroom-v1"
"""What both sides mix into the transcript: a login made for another protocol or another version fails."""

_ZERO_SALT: Final = bytes(16)  # RFC 9807 section 7: the input is the OPRF's output, already unique to the account

Entropy = Callable[[int], bytes]
"""Draws that many random bytes. A parameter so that the RFC's vectors can be run; everybody else leaves it alone."""

KeyStretching = Callable[[bytes], bytes]
"""The RFC's KSF: makes one guess at a password expensive. Maps the OPRF's output to Nh bytes."""


class WrongPassword(Exception):
    """The two sides do not know the same password.

    Never says more: neither whether the account exists, nor whether the envelope or a tag was at fault.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Names that both sides bind the login to; a side without one is named by its public key (section 4)."""

    client: bytes | None = None
    server: bytes | None = None


def argon2id(cost: stretching.StretchProfile) -> KeyStretching:
    """Stretch with Argon2id at the cost of a named profile; 64 bytes out."""

    def stretch(oprf_output: bytes) -> bytes:
        return stretching.stretch(oprf_output, _ZERO_SALT, cost, length=NH)

    return stretch


def identity_for_test_vectors_only(oprf_output: bytes) -> bytes:
    """Stretch nothing. The RFC's vectors are made like this; an account made like this would be guessed."""
    return oprf_output


def hashed(data: bytes) -> bytes:
    """SHA-512."""
    return hashlib.sha512(data).digest()


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-512."""
    return hmac.digest(key, data, "sha512")


def extract(data: bytes) -> bytes:
    """HKDF-Extract with SHA-512 and an empty salt (RFC 5869 section 2.2)."""
    return hmac.digest(b"", data, "sha512")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-512 (RFC 5869 section 2.3)."""
    return HKDFExpand(hashes.SHA512(), length, info).derive(key)


def framed(data: bytes) -> bytes:
    """Precede data by its length in two bytes, big-endian."""
    return len(data).to_bytes(2, "big") + data


def xor(left: bytes, right: bytes) -> bytes:
    """Combine two strings of one length."""
    if len(left) != len(right):
        raise ValueError("strings of different lengths")
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
