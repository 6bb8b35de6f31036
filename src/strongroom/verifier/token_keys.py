"""Keys for attestation results: who signs them, and whom a relying party has pinned.

The algorithm belongs to the key and to nothing that a token says, so that no token chooses how it is verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from strongroom.crypto import ecdsa, eddsa
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.eddsa import EddsaPrivateKey

__all__ = ["Algorithm", "IssuerKey", "PinnedKey"]


class Algorithm(Enum):
    """The two algorithms by their names in JOSE and numbers in COSE (RFC 7518, 8037, 9053)."""

    ES256 = ("ES256", -7)
    EDDSA = ("EdDSA", -8)

    @property
    def jose(self) -> str:
        """The value of ``alg`` in a JWS header."""
        return self.value[0]

    @property
    def cose(self) -> int:
        """The value of parameter 1 in a COSE header."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedKey:
    """A public key that a relying party trusts to sign attestation results.

    ``public`` is the point of P-256 (x and y, 64 bytes) for ES256, 32 bytes of Ed25519 for EdDSA; ``ValueError`` when
    it is no such key.
    """

    algorithm: Algorithm
    public: bytes

    def __post_init__(self) -> None:
        if self.algorithm is Algorithm.ES256:
            good = ecdsa.public_key(self.public) is not None
        else:
            good = len(self.public) == eddsa.PUBLIC_KEY_BYTES
        if not good:
            raise ValueError(f"not a public key for {self.algorithm.jose}")

    def to_text(self) -> str:
        """Write the key for a settings file: ``EdDSA:`` or ``ES256:`` and hexadecimal."""
        return f"{self.algorithm.jose}:{self.public.hex()}"

    @classmethod
    def from_text(cls, text: str) -> PinnedKey:
        """Read what ``to_text`` wrote; ``ValueError`` for anything else."""
        name, _, digits = text.partition(":")
        for algorithm in Algorithm:
            if algorithm.jose == name:
                return cls(algorithm=algorithm, public=bytes.fromhex(digits))
        raise ValueError("not ES256: or EdDSA: and a public key in hexadecimal")

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Tell whether a 64-byte signature is this key's over a message."""
        if self.algorithm is Algorithm.EDDSA:
            return eddsa.verify_raw(self.public, message, signature)
        key = ecdsa.public_key(self.public)
        return key is not None and ecdsa.verify_raw(key, message, signature)


@dataclass(frozen=True, slots=True, repr=False)
class IssuerKey:
    """The private key of whoever issues attestation results; it signs nothing else."""

    private: EcdsaPrivateKey | EddsaPrivateKey

    @classmethod
    def from_pem(cls, pem: bytes) -> IssuerKey:
        """Read an unencrypted PKCS #8 key of P-256 or Ed25519; ``ValueError`` for any other."""
        try:
            return cls(EddsaPrivateKey.from_pem(pem))
        except ValueError:
            return cls(EcdsaPrivateKey.from_pem(pem))

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm of this kind of key."""
        return Algorithm.ES256 if isinstance(self.private, EcdsaPrivateKey) else Algorithm.EDDSA

    @property
    def pinned(self) -> PinnedKey:
        """What a relying party pins."""
        public = self.private.point if isinstance(self.private, EcdsaPrivateKey) else self.private.public
        return PinnedKey(algorithm=self.algorithm, public=public)

    def sign(self, message: bytes) -> bytes:
        """Sign; 64 bytes."""
        return self.private.sign_raw(message)
