"""What administrators can do: make, limit, suspend, export and delete tenants, and read figures. No content.

An administrator proves a key by a signature over the session, as a device does. Each act is logged in its own
transaction. Deleting takes as many administrators as the settings say; from the first approval on the tenant is
closed, and the approval stands until the tenant is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Conflict, MalformedMessage, NotAuthorised, TenantSuspended
from strongroom.crypto.signatures import verify
from strongroom.formats import admin_api as api
from strongroom.store.account_index import AccountIndex
from strongroom.store.admin_log import Act, AdminLog
from strongroom.store.keys import DEFAULT_TENANT
from strongroom.store.tenants import Quota, Registration, TenantPolicy, TenantState
from strongroom.store.transactions import transact
from strongroom.store.usage import MONTHS_KEPT, month_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.base.clock import Clock
    from strongroom.store.deployment import Deployment
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.sessions import ChannelSession
    from strongroom.store.tenancy import Tenancy
    from strongroom.store.tenants import Tenant
    from strongroom.store.usage import Used

__all__ = ["AdminService", "Administrators"]

_ACCOUNTS_PER_CALL: Final = 64
"""A deletion is made in many calls, so that none takes long; each goes on where the last one ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrators:
    """Whose keys count, and how many of them it takes to delete a tenant. Without keys nobody administers."""

    keys: frozenset[bytes] = frozenset()
    deletion_approvals: int = 1


class AdminService:
    """The administrators' operations, one method each."""

    def __init__(
        self,
        storage: RecordStore,
        deployment: Deployment,
        tenancy: Tenancy,
        clock: Clock,
        administrators: Administrators,
    ) -> None:
        self._storage = storage
        self._deployment = deployment
        self._tenancy = tenancy
        self._tenants = tenancy.tenants
        self._clock = clock
        self._administrators = administrators
        self._log = AdminLog(deployment.rows, deployment.keys)

    def prove(self, session: ChannelSession, body: api.AdministratorSession) -> api.AdministratorProven:
        """Check an administrator's signature over this session. An unknown key and a wrong signature look the same."""
        signed = verify(body.key, api.ADMINISTRATOR_PROOF_LABEL, session.transcript, body.signature)
        if not signed or body.key not in self._administrators.keys:
            raise NotAuthorised("unknown administrator")
        session.administrator = body.key
        return api.AdministratorProven(
            administrators=len(self._administrators.keys),
            deletion_approvals=self._administrators.deletion_approvals,
        )

    def create(self, session: ChannelSession, body: api.CreateTenant) -> api.TenantView:
        """Make a tenant."""

        def make(transaction: WriteTransaction) -> Tenant:
            tenant = self._tenants.create(
                transaction,
                name=body.name,
                quota=_quota(body.quotas),
                policy=_policy(body.policy),
                at_ms=self._time_ms(),
            )
            self._note(transaction, session, "create", tenant)
            return tenant

        return self._view(transact(self._storage, make), 0)

    def list_tenants(self, session: ChannelSession, _: api.ListTenants) -> api.TenantList:
        """Give every tenant."""
        session.require_administrator()
        with self._storage.read() as transaction:
            tenants = self._tenants.walk(transaction)
            return api.TenantList(tenants=[self._view(item, self._count(transaction, item)) for item in tenants])

    def show(self, session: ChannelSession, body: api.WhichTenant) -> api.TenantView:
        """Give one tenant."""
        session.require_administrator()
        with self._storage.read() as transaction:
            tenant = self._tenants.get(transaction, body.tenant)
            return self._view(tenant, self._count(transaction, tenant))

    def suspend(self, session: ChannelSession, body: api.WhichTenant) -> api.TenantView:
        """Close a tenant; its data is kept."""
        return self._change(
            session, body.tenant, "suspend", lambda tenant: replace(_alive(tenant), state=TenantState.SUSPENDED)
        )

    def resume(self, session: ChannelSession, body: api.WhichTenant) -> api.TenantView:
        """Open a tenant again, and take back every approval of its deletion."""
        return self._change(
            session,
            body.tenant,
            "resume",
            lambda tenant: replace(_alive(tenant), state=TenantState.ACTIVE, approvals=()),
        )

    def set_quotas(self, session: ChannelSession, body: api.SetQuotas) -> api.TenantView:
        """Set what a tenant may use."""
        quota = _quota(body.quotas)
        return self._change(session, body.tenant, "quota", lambda tenant: replace(_alive(tenant), quota=quota))

    def set_policy(self, session: ChannelSession, body: api.SetPolicy) -> api.TenantView:
        """Set what a tenant demands of its people."""
        policy = _policy(body.policy)
        return self._change(session, body.tenant, "policy", lambda tenant: replace(_alive(tenant), policy=policy))

    def export(self, session: ChannelSession, body: api.WhichTenant) -> api.TenantExport:
        """Give what an administrator may have of a tenant: settings, figures and acts. Contents are their owners'."""
        session.require_administrator()

        def read(transaction: WriteTransaction) -> api.TenantExport:
            tenant = self._tenants.get(transaction, body.tenant)
            self._note(transaction, session, "export", tenant)
            months = [(month, self._tenancy.usage.read(transaction, body.tenant, month)) for month in self._months()]
            return api.TenantExport(
                tenant=self._view(tenant, self._count(transaction, tenant)),
                usage=[_month(month, used) for month, used in months if used.requests or used.bytes or used.accounts],
                log=[_entry(act) for act in self._log.about(transaction, body.tenant)],
            )

        self._tenancy.usage.flush()
        return transact(self._storage, read)

    def usage(self, session: ChannelSession, body: api.UsageRequest) -> api.UsageReport:
        """Give every tenant's figures of a month, for billing."""
        session.require_administrator()
        self._tenancy.usage.flush()
        with self._storage.read() as transaction:
            tenants = self._tenants.walk(transaction)
            return api.UsageReport(
                month=body.month, tenants=[self._used(transaction, tenant, body.month) for tenant in tenants]
            )

    def recount(self, session: ChannelSession, body: api.WhichTenant) -> api.TenantUsage:
        """Count a tenant's bytes from its entries, after a crash lost some of the figures."""
        session.require_administrator()
        self._tenancy.usage.flush()
        with self._storage.read() as transaction:
            tenant = self._tenants.get(transaction, body.tenant)
            service = self._tenancy.service(tenant)
            counted = sum(service.stored_bytes(transaction, item) for item in self._index(tenant).walk(transaction))

        def correct(transaction: WriteTransaction) -> api.TenantUsage:
            self._tenancy.usage.correct(transaction, body.tenant, bytes_now=counted)
            self._note(transaction, session, "recount", tenant)
            return self._used(transaction, tenant, month_of(self._clock.now()))

        corrected = transact(self._storage, correct)
        self._tenancy.usage.forget(body.tenant)
        return corrected

    def log(self, session: ChannelSession, body: api.LogRequest) -> api.LogPage:
        """Give what administrators did."""
        session.require_administrator()
        with self._storage.read() as transaction:
            length, acts = self._log.page(transaction, after=body.after, limit=body.limit)
        return api.LogPage(length=length, entries=[_entry(act) for act in acts])

    def delete(self, session: ChannelSession, body: api.WhichTenant) -> api.Deletion:
        """Approve of a tenant's deletion, and go on with it where there are approvals enough.

        A crash leaves a tenant that is closed and half there, and whose deletion goes on when it is asked for again.
        """
        if body.tenant == DEFAULT_TENANT:
            raise Conflict("the default tenant is always there")
        tenant = transact(self._storage, lambda transaction: self._approve(transaction, session, body.tenant))
        self._tenancy.forget(body.tenant)
        if tenant.state is not TenantState.DELETING:
            with self._storage.read() as transaction:
                return self._deletion(tenant, self._count(transaction, tenant))
        service, index = self._tenancy.service(tenant), self._index(tenant)
        with self._storage.read() as transaction:
            accounts = index.first(transaction, _ACCOUNTS_PER_CALL)
        for account in accounts:
            service.erase(account)
        with self._storage.read() as transaction:
            left = index.count(transaction)
        if left:
            return self._deletion(tenant, left)

        def end(transaction: WriteTransaction) -> None:
            # with the tenant's row goes the secret: whatever of it may be left opens for nobody from here on
            index.clear(transaction)
            self._tenancy.usage.clear(transaction, body.tenant, self._months())
            self._tenants.remove(transaction, self._tenants.get(transaction, body.tenant))
            self._note(transaction, session, "deleted", tenant)

        transact(self._storage, end)
        self._tenancy.forget(body.tenant, wholly=True)
        return self._deletion(tenant, 0, done=True)

    def _approve(self, transaction: WriteTransaction, session: ChannelSession, tenant_id: bytes) -> Tenant:
        administrator = session.require_administrator()
        tenant = self._tenants.get(transaction, tenant_id)
        if tenant.state is TenantState.DELETING:
            return tenant
        # approvals of those who administer no more do not count
        valid = set(tenant.approvals) & self._administrators.keys | {administrator}
        enough = len(valid) >= self._administrators.deletion_approvals
        changed = replace(
            tenant,
            approvals=tuple(sorted(valid)),
            state=TenantState.DELETING if enough else TenantState.SUSPENDED,
        )
        self._note(transaction, session, "delete", tenant)
        return self._tenants.replace(transaction, changed)

    def _change(
        self, session: ChannelSession, tenant_id: bytes, action: str, change: Callable[[Tenant], Tenant]
    ) -> api.TenantView:
        def make(transaction: WriteTransaction) -> api.TenantView:
            tenant = self._tenants.replace(transaction, change(self._tenants.get(transaction, tenant_id)))
            self._note(transaction, session, action, tenant)
            return self._view(tenant, self._count(transaction, tenant))

        view = transact(self._storage, make)
        self._tenancy.forget(tenant_id)
        return view

    def _note(self, transaction: WriteTransaction, session: ChannelSession, action: str, tenant: Tenant) -> None:
        act = Act(
            time_ms=self._time_ms(),
            administrator=session.require_administrator(),
            action=action,
            tenant=tenant.tenant_id,
        )
        self._log.append(transaction, act)

    def _index(self, tenant: Tenant) -> AccountIndex:
        if tenant.is_default:
            return AccountIndex(self._deployment.rows, self._deployment.keys)
        branch = self._deployment.branch(tenant.branch_secret)
        return AccountIndex(branch.rows, branch.keys)

    def _count(self, transaction: ReadTransaction, tenant: Tenant) -> int:
        return self._index(tenant).count(transaction)

    def _used(self, transaction: ReadTransaction, tenant: Tenant, month: str) -> api.TenantUsage:
        used = self._tenancy.usage.read(transaction, tenant.tenant_id, month)
        total = self._tenancy.usage.read(transaction, tenant.tenant_id, "")
        accounts = self._count(transaction, tenant)
        return api.TenantUsage(
            tenant=tenant.tenant_id,
            name=tenant.name,
            requests=used.requests,
            opened=used.accounts,
            added=used.bytes,
            accounts=accounts,
            vaults=accounts,  # each account has one vault
            bytes=total.bytes,
        )

    def _view(self, tenant: Tenant, accounts: int) -> api.TenantView:
        quota, policy = tenant.quota, tenant.policy
        return api.TenantView(
            tenant=tenant.tenant_id,
            name=tenant.name,
            state=str(tenant.state),
            created_ms=tenant.created_ms,
            quotas=api.Quotas(accounts=quota.accounts, vaults=quota.vaults, bytes=quota.bytes, requests=quota.requests),
            policy=api.TenantPolicyBody(
                registration=str(policy.registration), second_factor_required=policy.second_factor_required
            ),
            accounts=accounts,
            deletion_approvals=len(tenant.approvals),
        )

    def _deletion(self, tenant: Tenant, left: int, *, done: bool = False) -> api.Deletion:
        return api.Deletion(
            approvals=len(tenant.approvals),
            needed=self._administrators.deletion_approvals,
            accounts_left=left,
            done=done,
        )

    def _months(self) -> list[str]:
        now = self._clock.now()
        last = now.year * 12 + now.month - 1
        return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(last - MONTHS_KEPT, last + 1)]

    def _time_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _alive(tenant: Tenant) -> Tenant:
    if tenant.state is TenantState.DELETING:
        raise TenantSuspended("this tenant is being deleted, and there is no way back")
    return tenant


def _quota(quotas: api.Quotas) -> Quota:
    return Quota(accounts=quotas.accounts, vaults=quotas.vaults, bytes=quotas.bytes, requests=quotas.requests)


def _policy(policy: api.TenantPolicyBody) -> TenantPolicy:
    try:
        registration = Registration(policy.registration)
    except ValueError:
        raise MalformedMessage("registration is open or closed", path="policy.registration") from None
    return TenantPolicy(registration=registration, second_factor_required=policy.second_factor_required)


def _month(month: str, used: Used) -> api.MonthUsage:
    return api.MonthUsage(month=month, requests=used.requests, opened=used.accounts, added=used.bytes)


def _entry(act: Act) -> api.LogEntry:
    return api.LogEntry(time_ms=act.time_ms, administrator=act.administrator, action=act.action, tenant=act.tenant)
