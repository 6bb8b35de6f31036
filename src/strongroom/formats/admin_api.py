"""The administrators' interface as CLI and store both read it (docs/spec/tenants.md section 6).

No body of an answer has a field for a username, a wrapped key, an entry or a sealed record: what administrators may
know are names of tenants, settings and numbers.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from strongroom.formats.store_api import Body, Id16, Key32, Signature

__all__ = [
    "ADMINISTRATOR_PROOF_LABEL",
    "MAX_LOG_PAGE",
    "AdministratorProven",
    "AdministratorSession",
    "CreateTenant",
    "Deletion",
    "ListTenants",
    "LogEntry",
    "LogPage",
    "LogRequest",
    "MonthUsage",
    "Quotas",
    "SetPolicy",
    "SetQuotas",
    "TenantExport",
    "TenantList",
    "TenantName",
    "TenantPolicyBody",
    "TenantUsage",
    "TenantView",
    "UsageReport",
    "UsageRequest",
    "WhichTenant",
]

ADMINISTRATOR_PROOF_LABEL: Final = "strongroom administrator session v1"
"""What an administrator signs to prove itself in a session: this label, over the transcript hash."""

MAX_LOG_PAGE: Final = 256

Limit = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
TenantName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Word = Annotated[str, msgspec.Meta(max_length=32)]
Month = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


class AdministratorSession(Body, frozen=True):
    """``POST /v1/admin/session``: an administrator proves itself in this session."""

    key: Key32
    signature: Signature


class AdministratorProven(Body, frozen=True):
    """Its answer: how many administrators there are, and how many of them it takes to delete a tenant."""

    administrators: int
    deletion_approvals: int


class Quotas(Body, frozen=True):
    """What a tenant may use; ``null`` is unlimited. ``requests`` are per calendar month (UTC)."""

    accounts: Limit | None = None
    vaults: Limit | None = None
    bytes: Limit | None = None
    requests: Limit | None = None


class TenantPolicyBody(Body, frozen=True):
    """What a tenant demands of its people."""

    registration: Word = "open"
    second_factor_required: bool = False


class CreateTenant(Body, frozen=True):
    """``POST /v1/admin/tenants/create``."""

    name: TenantName
    quotas: Quotas = Quotas()
    policy: TenantPolicyBody = TenantPolicyBody()


class WhichTenant(Body, frozen=True):
    """A tenant by its id: to show, suspend, resume, export, recount or delete it."""

    tenant: Id16


class SetQuotas(Body, frozen=True):
    """``POST /v1/admin/tenants/quota``: all four, as they are to be from now on."""

    tenant: Id16
    quotas: Quotas


class SetPolicy(Body, frozen=True):
    """``POST /v1/admin/tenants/policy``: both, as they are to be from now on."""

    tenant: Id16
    policy: TenantPolicyBody


class ListTenants(Body, frozen=True):
    """``POST /v1/admin/tenants/list``."""


class TenantView(Body, frozen=True):
    """What administrators see of a tenant."""

    tenant: Id16
    name: str
    state: str
    created_ms: int
    quotas: Quotas
    policy: TenantPolicyBody
    accounts: int
    deletion_approvals: int


class TenantList(Body, frozen=True):
    """Every tenant, the default one first."""

    tenants: list[TenantView]


class UsageRequest(Body, frozen=True):
    """``POST /v1/admin/usage``: the figures of one month."""

    month: Month


class TenantUsage(Body, frozen=True):
    """What a tenant used. ``requests``, ``opened`` and ``added`` are of the month; the others are of now."""

    tenant: Id16
    name: str
    requests: int
    opened: int
    added: int
    accounts: int
    vaults: int
    bytes: int


class UsageReport(Body, frozen=True):
    """Every tenant's figures of a month."""

    month: str
    tenants: list[TenantUsage]


class MonthUsage(Body, frozen=True):
    """What a tenant used in one month."""

    month: str
    requests: int
    opened: int
    added: int


class LogEntry(Body, frozen=True):
    """What an administrator did. ``tenant`` is sixteen zero bytes for the default tenant, and for none."""

    time_ms: int
    administrator: Key32
    action: str
    tenant: Id16


class LogRequest(Body, frozen=True):
    """``POST /v1/admin/log``: entries from number ``after`` on, oldest first."""

    after: Limit = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LOG_PAGE)] = MAX_LOG_PAGE


class LogPage(Body, frozen=True):
    """Its answer: how many entries there are, and some of them."""

    length: int
    entries: list[LogEntry]


class TenantExport(Body, frozen=True):
    """What a deployment knows of a tenant and an administrator may have: no account's contents."""

    tenant: TenantView
    usage: list[MonthUsage]
    log: list[LogEntry]


class Deletion(Body, frozen=True):
    """How far a deletion is: who approved of how many needed, accounts still there; ``done`` when nothing is left."""

    approvals: int
    needed: int
    accounts_left: int
    done: bool
