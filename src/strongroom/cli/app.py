"""The commands and their groups. Each module is imported when its command is, so that ``get`` stays quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from strongroom.cli import (
    account,
    add,
    admin,
    backup,
    collateral,
    configuration,
    connect,
    devices,
    edit,
    factor,
    get,
    head,
    import_,
    init,
    instances,
    invite,
    join,
    kit,
    legacy,
    list_,
    login,
    measure,
    notice,
    openapi,
    password,
    platform,
    policy,
    proof,
    quorum,
    ratls,
    recovery,
    register,
    release,
    remove,
    rotate,
    serve,
    sync,
    upgrade,
    verifier,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["application"]

_SERVICE = "The service"
_TRUST = "Whom you trust"
_DEVICE = "This device"
_VAULT = "Your vault"

app = typer.Typer(
    name="strongroom",
    help="A trusted data store that every client verifies by remote attestation before it says a word to it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would show secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    _TRUST: {"verify": verify.verify, "measure": measure.measure, "connect": connect.connect},
    _DEVICE: {
        "register": register.register,
        "login": login.login,
        "kit": kit.kit,
        "password": password.password,
    },
    _VAULT: {
        "list": list_.list_,
        "get": get.get,
        "add": add.add,
        "edit": edit.edit,
        "remove": remove.remove,
        "import": import_.import_,
        "sync": sync.sync,
    },
    _SERVICE: {
        "init": init.init,
        "invite": invite.invite,
        "serve": serve.serve,
        "rotate": rotate.rotate,
        "backup": backup.backup,
        "restore": backup.restore,
        "join": join.join,
        "recover": recovery.recover,
        "platform": platform.platform,
        "openapi": openapi.openapi,
    },
}
for panel, commands in _COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)

app.add_typer(devices.app, name="devices", rich_help_panel=_DEVICE)
app.add_typer(factor.app, name="factor", rich_help_panel=_DEVICE)
app.add_typer(account.app, name="account", rich_help_panel=_DEVICE)
app.add_typer(head.app, name="head", rich_help_panel=_VAULT)
app.add_typer(collateral.collateral, name="collateral", rich_help_panel=_TRUST)
app.add_typer(admin.app, rich_help_panel=_SERVICE)
app.add_typer(configuration.app, rich_help_panel=_SERVICE)
app.add_typer(policy.app, rich_help_panel=_TRUST)
app.add_typer(notice.app, name="notice", rich_help_panel=_TRUST)
app.add_typer(instances.app, rich_help_panel=_SERVICE)
app.add_typer(quorum.app, rich_help_panel=_SERVICE)
app.add_typer(recovery.app, rich_help_panel=_SERVICE)
app.add_typer(release.app, rich_help_panel=_SERVICE)
app.add_typer(upgrade.app, rich_help_panel=_SERVICE)
app.add_typer(verifier.app, rich_help_panel=_TRUST)
app.add_typer(ratls.app, rich_help_panel=_TRUST)
app.add_typer(proof.app, name="proof", rich_help_panel=_TRUST)
app.add_typer(legacy.app, name="legacy", rich_help_panel=_TRUST)


def application(arguments: list[str], **settings: Any) -> Any:
    """Run the command that the arguments name."""
    return app(arguments, **settings)
