"""The administrators' routes, declared as the store's are (``store.routes``)."""

from __future__ import annotations

from typing import Final

from strongroom.base.errors import Conflict, TenantSuspended, TenantUnknown
from strongroom.formats import admin_api as api
from strongroom.store.administration import AdminService
from strongroom.store.routes import Route, route
from strongroom.store.sessions import Grade

__all__ = ["ADMIN_ROUTES"]

_CHANGE: Final = (Conflict, TenantSuspended, TenantUnknown)

ADMIN_ROUTES: Final[tuple[Route[AdminService], ...]] = (
    route(
        "/v1/admin/session",
        AdminService.prove,
        api.AdministratorSession,
        api.AdministratorProven,
        "Check an administrator's signature over this session",
        grade=Grade.NOTHING,
    ),
    route(
        "/v1/admin/tenants/create",
        AdminService.create,
        api.CreateTenant,
        api.TenantView,
        "Make a tenant",
        grade=Grade.ADMINISTRATOR,
        errors=(Conflict,),
    ),
    route(
        "/v1/admin/tenants/list",
        AdminService.list_tenants,
        api.ListTenants,
        api.TenantList,
        "List the tenants",
        grade=Grade.ADMINISTRATOR,
    ),
    route(
        "/v1/admin/tenants/show",
        AdminService.show,
        api.WhichTenant,
        api.TenantView,
        "Show a tenant",
        grade=Grade.ADMINISTRATOR,
    ),
    route(
        "/v1/admin/tenants/suspend",
        AdminService.suspend,
        api.WhichTenant,
        api.TenantView,
        "Close a tenant; its data is kept",
        grade=Grade.ADMINISTRATOR,
        errors=_CHANGE,
    ),
    route(
        "/v1/admin/tenants/resume",
        AdminService.resume,
        api.WhichTenant,
        api.TenantView,
        "Open a tenant again",
        grade=Grade.ADMINISTRATOR,
        errors=_CHANGE,
    ),
    route(
        "/v1/admin/tenants/quota",
        AdminService.set_quotas,
        api.SetQuotas,
        api.TenantView,
        "Set what a tenant may use",
        grade=Grade.ADMINISTRATOR,
        errors=_CHANGE,
    ),
    route(
        "/v1/admin/tenants/policy",
        AdminService.set_policy,
        api.SetPolicy,
        api.TenantView,
        "Set what a tenant demands of its people",
        grade=Grade.ADMINISTRATOR,
        errors=_CHANGE,
    ),
    route(
        "/v1/admin/tenants/export",
        AdminService.export,
        api.WhichTenant,
        api.TenantExport,
        "Give a tenant's settings, figures and acts",
        grade=Grade.ADMINISTRATOR,
        errors=(Conflict,),
    ),
    route(
        "/v1/admin/tenants/delete",
        AdminService.delete,
        api.WhichTenant,
        api.Deletion,
        "Approve of a tenant's deletion, and go on with it",
        grade=Grade.ADMINISTRATOR,
        errors=_CHANGE,
    ),
    route(
        "/v1/admin/usage",
        AdminService.usage,
        api.UsageRequest,
        api.UsageReport,
        "Give every tenant's figures of a month",
        grade=Grade.ADMINISTRATOR,
        errors=(Conflict,),
    ),
    route(
        "/v1/admin/recount",
        AdminService.recount,
        api.WhichTenant,
        api.TenantUsage,
        "Count a tenant's bytes from its entries",
        grade=Grade.ADMINISTRATOR,
        errors=(Conflict,),
    ),
    route(
        "/v1/admin/log",
        AdminService.log,
        api.LogRequest,
        api.LogPage,
        "Give what administrators did",
        grade=Grade.ADMINISTRATOR,
    ),
)
