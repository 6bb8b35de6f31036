"""Tenants: customers who share a deployment and nothing else (docs/spec/tenants.md).

Each has a branch of keys, a state, quotas and a policy of its own, kept in one sealed row. The row holds a secret on
which all of the tenant's keys depend, so that the tenant's last row to go takes with it what opens all the others.
Who names no tenant is the default tenant's, which is always there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Conflict, Malformed, MalformedMessage, StorageUnavailable, TenantUnknown
from strongroom.base.fields import Fields
from strongroom.crypto.kdf import KEY_BYTES
from strongroom.formats.store_api import TENANT_BYTES
from strongroom.store.keys import DEFAULT_TENANT, TenantSecret
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = [
    "MAX_NAME",
    "MAX_TENANTS",
    "UNLIMITED",
    "Quota",
    "Registration",
    "Tenant",
    "TenantPolicy",
    "TenantState",
    "Tenants",
]

MAX_TENANTS: Final = 4096
"""In one deployment: the directory is one row."""

MAX_NAME: Final = 64
UNLIMITED: Final = None
_MAX_ROW_BYTES: Final = 8192
_MAX_DIRECTORY_BYTES: Final = MAX_TENANTS * (TENANT_BYTES + 8) + 64
_MAX_APPROVALS: Final = 64


class TenantState(StrEnum):
    """Forward and back between the first two; from ``deleting`` there is no way back."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"


class Registration(StrEnum):
    """Who may open an account: whoever has the tenant's invitation, or nobody."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a tenant may use; ``None`` is unlimited. ``requests`` are per calendar month (UTC), ``bytes`` of entries."""

    accounts: int | None = UNLIMITED
    vaults: int | None = UNLIMITED
    bytes: int | None = UNLIMITED
    requests: int | None = UNLIMITED


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicy:
    """What a tenant demands of its people."""

    registration: Registration = Registration.OPEN
    second_factor_required: bool = False


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Tenant:
    """One tenant. ``version`` is its row's; ``approvals`` are the administrators who want it deleted."""

    tenant_id: bytes
    name: str
    created_ms: int
    state: TenantState = TenantState.ACTIVE
    quota: Quota = field(default_factory=Quota)
    policy: TenantPolicy = field(default_factory=TenantPolicy)
    approvals: tuple[bytes, ...] = ()
    secret: bytes = b""
    version: int = 0

    @property
    def is_default(self) -> bool:
        """Whether this is the tenant of whoever names none."""
        return self.tenant_id == DEFAULT_TENANT

    @property
    def branch_secret(self) -> TenantSecret:
        """What its keys depend on."""
        return TenantSecret(tenant=self.tenant_id, secret=self.secret)


class Tenants:
    """The directory of tenants. Every method works within a transaction of the caller's."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys
        self._directory_key = keys.identifier("tenant directory")

    def create(
        self, transaction: WriteTransaction, *, name: str, quota: Quota, policy: TenantPolicy, at_ms: int
    ) -> Tenant:
        """Add a tenant; ``Conflict`` when the name is taken or the directory is full."""
        _check_name(name)
        if any(tenant.name == name for tenant in self.walk(transaction)):
            raise Conflict("a tenant of this name exists")
        tenant = Tenant(
            tenant_id=os.urandom(TENANT_BYTES),
            name=name,
            created_ms=at_ms,
            quota=quota,
            policy=policy,
            secret=os.urandom(KEY_BYTES),
            version=1,
        )
        version, known = self._directory(transaction)
        if len(known) >= MAX_TENANTS:
            raise Conflict(f"a deployment has at most {MAX_TENANTS} tenants")
        self._rows.insert(transaction, Table.DEPLOYMENT, self._key(tenant.tenant_id), _encode(tenant))
        self._save_directory(transaction, version, (*known, tenant.tenant_id))
        return tenant

    def get(self, transaction: ReadTransaction, tenant_id: bytes) -> Tenant:
        """Give a tenant, or raise ``TenantUnknown``. The default tenant needs no row."""
        row = self._rows.get(transaction, Table.DEPLOYMENT, self._key(tenant_id))
        if row is None:
            if tenant_id == DEFAULT_TENANT:
                return Tenant(tenant_id=DEFAULT_TENANT, name="default", created_ms=0)
            raise TenantUnknown("this deployment has no such tenant", hint="ask for a new invitation")
        return _decode(row.value, row.version)

    def replace(self, transaction: WriteTransaction, tenant: Tenant) -> Tenant:
        """Keep a changed tenant; ``Conflict`` when somebody else changed it meanwhile."""
        key = self._key(tenant.tenant_id)
        if tenant.version == 0:
            self._rows.insert(transaction, Table.DEPLOYMENT, key, _encode(tenant))
        else:
            self._rows.replace(
                transaction, Table.DEPLOYMENT, key, expected_version=tenant.version, value=_encode(tenant)
            )
        return replace(tenant, version=tenant.version + 1)

    def walk(self, transaction: ReadTransaction) -> list[Tenant]:
        """Give every tenant, the default one first, the others in the order of their making."""
        _, known = self._directory(transaction)
        rows = self._rows.get_each(transaction, Table.DEPLOYMENT, [self._key(tenant_id) for tenant_id in known])
        return [self.get(transaction, DEFAULT_TENANT), *(_decode(row.value, row.version) for row in rows)]

    def remove(self, transaction: WriteTransaction, tenant: Tenant) -> None:
        """Take a tenant out, and with its row the secret that all of its keys need."""
        version, known = self._directory(transaction)
        transaction.delete(Table.DEPLOYMENT, self._key(tenant.tenant_id), expected_version=tenant.version)
        self._save_directory(transaction, version, tuple(item for item in known if item != tenant.tenant_id))

    def _directory(self, transaction: ReadTransaction) -> tuple[int, tuple[bytes, ...]]:
        row = self._rows.get(transaction, Table.DEPLOYMENT, self._directory_key)
        if row is None:
            return 0, ()
        try:
            fields = Fields.decode(row.value, path="tenant directory", error=Malformed, max_bytes=_MAX_DIRECTORY_BYTES)
            known = fields.byte_strings("tenants", length=TENANT_BYTES, at_most=MAX_TENANTS)
            fields.done()
        except Malformed as cause:
            raise StorageUnavailable("the tenants' directory holds something else") from cause
        return row.version, known

    def _save_directory(self, transaction: WriteTransaction, version: int, known: tuple[bytes, ...]) -> None:
        value = canonical.encode({"tenants": list(known)})
        if version:
            self._rows.replace(
                transaction, Table.DEPLOYMENT, self._directory_key, expected_version=version, value=value
            )
        else:
            self._rows.insert(transaction, Table.DEPLOYMENT, self._directory_key, value)

    def _key(self, tenant_id: bytes) -> bytes:
        return self._keys.identifier("tenant", tenant_id)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise MalformedMessage(f"a tenant's name has 1 to {MAX_NAME} printable characters", path="name")


def _encode(tenant: Tenant) -> bytes:
    quota = tenant.quota
    limits = {"accounts": quota.accounts, "vaults": quota.vaults, "bytes": quota.bytes, "requests": quota.requests}
    return canonical.encode(
        {
            "tenant": tenant.tenant_id,
            "name": tenant.name,
            "created": tenant.created_ms,
            "state": str(tenant.state),
            "quota": {name: limit for name, limit in limits.items() if limit is not None},
            "registration": str(tenant.policy.registration),
            "second_factor": int(tenant.policy.second_factor_required),
            "approvals": list(tenant.approvals),
            "secret": tenant.secret,
        }
    )


def _decode(value: bytes, version: int) -> Tenant:
    try:
        decoded = canonical.decode(value, path="tenant row", max_bytes=_MAX_ROW_BYTES)
        quota = decoded.pop("quota", None) if isinstance(decoded, dict) else None
        fields = Fields(decoded, path="tenant row", error=Malformed)
        tenant = Tenant(
            tenant_id=fields.byte_string("tenant", length=TENANT_BYTES),
            name=fields.text("name", at_most=4 * MAX_NAME),
            created_ms=fields.number("created"),
            state=TenantState(fields.text("state", at_most=16)),
            quota=_quota(quota),
            policy=TenantPolicy(
                registration=Registration(fields.text("registration", at_most=16)),
                second_factor_required=bool(fields.number("second_factor", at_most=1)),
            ),
            approvals=fields.byte_strings("approvals", length=32, at_most=_MAX_APPROVALS),
            secret=fields.byte_string("secret", at_most=KEY_BYTES),
            version=version,
        )
        fields.done()
    except (Malformed, ValueError) as cause:
        raise StorageUnavailable("a tenant's row holds something else than a tenant") from cause
    return tenant


def _quota(value: canonical.Value) -> Quota:
    fields = Fields(value, path="quota", error=Malformed)
    given = set(value) if isinstance(value, dict) else set()

    def limit(name: str) -> int | None:
        return fields.number(name) if name in given else UNLIMITED

    quota = Quota(accounts=limit("accounts"), vaults=limit("vaults"), bytes=limit("bytes"), requests=limit("requests"))
    fields.done()
    return quota
