"""The oblivious pseudo-random function of RFC 9497, mode OPRF, suite ristretto255-SHA512.

The client learns the function of its input under the server's key. The server learns nothing about the input, and
the client nothing else about the key.
"""

from __future__ import annotations

import os
from typing import Final

from strongroom.crypto import ristretto255
from strongroom.crypto.opaque.suite import Entropy, framed, hashed
from strongroom.crypto.ristretto255 import Element, InvalidEncoding, Scalar

__all__ = ["MAX_INPUT_BYTES", "blind", "blind_evaluate", "derive_key_pair", "finalize"]

MAX_INPUT_BYTES: Final = 0xFFFF  # lengths are framed in two bytes

_CONTEXT: Final = b"OPRFV1-\x00-ristretto255-SHA512"  # section 3.1, mode 0
_HASH_TO_GROUP: Final = b"HashToGroup-" + _CONTEXT
_DERIVE_KEY_PAIR: Final = b"DeriveKeyPair" + _CONTEXT  # section 3.2.1 has no hyphen here


def blind(data: bytes, *, entropy: Entropy = os.urandom) -> tuple[Scalar, Element]:
    """Hide the input (section 3.3.1): the blind to keep, and the blinded element to send."""
    if len(data) > MAX_INPUT_BYTES:
        raise ValueError(f"an input has at most {MAX_INPUT_BYTES} bytes")
    scalar = ristretto255.random_scalar(entropy)
    return scalar, ristretto255.multiply(scalar, ristretto255.hash_to_group(data, _HASH_TO_GROUP))


def blind_evaluate(private_key: Scalar, blinded: Element) -> Element:
    """Evaluate without seeing the input (section 3.3.1)."""
    return ristretto255.multiply(private_key, blinded)


def finalize(data: bytes, scalar: Scalar, evaluated: Element) -> bytes:
    """Take the blind away and hash (section 3.3.1): the function's value, 64 bytes."""
    unblinded = ristretto255.multiply(ristretto255.invert(scalar), evaluated)
    return hashed(framed(data) + framed(unblinded) + b"Finalize")


def derive_key_pair(seed: bytes, info: bytes) -> tuple[Scalar, Element]:
    """Derive the private and the public key that a 32-byte seed determines (section 3.2.1)."""
    for counter in range(256):
        candidate = ristretto255.hash_to_scalar(seed + framed(info) + bytes((counter,)), _DERIVE_KEY_PAIR)
        try:
            private_key = ristretto255.decode_scalar(candidate)
        except InvalidEncoding:  # zero; the section asks for another turn
            continue
        return private_key, ristretto255.multiply_base(private_key)
    raise AssertionError("256 hashes in a row were zero")
