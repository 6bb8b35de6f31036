"""What one tenant may still do: asked before something is done, told after it was.

Accounts and vaults are counted exactly, in the transaction that would add one. Bytes and requests are compared with
the usage figures, which know of other instances what their last flush said: a tenant can exceed those quotas by what
it does in one interval between flushes, times the number of instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from strongroom.base.errors import NotAuthorised, QuotaExceeded
from strongroom.store.tenants import Registration
from strongroom.store.usage import Used, month_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.base.clock import Clock
    from strongroom.store.tenants import Tenant
    from strongroom.store.usage import UsageMeter

__all__ = ["Allowance", "TenantAllowance", "Unlimited", "require_below"]


class Allowance(Protocol):
    """What a service asks on behalf of its tenant."""

    def account_limit(self) -> int | None:
        """Give how many accounts there may be, ``None`` for any number; raises when none may be opened at all."""
        ...

    def second_factor_required(self) -> bool:
        """Tell whether an account without a second factor may neither read nor write."""
        ...

    def check_bytes(self, size: int) -> None:
        """Raise ``QuotaExceeded`` when ``size`` more bytes are too many."""
        ...

    def check_request(self) -> None:
        """Count a request, or raise ``QuotaExceeded`` when there have been too many."""
        ...

    def used(self, *, size: int = 0, accounts: int = 0) -> None:
        """Note what was added, or removed where it is negative."""
        ...


class Unlimited:
    """The allowance of a store without tenants: everything, and nobody counts."""

    def account_limit(self) -> int | None:
        """Allow."""
        return None

    def second_factor_required(self) -> bool:
        """Demand nothing."""
        return False

    def check_bytes(self, size: int) -> None:
        """Allow."""

    def check_request(self) -> None:
        """Allow."""

    def used(self, *, size: int = 0, accounts: int = 0) -> None:
        """Forget."""


class TenantAllowance:
    """The allowance of one tenant, as its quotas are now."""

    def __init__(self, current: Callable[[], Tenant], meter: UsageMeter, clock: Clock) -> None:
        self._current = current
        self._meter = meter
        self._clock = clock

    def account_limit(self) -> int | None:
        """Hold registrations to the tenant's policy and to its quotas of accounts and vaults: one each."""
        tenant = self._current()
        if tenant.policy.registration is Registration.CLOSED:
            raise NotAuthorised("this tenant takes no registrations")
        return min((limit for limit in (tenant.quota.accounts, tenant.quota.vaults) if limit is not None), default=None)

    def second_factor_required(self) -> bool:
        """Demand what the tenant's policy demands."""
        return self._current().policy.second_factor_required

    def check_bytes(self, size: int) -> None:
        """Hold new entries to the quota of bytes."""
        tenant = self._current()
        limit = tenant.quota.bytes
        if limit is not None and self._meter.total(tenant.tenant_id).bytes + size > limit:
            raise QuotaExceeded(f"the tenant may keep {limit} bytes", hint=_HINT)

    def check_request(self) -> None:
        """Count a request, unless the month's are used up."""
        tenant, now = self._current(), self._clock.now()
        limit = tenant.quota.requests
        if limit is not None and self._meter.month(tenant.tenant_id, month_of(now)).requests >= limit:
            raise QuotaExceeded(f"the tenant may make {limit} requests in a month", hint=_HINT)
        self._meter.add(tenant.tenant_id, Used(requests=1), now)

    def used(self, *, size: int = 0, accounts: int = 0) -> None:
        """Add to the tenant's figures."""
        self._meter.add(self._current().tenant_id, Used(bytes=size, accounts=accounts), self._clock.now())


def require_below(limit: int | None, count: Callable[[], int]) -> None:
    """Raise ``QuotaExceeded`` when there are ``limit`` accounts already; ``count`` is asked only where it matters."""
    if limit is not None and count() >= limit:
        raise QuotaExceeded(f"the tenant has {limit} accounts, as many as it may", hint=_HINT)


_HINT = "ask whoever administers the tenant for more"
