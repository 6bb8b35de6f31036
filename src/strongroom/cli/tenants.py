"""How tenants look on a terminal, and how a command line names one."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.base.errors import Misconfigured
from strongroom.client.invitation import Invitation

if TYPE_CHECKING:
    from strongroom.client.administrator import Administrator
    from strongroom.formats.admin_api import TenantView
    from strongroom.formats.store_api import Body

__all__ = ["find", "invitation_for", "line", "shown"]


def find(administrator: Administrator, named: str) -> TenantView:
    """Find a tenant by its name or its id; ``Misconfigured`` when there is none."""
    for tenant in administrator.tenants():
        if tenant.name == named or tenant.tenant.hex() == named:
            return tenant
    raise Misconfigured(f"there is no tenant {named!r}", setting="tenant", hint="see `strongroom admin tenant list`")


def invitation_for(address: str, tenant: bytes) -> str:
    """Turn a deployment's invitation into the one for a tenant's people; nothing for a mere address."""
    if re.match(r"https?://", address):
        return ""
    named = tenant if any(tenant) else None
    return dataclasses.replace(Invitation.from_text(address), tenant=named).to_text()


def shown(body: Body) -> Any:
    """Give an answer as JSON can hold it, byte strings in hexadecimal digits."""
    return msgspec.to_builtins(_hexadecimal(msgspec.structs.asdict(body)))


def line(tenant: TenantView) -> str:
    """Say what there is to say of a tenant in one line."""
    limits = [f"{name} {limit}" for name, limit in msgspec.structs.asdict(tenant.quotas).items() if limit is not None]
    parts = [tenant.tenant.hex(), tenant.state, f"{tenant.accounts} accounts", tenant.name]
    return "  ".join([*parts, f"(at most {', '.join(limits)})" if limits else ""]).rstrip()


def _hexadecimal(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return _hexadecimal(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {name: _hexadecimal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hexadecimal(item) for item in value]
    return value
