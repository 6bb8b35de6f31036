"""The account secret: 128 random bits that exist on the person's devices and in the printed recovery kit.

Its text is ``SR1-`` and six groups of five characters in Crockford's base 32: 128 bits of secret and 22 bits of
checksum. Reading it forgives lower case, spaces, missing hyphens, and O, I and L for 0, 1 and 1.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from strongroom.base.errors import Malformed
from strongroom.crypto.hashing import labelled_hash

__all__ = ["ACCOUNT_SECRET_BYTES", "AccountSecret"]

ACCOUNT_SECRET_BYTES: Final = 16
_PREFIX: Final = "SR1"
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_FORGIVEN: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": "", "\t": "", "\n": "", "\r": ""})
_CHARACTERS: Final = 30
_GROUP: Final = 5
_CHECKSUM_BITS: Final = 22  # a mistyped secret passes once in four million times
_LABEL: Final = "strongroom account secret v1"
_PATH: Final = "account secret"
_HINT: Final = "Compare it with the recovery kit, character by character."
_LONGEST_TEXT: Final = 256  # characters; more is not a secret with spaces in it


@dataclass(frozen=True, slots=True, repr=False)
class AccountSecret:
    """128 bits that are needed beside the password. It has no representation."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != ACCOUNT_SECRET_BYTES:
            raise ValueError(f"an account secret has {ACCOUNT_SECRET_BYTES} bytes")

    @classmethod
    def generate(cls) -> AccountSecret:
        """Draw a new secret."""
        return cls(secrets.token_bytes(ACCOUNT_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> AccountSecret:
        """Read what a person typed, or raise ``Malformed`` that says what is wrong and shows none of it."""
        if len(text) > _LONGEST_TEXT:
            raise Malformed("far too long", path=_PATH, hint=_HINT)
        plain = text.upper().translate(_FORGIVEN)
        if not plain.startswith(_PREFIX):
            raise Malformed(f"does not begin with {_PREFIX}", path=_PATH, hint=_HINT)
        characters = plain.removeprefix(_PREFIX)
        if len(characters) != _CHARACTERS:
            raise Malformed(
                f"{len(characters)} characters after {_PREFIX}, {_CHARACTERS} are needed", path=_PATH, hint=_HINT
            )
        number = 0
        for position, character in enumerate(characters):
            digit = _ALPHABET.find(character)
            if digit < 0:
                group = position // _GROUP + 1
                raise Malformed(f"a character of group {group} is never used", path=_PATH, hint=_HINT)
            number = number << 5 | digit
        secret = cls((number >> _CHECKSUM_BITS).to_bytes(ACCOUNT_SECRET_BYTES, "big"))
        if secret._checksum() != number & (1 << _CHECKSUM_BITS) - 1:
            raise Malformed("the checksum is wrong: a character was mistyped", path=_PATH, hint=_HINT)
        return secret

    def text(self) -> str:
        """Write the secret for a person: ``SR1-`` and six groups of five characters."""
        number = int.from_bytes(self.value, "big") << _CHECKSUM_BITS | self._checksum()
        characters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_CHARACTERS)))
        groups = [characters[start : start + _GROUP] for start in range(0, _CHARACTERS, _GROUP)]
        return "-".join((_PREFIX, *groups))

    def _checksum(self) -> int:
        digest = labelled_hash(_LABEL, self.value)
        return int.from_bytes(digest[:3], "big") >> 24 - _CHECKSUM_BITS
