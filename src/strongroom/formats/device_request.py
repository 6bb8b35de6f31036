"""A new device's request to be admitted, and the code by which a person recognises it (docs/spec/enrolment.md 3).

The code is shown on the new device and typed on an old one. It commits to all that the old one is about to trust, so
that whoever is in between, the store included, cannot put keys of his own in the new device's place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.crypto.hashing import labelled_hash

__all__ = ["ApprovalRequest", "read_code"]

_LABEL: Final = "strongroom v1 device approval"
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_FORGIVEN: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})
_CHARACTERS: Final = 20  # 100 bits: nobody finds other keys of the same code
_GROUP: Final = 4
_PATH: Final = "approval code"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """Which account (16 bytes) and vault (16) a device (key of 32 bytes) wants to belong to, and where to seal to."""

    account_id: bytes
    vault_id: bytes
    device_key: bytes
    kem_key: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 over all of it: what the code is cut from."""
        return labelled_hash(_LABEL, self.account_id, self.vault_id, self.device_key, self.kem_key)

    @property
    def code(self) -> str:
        """The code for people: five groups of four characters."""
        number = int.from_bytes(self.digest, "big") >> 256 - 5 * _CHARACTERS
        characters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_CHARACTERS)))
        return "-".join(characters[start : start + _GROUP] for start in range(0, _CHARACTERS, _GROUP))

    @property
    def info(self) -> bytes:
        """What the sealing of the account secret is bound to (HPKE's info)."""
        return canonical.encode([_LABEL, self.digest])


def read_code(text: str) -> str:
    """Read a code that a person typed, forgiving case, hyphens, spaces and O, I, L; ``Malformed`` for anything else."""
    plain = text.strip().upper().translate(_FORGIVEN) if len(text) <= 64 else ""
    if len(plain) != _CHARACTERS or set(plain) - set(_ALPHABET):
        raise Malformed(f"not {_CHARACTERS} characters of a code", path=_PATH, hint="type what the new device shows")
    return "-".join(plain[start : start + _GROUP] for start in range(0, _CHARACTERS, _GROUP))
