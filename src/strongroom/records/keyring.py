"""The account's root keys, one for each generation (docs/spec/sealed-record.md section 3.2).

A new generation begins when a device is removed: that device knows the keys before, and no others. What was written
under an older generation is still read with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.crypto.kdf import KEY_BYTES
from strongroom.records.keys import AccountRootKey

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey
    from strongroom.records.keys import VaultKey

__all__ = ["MAX_GENERATIONS", "Keyring"]

MAX_GENERATIONS: Final = 1_001  # one for each device that a vault can remove in its life, and the first


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """Root keys by generation, from 1 on; the epoch of a vault's keys is the generation that they come from."""

    roots: tuple[AccountRootKey, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.roots) <= MAX_GENERATIONS:
            raise ValueError(f"a keyring holds 1 to {MAX_GENERATIONS} keys")

    @classmethod
    def generate(cls) -> Keyring:
        """Draw the first key of a new account."""
        return cls((AccountRootKey.generate(),))

    @classmethod
    def from_secret(cls, secret: bytes) -> Keyring:
        """Read what ``secret`` gives; ``ValueError`` for anything else."""
        if len(secret) % KEY_BYTES:
            raise ValueError("a keyring is cut short")
        return cls(
            tuple(AccountRootKey(secret[start : start + KEY_BYTES]) for start in range(0, len(secret), KEY_BYTES))
        )

    @property
    def secret(self) -> bytes:
        """All keys, 32 bytes each, the first generation's first; for wrapping and for nothing else."""
        return b"".join(root.secret for root in self.roots)

    @property
    def generation(self) -> int:
        """The newest generation, which is written under."""
        return len(self.roots)

    @property
    def first(self) -> AccountRootKey:
        """The first key, from which the account's own vault and this device's local store have their names and keys."""
        return self.roots[0]

    def renewed(self) -> Keyring:
        """Give this keyring with a new generation drawn."""
        return Keyring((*self.roots, AccountRootKey.generate()))

    def extends(self, other: Keyring) -> bool:
        """Tell whether this keyring has what ``other`` has, and possibly newer keys."""
        return self.roots[: other.generation] == other.roots

    def signing_key(self, generation: int | None = None) -> SigningKey:
        """Derive the account signing key of a generation, the newest by default."""
        number = generation or self.generation
        return self.roots[number - 1].signing_key(epoch=number)

    def vault_key(self, vault: bytes, *, epoch: int) -> VaultKey:
        """Derive a vault's key in an epoch; ``KeyError`` for one that this keyring does not reach."""
        if not 0 < epoch <= self.generation:
            raise KeyError(epoch)
        return self.roots[epoch - 1].vault_key(vault, epoch=epoch)
