"""The store's keys: everything from one root key, by epoch, site, tenant and purpose (docs/keys.md).

The epoch is in every derivation, so that the root can be rotated; site and tenant are, so that a site or a customer
can be given its own branch and nothing above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.crypto.kdf import derive, keyed_hash
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.store_api import TENANT_BYTES

__all__ = ["DEFAULT_TENANT", "StoreKeys", "TenantSecret"]

DEFAULT_TENANT: Final = bytes(TENANT_BYTES)
"""The tenant of whoever names none."""

_DEFAULT_SITE: Final = b"default"
_DEFAULT_BRANCH: Final = (b"default",)


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class TenantSecret:
    """What a tenant's keys depend on beside the root: its id (16 bytes) and 32 bytes that are forgotten with it."""

    tenant: bytes
    secret: bytes


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class StoreKeys:
    """One tenant's keys at one site in one epoch. No representation."""

    identifiers: bytes
    sealing: bytes
    opaque: bytes
    head: SigningKey
    enrolment: SigningKey

    @classmethod
    def derive(cls, root: bytes, epoch: int, tenant: TenantSecret | None = None) -> StoreKeys:
        """Derive from a 32-byte root key, for the default tenant or for another.

        The head key is one for all tenants, since evidence names one; see ``store.vaults.VaultNames``.
        """
        site = derive(root, "strongroom v1 site", epoch.to_bytes(8, "big"), _DEFAULT_SITE)
        context = _DEFAULT_BRANCH if tenant is None else (tenant.tenant, tenant.secret)
        branch = derive(site, "strongroom v1 tenant", *context)
        default = derive(site, "strongroom v1 tenant", *_DEFAULT_BRANCH)
        return cls(
            identifiers=derive(branch, "strongroom v1 identifiers"),
            sealing=derive(branch, "strongroom v1 sealing"),
            opaque=derive(branch, "strongroom v1 opaque"),
            head=SigningKey.from_seed(derive(default, "strongroom v1 head")),
            enrolment=SigningKey.from_seed(derive(branch, "strongroom v1 enrolment")),
        )

    def identifier(self, kind: str, *parts: bytes) -> bytes:
        """Hide an identifier from the database: a keyed hash, 32 bytes."""
        return keyed_hash(self.identifiers, kind, *parts)
