"""Shamir's secret sharing in the form of SLIP-0039, for one group: ``threshold`` of ``count`` shares give the secret.

Each share is a line of words with a checksum (https://github.com/satoshilabs/slips/blob/master/slip-0039.md, from which
the list of words is taken). Arithmetic in GF(256) runs without tables that a secret would index.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MAX_SHARES", "Share", "SharesDoNotFit", "combine", "split"]

MAX_SHARES: Final = 16
_RADIX_BITS: Final = 10
_CHECKSUM_WORDS: Final = 3
_HEAD_WORDS: Final = 4
_LEAST_WORDS: Final = 20
_MOST_WORDS: Final = 64
_DIGEST_BYTES: Final = 4
_SECRET_INDEX, _DIGEST_INDEX = 255, 254
_BASE_ITERATIONS: Final = 10_000
_ROUNDS: Final = 4
_GENERATOR: Final = (
    0xE0E040,
    0x1C1C080,
    0x3838100,
    0x7070200,
    0xE0E0009,
    0x1C0C2412,
    0x38086C24,
    0x3090FC48,
    0x21B1F890,
    0x3F3F120,
)


class SharesDoNotFit(Malformed):
    """Shares of different secrets, too few or too many, one of them twice, or altered."""

    code = "shares-do-not-fit"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Share:
    """One share. ``identifier`` (15 bits) is the same in all shares of a secret; no representation."""

    identifier: int
    extendable: bool
    iteration_exponent: int
    group_index: int
    group_threshold: int
    group_count: int
    index: int
    threshold: int
    value: bytes

    def to_words(self) -> str:
        """Write the share as words."""
        head = (self.identifier << 1 | self.extendable) << 4 | self.iteration_exponent
        parameters = 0
        for part in (
            self.group_index,
            self.group_threshold - 1,
            self.group_count - 1,
            self.index,
            self.threshold - 1,
        ):
            parameters = parameters << 4 | part
        length = -(-len(self.value) * 8 // _RADIX_BITS)
        digits = [*_digits(head, 2), *_digits(parameters, 2), *_digits(int.from_bytes(self.value, "big"), length)]
        check = _polymod([*_customisation(self.extendable), *digits, 0, 0, 0]) ^ 1
        return " ".join(_words()[digit] for digit in (*digits, *_digits(check, _CHECKSUM_WORDS)))

    @classmethod
    def from_words(cls, text: str) -> Share:
        """Read words, or raise ``SharesDoNotFit``: unknown words, a wrong length or checksum."""
        words = text.lower().split()
        if not _LEAST_WORDS <= len(words) <= _MOST_WORDS:
            raise _unfit(f"a share has {_LEAST_WORDS} to {_MOST_WORDS} words")
        try:
            digits = [_numbers()[word] for word in words]
        except KeyError:
            raise _unfit("a word is not of the list") from None
        head = _number(digits[:2])
        extendable = bool(head >> 4 & 1)
        if _polymod([*_customisation(extendable), *digits]) != 1:
            raise _unfit("the checksum of a share does not hold")
        parts = _number(digits[2:_HEAD_WORDS])
        content = digits[_HEAD_WORDS:-_CHECKSUM_WORDS]
        padding = len(content) * _RADIX_BITS % 16
        value, size = _number(content), (len(content) * _RADIX_BITS - padding) // 8
        if padding > 8 or value >> (size * 8):
            raise _unfit("the padding of a share is wrong")
        return cls(
            identifier=head >> 5,
            extendable=extendable,
            iteration_exponent=head & 15,
            group_index=parts >> 16,
            group_threshold=(parts >> 12 & 15) + 1,
            group_count=(parts >> 8 & 15) + 1,
            index=parts >> 4 & 15,
            threshold=(parts & 15) + 1,
            value=value.to_bytes(size, "big"),
        )


def split(secret: bytes, *, threshold: int, count: int) -> list[Share]:
    """Split a secret (an even number of bytes, at least 16) so that any ``threshold`` (2 to 16) shares give it."""
    if not 2 <= threshold <= count <= MAX_SHARES or len(secret) < 16 or len(secret) % 2:
        raise ValueError("2 to 16 shares of a secret of at least 16 bytes, an even number")
    identifier = int.from_bytes(os.urandom(2), "big") >> 1
    sealed = _encrypted(secret, b"", exponent=0, salt=b"")
    random_part = os.urandom(len(sealed) - _DIGEST_BYTES)
    points = [(index, os.urandom(len(sealed))) for index in range(threshold - 2)]
    base = [*points, (_DIGEST_INDEX, _digest(random_part, sealed) + random_part), (_SECRET_INDEX, sealed)]
    points += [(index, _interpolated(base, index)) for index in range(threshold - 2, count)]
    return [
        Share(
            identifier=identifier,
            extendable=True,
            iteration_exponent=0,
            group_index=0,
            group_threshold=1,
            group_count=1,
            index=index,
            threshold=threshold,
            value=value,
        )
        for index, value in points
    ]


def combine(shares: Iterable[Share], *, passphrase: bytes = b"") -> bytes:
    """Give the secret of exactly as many shares as are needed, or raise ``SharesDoNotFit``."""
    given = list(shares)
    if not given:
        raise _unfit("no share was given")
    first = given[0]
    if any(_common(share) != _common(first) for share in given):
        raise _unfit("the shares are of different secrets")
    if first.group_count != 1 or first.group_threshold != 1:
        raise _unfit("the shares are of several groups, which is not supported")
    if len({share.index for share in given}) != len(given):
        raise _unfit("one share was given twice")
    if len(given) != first.threshold:
        raise _unfit(f"{len(given)} shares were given, and exactly {first.threshold} are needed")
    points = [(share.index, share.value) for share in given]
    sealed = points[0][1]
    if first.threshold > 1:
        sealed, check = _interpolated(points, _SECRET_INDEX), _interpolated(points, _DIGEST_INDEX)
        if not hmac.compare_digest(check[:_DIGEST_BYTES], _digest(check[_DIGEST_BYTES:], sealed)):
            raise _unfit("the shares do not belong together")
    salt = b"" if first.extendable else b"shamir" + first.identifier.to_bytes(2, "big")
    return _decrypted(sealed, passphrase, exponent=first.iteration_exponent, salt=salt)


def _common(share: Share) -> tuple[int, ...]:
    return (
        share.identifier,
        share.extendable,
        share.iteration_exponent,
        share.group_index,
        share.group_threshold,
        share.group_count,
        share.threshold,
        len(share.value),
    )


def _multiplied(left: int, right: int) -> int:
    """Multiply in GF(256) modulo x^8 + x^4 + x^3 + x + 1: eight steps, whatever the factors are."""
    product = 0
    for bit in range(8):
        product ^= -(right >> bit & 1) & left
        left = (left << 1) ^ (-(left >> 7) & 0x11B)
    return product


def _inverse(value: int) -> int:
    """Give value^254, which is the inverse of all but 0. Only indices of shares come here, and they are no secret."""
    result = 1
    for _ in range(254):
        result = _multiplied(result, value)
    return result


def _interpolated(points: Sequence[tuple[int, bytes]], at: int) -> bytes:
    """Give the polynomial's value at ``at``, byte by byte (Lagrange)."""
    for index, value in points:
        if index == at:
            return value
    result = bytearray(len(points[0][1]))
    for index, value in points:
        factor = 1
        for other, _ in points:
            if other != index:
                factor = _multiplied(factor, _multiplied(other ^ at, _inverse(other ^ index)))
        for place, byte in enumerate(value):
            result[place] ^= _multiplied(byte, factor)
    return bytes(result)


def _digest(random_part: bytes, secret: bytes) -> bytes:
    return hmac.new(random_part, secret, hashlib.sha256).digest()[:_DIGEST_BYTES]


def _encrypted(secret: bytes, passphrase: bytes, *, exponent: int, salt: bytes) -> bytes:
    half = len(secret) // 2
    left, right = secret[:half], secret[half:]
    for number in range(_ROUNDS):
        left, right = right, _xor(left, _round(number, passphrase, exponent, salt, right))
    return right + left


def _decrypted(sealed: bytes, passphrase: bytes, *, exponent: int, salt: bytes) -> bytes:
    half = len(sealed) // 2
    left, right = sealed[:half], sealed[half:]
    for number in reversed(range(_ROUNDS)):
        left, right = right, _xor(left, _round(number, passphrase, exponent, salt, right))
    return right + left


def _round(number: int, passphrase: bytes, exponent: int, salt: bytes, half: bytes) -> bytes:
    iterations = (_BASE_ITERATIONS << exponent) // _ROUNDS
    return hashlib.pbkdf2_hmac("sha256", bytes([number]) + passphrase, salt + half, iterations, dklen=len(half))


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 20
        check = (check & 0xFFFFF) << 10 ^ value
        for bit, term in enumerate(_GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return check


def _customisation(extendable: bool) -> bytes:
    return b"shamir_extendable" if extendable else b"shamir"


def _digits(value: int, length: int) -> list[int]:
    return [value >> _RADIX_BITS * place & 1023 for place in reversed(range(length))]


def _number(digits: Iterable[int]) -> int:
    value = 0
    for digit in digits:
        value = value << _RADIX_BITS | digit
    return value


@cache
def _words() -> tuple[str, ...]:
    return tuple(files("strongroom.crypto").joinpath("slip39_words.txt").read_text("ascii").split())


@cache
def _numbers() -> dict[str, int]:
    return {word: number for number, word in enumerate(_words())}


def _unfit(rule: str) -> SharesDoNotFit:
    return SharesDoNotFit(rule, path="shares")
