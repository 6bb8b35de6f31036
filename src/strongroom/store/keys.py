"""The store's keys: everything from one root key, by epoch, site, tenant and purpose (docs/keys.md).

The epoch is in every derivation, so that the root can be rotated; site and tenant are, so that a site or a customer
can be given its own branch and nothing above it.
"""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.crypto.kdf import derive, keyed_hash
from strongroom.crypto.signatures import SigningKey

__all__ = ["StoreKeys"]

_DEFAULT_SITE = b"default"
_DEFAULT_TENANT = b"default"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class StoreKeys:
    """One tenant's keys at one site in one epoch. No representation."""

    identifiers: bytes
    sealing: bytes
    opaque: bytes
    head: SigningKey

    @classmethod
    def derive(cls, root: bytes, epoch: int) -> StoreKeys:
        """Derive from a 32-byte root key."""
        site = derive(root, "strongroom v1 site", epoch.to_bytes(8, "big"), _DEFAULT_SITE)
        tenant = derive(site, "strongroom v1 tenant", _DEFAULT_TENANT)
        return cls(
            identifiers=derive(tenant, "strongroom v1 identifiers"),
            sealing=derive(tenant, "strongroom v1 sealing"),
            opaque=derive(tenant, "strongroom v1 opaque"),
            head=SigningKey.from_seed(derive(tenant, "strongroom v1 head")),
        )

    def identifier(self, kind: str, *parts: bytes) -> bytes:
        """Hide an identifier from the database: a keyed hash, 32 bytes."""
        return keyed_hash(self.identifiers, kind, *parts)
