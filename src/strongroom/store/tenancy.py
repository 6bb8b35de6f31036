"""From the tenant that a request names to that tenant's service (docs/spec/tenants.md section 3).

A tenant's row is read again when what is known of it is a second old: a suspension takes effect at once on the
instance that it was made on, and within that second on the others.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import TenantSuspended
from strongroom.store.keys import DEFAULT_TENANT
from strongroom.store.quotas import TenantAllowance
from strongroom.store.tenants import Tenants, TenantState
from strongroom.store.usage import UsageMeter
from strongroom.store.vaults import VaultNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.base.clock import Clock
    from strongroom.store.deployment import Branch, Deployment
    from strongroom.store.ports import RecordStore
    from strongroom.store.quotas import Allowance
    from strongroom.store.service import StoreService
    from strongroom.store.tenants import Tenant

__all__ = ["STALE_SECONDS", "Tenancy"]

STALE_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Known:
    tenant: Tenant
    read_at: float


class Tenancy:
    """The tenants of one deployment, as one instance serves them. Threads may share it.

    ``make`` builds the service of one branch.
    """

    def __init__(
        self,
        storage: RecordStore,
        deployment: Deployment,
        clock: Clock,
        make: Callable[[Branch | Deployment, Allowance, VaultNames], StoreService],
    ) -> None:
        self._storage = storage
        self._deployment = deployment
        self._clock = clock
        self._make = make
        self._names = VaultNames(deployment.rows, deployment.keys)
        self._services: dict[bytes, StoreService] = {}
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()
        self.tenants = Tenants(deployment.rows, deployment.keys)
        self.usage = UsageMeter(storage, deployment.rows, deployment.keys)

    def admit(self, tenant_id: bytes) -> StoreService:
        """Give the service that a request is for; ``TenantUnknown`` or ``TenantSuspended`` when there is none."""
        tenant = self.current(tenant_id)
        if tenant.state is not TenantState.ACTIVE:
            raise TenantSuspended("this tenant is suspended", hint="its data is kept; ask whoever administers it")
        return self.service(tenant)

    def service(self, tenant: Tenant) -> StoreService:
        """Give a tenant's service, whatever its state."""
        with self._lock:
            service = self._services.get(tenant.tenant_id)
        if service is None:
            branch = self._deployment if tenant.is_default else self._deployment.branch(tenant.branch_secret)
            made = self._make(branch, self.allowance(tenant.tenant_id), self._names)
            with self._lock:
                service = self._services.setdefault(tenant.tenant_id, made)
        return service

    def allowance(self, tenant_id: bytes) -> TenantAllowance:
        """Give what a tenant may still do."""
        return TenantAllowance(lambda: self.current(tenant_id), self.usage, self._clock)

    def current(self, tenant_id: bytes = DEFAULT_TENANT) -> Tenant:
        """Give a tenant as it is, or was within ``STALE_SECONDS``; ``TenantUnknown`` when there is none."""
        now = self._clock.monotonic()
        with self._lock:
            known = self._known.get(tenant_id)
        if known is not None and 0 <= now - known.read_at < STALE_SECONDS:
            return known.tenant
        self.forget(tenant_id)
        with self._storage.read() as transaction:
            tenant = self.tenants.get(transaction, tenant_id)
        # who names tenants that do not exist fills no memory: only those that do are kept
        with self._lock:
            self._known[tenant_id] = _Known(tenant, now)
        return tenant

    def forget(self, tenant_id: bytes, *, wholly: bool = False) -> None:
        """Read a tenant anew when it is next asked for; ``wholly`` for one that is gone, with its keys."""
        with self._lock:
            self._known.pop(tenant_id, None)
            if wholly:
                self._services.pop(tenant_id, None)
        if wholly:
            self.usage.forget(tenant_id)
