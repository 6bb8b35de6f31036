"""``strongroom admin``: tenants, their quotas, and figures for billing. An administrator can read no content."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import AcceptSimulated, AsJson, Home, PolicyFile, RootFile, home_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.client.administrator import Administrator
    from strongroom.formats.admin_api import Quotas, TenantView
    from strongroom.formats.store_api import Body

__all__ = ["app"]

app = typer.Typer(
    name="admin", help="Tenants, quotas and usage. An administrator can read no content.", no_args_is_help=True
)
tenant_app = typer.Typer(name="tenant", help="The customers of a deployment.", no_args_is_help=True)
app.add_typer(tenant_app)

At = Annotated[
    str, typer.Option("--at", help="The deployment: an invitation (strongroom1:…) or an address.", metavar="ADDRESS")
]
KeyFile = Annotated[Path, typer.Option("--key", help="The administrator's key.", metavar="FILE")]
Which = Annotated[str, typer.Argument(help="The tenant's name, or its id.", metavar="TENANT")]
Accounts = Annotated[int | None, typer.Option("--accounts", min=0, help="Accounts at most.")]
Vaults = Annotated[int | None, typer.Option("--vaults", min=0, help="Vaults at most.")]
Bytes = Annotated[int | None, typer.Option("--bytes", min=0, help="Bytes of entries and sealed records at most.")]
Requests = Annotated[int | None, typer.Option("--requests", min=0, help="Requests in a calendar month at most.")]


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="File for the secret key; made if it is missing.")]) -> None:
    """Make an administrator's key, or read one, and print its public half for the setting `administration.keys`.

    Example: strongroom admin key ./admin.key
    """
    from strongroom.cli.output import emit
    from strongroom.cli.signing_keys import make_signing_key, read_signing_key

    make_signing_key(file)
    emit(read_signing_key(file).public.hex())


@tenant_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What administrators call it.")],
    at: At,
    key_file: KeyFile,
    accounts: Accounts = None,
    vaults: Vaults = None,
    bytes_: Bytes = None,
    requests: Requests = None,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Make a tenant and print the invitation for its people. A quota that is not given is unlimited.

    Example: strongroom admin tenant create acme --at strongroom1:… --key admin.key --accounts 50
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import invitation_for, shown
    from strongroom.formats.admin_api import CreateTenant

    body = CreateTenant(name=name, quotas=_quotas(accounts, vaults, bytes_, requests))
    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        made = administrator.create(body)
    text = invitation_for(at, made.tenant)
    if as_json:
        emit_json({**shown(made), "invitation": text})
    else:
        emit(text or made.tenant.hex())


@tenant_app.command("list")
def list_(
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """List the tenants.

    Example: strongroom admin tenant list --at strongroom1:… --key admin.key
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import line, shown

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        tenants = administrator.tenants()
    if as_json:
        emit_json([shown(item) for item in tenants])
        return
    for item in tenants:
        emit(line(item))


@tenant_app.command("show")
def show(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Show a tenant and the invitation for its people.

    Example: strongroom admin tenant show acme --at strongroom1:… --key admin.key
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import find, invitation_for, line, shown

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        found = find(administrator, tenant)
    text = invitation_for(at, found.tenant)
    if as_json:
        emit_json({**shown(found), "invitation": text})
    else:
        emit(line(found))
        emit(text)


@tenant_app.command("suspend")
def suspend(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Close a tenant: its people are refused, its data is kept.

    Example: strongroom admin tenant suspend acme --at strongroom1:… --key admin.key
    """
    from strongroom.cli.tenants import find

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        _emit(administrator.suspend(find(administrator, tenant).tenant), as_json=as_json)


@tenant_app.command("resume")
def resume(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Open a tenant again, and take back every approval of its deletion.

    Example: strongroom admin tenant resume acme --at strongroom1:… --key admin.key
    """
    from strongroom.cli.tenants import find

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        _emit(administrator.resume(find(administrator, tenant).tenant), as_json=as_json)


@tenant_app.command("quota")
def quota(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    accounts: Accounts = None,
    vaults: Vaults = None,
    bytes_: Bytes = None,
    requests: Requests = None,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Set all four quotas of a tenant. One that is not given is unlimited from now on.

    Example: strongroom admin tenant quota acme --at strongroom1:… --key admin.key --accounts 100
    """
    from strongroom.cli.tenants import find
    from strongroom.formats.admin_api import SetQuotas

    quotas = _quotas(accounts, vaults, bytes_, requests)
    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        body = SetQuotas(tenant=find(administrator, tenant).tenant, quotas=quotas)
        _emit(administrator.set_quotas(body), as_json=as_json)


@tenant_app.command("policy")
def policy_(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    registration: Annotated[str, typer.Option("--registration", help="open or closed.")] = "open",
    second_factor_required: Annotated[
        bool, typer.Option("--second-factor-required", help="Demand a second factor of everybody.")
    ] = False,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Set what a tenant demands of its people. What is not given is the default from now on.

    Example: strongroom admin tenant policy acme --at strongroom1:… --key admin.key --registration closed
    """
    from strongroom.cli.tenants import find
    from strongroom.formats.admin_api import SetPolicy, TenantPolicyBody

    demanded = TenantPolicyBody(registration=registration, second_factor_required=second_factor_required)
    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        body = SetPolicy(tenant=find(administrator, tenant).tenant, policy=demanded)
        _emit(administrator.set_policy(body), as_json=as_json)


@tenant_app.command("export")
def export(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
) -> None:
    """Print a tenant's settings, its usage by month and what administrators did with it, as JSON.

    Contents are not in it: those are their owners' to export.

    Example: strongroom admin tenant export acme --at strongroom1:… --key admin.key
    """
    from strongroom.cli.output import emit_json
    from strongroom.cli.tenants import find, shown

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        emit_json(shown(administrator.export(find(administrator, tenant).tenant)))


@tenant_app.command("delete")
def delete(
    tenant: Which,
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Approve of a tenant's deletion, and delete it where approvals are enough. There is no way back from that.

    Example: strongroom admin tenant delete acme --at strongroom1:… --key admin.key
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import find, shown

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        *_, last = administrator.delete(find(administrator, tenant).tenant)
    if as_json:
        emit_json(shown(last))
    elif last.done:
        emit("deleted")
    else:
        emit(f"closed; {last.approvals} of {last.needed} administrators approve of its deletion")


@app.command("usage")
def usage(
    at: At,
    key_file: KeyFile,
    month: Annotated[str | None, typer.Option("--month", help="2026-11; this one by default.")] = None,
    recount: Annotated[
        str | None,
        typer.Option("--recount", help="Count a tenant's bytes from its entries first.", metavar="TENANT"),
    ] = None,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Print what each tenant used in a month.

    Example: strongroom admin usage --at strongroom1:… --key admin.key --month 2026-11
    """
    from datetime import UTC, datetime

    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import find, shown

    wanted = month or f"{datetime.now(UTC):%Y-%m}"
    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        if recount is not None:
            administrator.recount(find(administrator, recount).tenant)
        report = administrator.usage(wanted)
    if as_json:
        emit_json(shown(report))
        return
    emit(f"{'tenant':24} {'accounts':>9} {'vaults':>9} {'bytes':>15} {'requests':>12}")
    for item in report.tenants:
        emit(f"{item.name:24} {item.accounts:9} {item.vaults:9} {item.bytes:15} {item.requests:12}")


@app.command("log")
def log(
    at: At,
    key_file: KeyFile,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Print what administrators did, oldest first.

    Example: strongroom admin log --at strongroom1:… --key admin.key
    """
    from datetime import UTC, datetime

    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import shown

    with _administrator(at, key_file, home, root, policy, accept_simulated_platform) as administrator:
        entries = list(administrator.log())
    if as_json:
        emit_json([shown(entry) for entry in entries])
        return
    for entry in entries:
        when = datetime.fromtimestamp(entry.time_ms / 1000, UTC)
        emit(f"{when:%Y-%m-%dT%H:%M:%SZ}  {entry.administrator.hex()[:16]}  {entry.action:10}  {entry.tenant.hex()}")


@contextmanager
def _administrator(
    at: str, key_file: Path, home: Path | None, root: Path | None, policy: Path | None, accept_simulated_platform: bool
) -> Iterator[Administrator]:
    """Attest the deployment, then prove the key in that session; as for everybody, nothing is said before."""
    from strongroom.cli.signing_keys import read_signing_key
    from strongroom.cli.wanted import Wanted, met
    from strongroom.client.administrator import Administrator

    signing_key = read_signing_key(key_file)
    wanted = Wanted.parse(at, accept_simulated_platform=accept_simulated_platform, root=root, policy=policy)
    with met(wanted, home_directory(home)) as (store, _):
        yield Administrator(store, signing_key)


def _quotas(accounts: int | None, vaults: int | None, bytes_: int | None, requests: int | None) -> Quotas:
    from strongroom.formats.admin_api import Quotas

    return Quotas(accounts=accounts, vaults=vaults, bytes=bytes_, requests=requests)


def _emit(view: TenantView | Body, *, as_json: bool) -> None:
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.tenants import line, shown
    from strongroom.formats.admin_api import TenantView

    if as_json or not isinstance(view, TenantView):
        emit_json(shown(view))
    else:
        emit(line(view))
