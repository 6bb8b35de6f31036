"""An administrator's way to a deployment: the administrators' routes as typed calls, in a session that is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.formats import admin_api as api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.client.api import StoreApi
    from strongroom.crypto.signatures import SigningKey

__all__ = ["Administrator"]


class Administrator:
    """A proven administrator. Making one proves the key in the session; ``NotAuthorised`` when it does not count."""

    def __init__(self, store: StoreApi, key: SigningKey) -> None:
        self._store = store
        signature = key.sign(api.ADMINISTRATOR_PROOF_LABEL, store.peer().session)
        body = api.AdministratorSession(key=key.public, signature=signature)
        self.proven = store.call("/v1/admin/session", body, api.AdministratorProven)

    def create(self, body: api.CreateTenant) -> api.TenantView:
        """Make a tenant."""
        return self._store.call("/v1/admin/tenants/create", body, api.TenantView)

    def tenants(self) -> list[api.TenantView]:
        """List the tenants."""
        return self._store.call("/v1/admin/tenants/list", api.ListTenants(), api.TenantList).tenants

    def show(self, tenant: bytes) -> api.TenantView:
        """Show a tenant."""
        return self._store.call("/v1/admin/tenants/show", api.WhichTenant(tenant=tenant), api.TenantView)

    def suspend(self, tenant: bytes) -> api.TenantView:
        """Close a tenant."""
        return self._store.call("/v1/admin/tenants/suspend", api.WhichTenant(tenant=tenant), api.TenantView)

    def resume(self, tenant: bytes) -> api.TenantView:
        """Open a tenant again."""
        return self._store.call("/v1/admin/tenants/resume", api.WhichTenant(tenant=tenant), api.TenantView)

    def set_quotas(self, body: api.SetQuotas) -> api.TenantView:
        """Set what a tenant may use."""
        return self._store.call("/v1/admin/tenants/quota", body, api.TenantView)

    def set_policy(self, body: api.SetPolicy) -> api.TenantView:
        """Set what a tenant demands of its people."""
        return self._store.call("/v1/admin/tenants/policy", body, api.TenantView)

    def export(self, tenant: bytes) -> api.TenantExport:
        """Give a tenant's settings, figures and acts."""
        return self._store.call("/v1/admin/tenants/export", api.WhichTenant(tenant=tenant), api.TenantExport)

    def delete(self, tenant: bytes) -> Iterator[api.Deletion]:
        """Approve of a deletion and go on with it; gives how far it is after each step."""
        while True:
            step = self._store.call("/v1/admin/tenants/delete", api.WhichTenant(tenant=tenant), api.Deletion)
            yield step
            if step.done or step.approvals < step.needed:
                return

    def usage(self, month: str) -> api.UsageReport:
        """Give every tenant's figures of a month, ``2026-11``."""
        return self._store.call("/v1/admin/usage", api.UsageRequest(month=month), api.UsageReport)

    def recount(self, tenant: bytes) -> api.TenantUsage:
        """Count a tenant's bytes from its entries."""
        return self._store.call("/v1/admin/recount", api.WhichTenant(tenant=tenant), api.TenantUsage)

    def log(self) -> Iterator[api.LogEntry]:
        """Give everything that administrators did, oldest first."""
        seen = 0
        while True:
            page = self._store.call("/v1/admin/log", api.LogRequest(after=seen), api.LogPage)
            yield from page.entries
            seen += len(page.entries)
            if not page.entries or seen >= page.length:
                return
