"""The prime-order group ristretto255 (RFC 9496), by libsodium's constant-time code.

Elements and scalars are their 32-byte encodings, and the types say that an encoding was checked: an ``Element`` is
canonical and not the identity, a ``Scalar`` is canonical and not zero. Python cannot erase secrets from memory; what
this module does guarantee is that no multiplication takes a time that depends on one.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final, NewType

from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ELEMENT_BYTES",
    "SCALAR_BYTES",
    "Element",
    "InvalidEncoding",
    "Scalar",
    "decode_element",
    "decode_scalar",
    "expand_message_xmd",
    "hash_to_group",
    "hash_to_scalar",
    "invert",
    "multiply",
    "multiply_base",
    "random_scalar",
]

ELEMENT_BYTES: Final = 32
SCALAR_BYTES: Final = 32
_UNIFORM_BYTES: Final = 64  # what is mapped to an element or reduced to a scalar: RFC 9496 sections 4.3.4 and 4.4
_ZERO: Final = bytes(32)  # the encoding of the identity, and of the scalar zero

Element = NewType("Element", bytes)
"""A canonical encoding of an element other than the identity."""

Scalar = NewType("Scalar", bytes)
"""A canonical (little-endian, below the group's order) encoding of a scalar other than zero."""

# Loaded by their names and not through ctypes.util.find_library, which starts programs of its environment's choice.
_LIBRARIES: Final = (
    "libsodium.so.23",
    "libsodium.so.26",
    "libsodium.so",
    "libsodium.dylib",
    "/opt/homebrew/lib/libsodium.dylib",
    "/usr/local/lib/libsodium.dylib",
    "libsodium.dll",
)
_FUNCTIONS: Final[dict[str, int]] = {  # each with the number of its arguments, all of them pointers to bytes
    "crypto_core_ristretto255_is_valid_point": 1,
    "crypto_core_ristretto255_from_hash": 2,
    "crypto_core_ristretto255_scalar_reduce": 2,
    "crypto_core_ristretto255_scalar_invert": 2,
    "crypto_scalarmult_ristretto255": 3,
    "crypto_scalarmult_ristretto255_base": 2,
}


class InvalidEncoding(ValueError):
    """Bytes that encode no element or no scalar, or the one that is refused: the identity, zero."""


def decode_element(data: bytes) -> Element:
    """Check an element from outside: 32 bytes, canonical, on the curve, not the identity."""
    if len(data) != ELEMENT_BYTES or hmac.compare_digest(data, _ZERO):
        raise InvalidEncoding("not an element of ristretto255 other than the identity")
    if _sodium().crypto_core_ristretto255_is_valid_point(data) != 1:
        raise InvalidEncoding("not an element of ristretto255")
    return Element(data)


def decode_scalar(data: bytes) -> Scalar:
    """Check a stored private key: 32 bytes, below the group's order, not zero."""
    if len(data) != SCALAR_BYTES or not hmac.compare_digest(_reduce(data + bytes(32)), data):
        raise InvalidEncoding("not a canonical scalar of ristretto255")
    return _nonzero(data)


def multiply(scalar: Scalar, element: Element) -> Element:
    """Multiply an element; the result is never the identity, because the group's order is prime."""
    _require(scalar, element)
    out = ctypes.create_string_buffer(ELEMENT_BYTES)
    if _sodium().crypto_scalarmult_ristretto255(out, scalar, element) != 0:
        raise InvalidEncoding("not an element of ristretto255")
    return Element(out.raw)


def multiply_base(scalar: Scalar) -> Element:
    """Multiply the group's generator: the public key of a private key."""
    _require(scalar)
    out = ctypes.create_string_buffer(ELEMENT_BYTES)
    if _sodium().crypto_scalarmult_ristretto255_base(out, scalar) != 0:
        raise InvalidEncoding("not a scalar other than zero")
    return Element(out.raw)


def invert(scalar: Scalar) -> Scalar:
    """Give the multiplicative inverse of a scalar."""
    _require(scalar)
    out = ctypes.create_string_buffer(SCALAR_BYTES)
    if _sodium().crypto_core_ristretto255_scalar_invert(out, scalar) != 0:
        raise InvalidEncoding("not a scalar other than zero")
    return Scalar(out.raw)


def random_scalar(entropy: Callable[[int], bytes] = os.urandom) -> Scalar:
    """Draw a scalar other than zero: 64 bytes reduced, so that no value is noticeably likelier than another."""
    return _nonzero(_reduce(entropy(_UNIFORM_BYTES)))


def hash_to_group(data: bytes, domain: bytes) -> Element:
    """Hash to an element whose logarithm nobody knows (RFC 9380 appendix B, RFC 9496 section 4.3.4)."""
    uniform = expand_message_xmd(data, domain, _UNIFORM_BYTES)
    out = ctypes.create_string_buffer(ELEMENT_BYTES)
    _sodium().crypto_core_ristretto255_from_hash(out, uniform)
    return decode_element(out.raw)


def hash_to_scalar(data: bytes, domain: bytes) -> bytes:
    """Hash to a scalar (RFC 9497 section 4.1); may be zero, with a probability that never comes true."""
    return _reduce(expand_message_xmd(data, domain, _UNIFORM_BYTES))


def expand_message_xmd(data: bytes, domain: bytes, length: int) -> bytes:
    """Expand to ``length`` bytes with SHA-512 under a domain of 1 to 255 bytes (RFC 9380 section 5.3.1)."""
    count = -(-length // 64)
    if not 0 < len(domain) < 256 or not 0 < count < 256:
        raise ValueError("a domain has 1 to 255 bytes, an expansion at most 255 blocks")
    domain_prime = domain + bytes((len(domain),))
    first = hashlib.sha512(bytes(128) + data + length.to_bytes(2, "big") + b"\x00" + domain_prime).digest()
    block = hashlib.sha512(first + b"\x01" + domain_prime).digest()
    blocks = [block]
    for number in range(2, count + 1):
        mixed = bytes(left ^ right for left, right in zip(first, block, strict=True))
        block = hashlib.sha512(mixed + bytes((number,)) + domain_prime).digest()
        blocks.append(block)
    return b"".join(blocks)[:length]


def _reduce(uniform: bytes) -> bytes:
    if len(uniform) != _UNIFORM_BYTES:
        raise ValueError("64 bytes are reduced")
    out = ctypes.create_string_buffer(SCALAR_BYTES)
    _sodium().crypto_core_ristretto255_scalar_reduce(out, uniform)
    return out.raw


def _nonzero(scalar: bytes) -> Scalar:
    if hmac.compare_digest(scalar, _ZERO):
        raise InvalidEncoding("the scalar is zero")
    return Scalar(scalar)


def _require(*encodings: bytes) -> None:
    # the C functions read 32 bytes whatever they are given, so a shorter value must not get through to them
    if any(len(encoding) != 32 for encoding in encodings):
        raise InvalidEncoding("an encoding has 32 bytes")


@functools.cache
def _sodium() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        break
    else:
        raise _missing("libsodium is not installed")
    try:
        if library.sodium_init() < 0:
            raise _missing("libsodium does not start")
        for name, count in _FUNCTIONS.items():
            getattr(library, name).argtypes = (ctypes.c_char_p,) * count
    except AttributeError as cause:
        raise _missing("libsodium is too old or was built without ristretto255") from cause
    return library


def _missing(fact: str) -> Misconfigured:
    return Misconfigured(
        f"{fact}; logging in needs version 1.0.18 or newer",
        setting="libsodium",
        hint="Debian, Ubuntu: sudo apt-get install libsodium23; Fedora: sudo dnf install libsodium; "
        "macOS: brew install libsodium",
    )
