"""``strongroom account``: what happened to it, everything it holds in one file, and its end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["app"]

app = typer.Typer(
    help="Your account: its log, its export, its end.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("log")
def log(password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """Show what happened to the account: logins, attempts at the password, changes of password and factors.

    Times are those of the store's machine.

    Example: strongroom account log
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import connected
    from strongroom.client.owner import read_log

    with connected(home, password_file) as (store, device):
        found = read_log(store, device)
    if as_json:
        emit_json(
            {
                "events": [
                    {"at": _time(line.at_ms), "event": line.event, "detail": line.detail} for line in found.lines
                ],
                "attempts": [
                    {"from": _time(each.first_ms), "to": _time(each.last_ms), "count": each.count}
                    for each in found.attempts
                ],
            }
        )
        return
    for line in found.lines:
        emit(f"{_time(line.at_ms)}  {line.event}{f' ({line.detail})' if line.detail else ''}")
    for each in found.attempts:
        until = "" if each.count == 1 else f" until {_time(each.last_ms)}"
        emit(f"{_time(each.first_ms)}  attempts at the password that were no login: {each.count}{until}")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    decrypted: Annotated[
        bool, typer.Option("--decrypted", help="Add all items in clear, passwords included. Guard the file.")
    ] = False,
    password_file: PasswordFile = None,
    home: Home = None,
) -> None:
    """Write everything that the store keeps of the account into one file, readable by its owner alone.

    Entries and records are as they are stored: signed, and sealed on the devices. With --decrypted this device adds
    the items themselves.

    Example: strongroom account export everything.json --decrypted
    """
    import json

    from strongroom.base.errors import Misconfigured
    from strongroom.cli.items import item_json
    from strongroom.cli.output import emit
    from strongroom.cli.syncing import connected
    from strongroom.client.owner import everything
    from strongroom.client.vault import LocalVault
    from strongroom.storage.files import write_private_file

    if file.exists():
        raise Misconfigured(f"{file} exists already", hint="choose another name")
    with connected(home, password_file) as (store, device):
        found = everything(store, device)
        if decrypted:
            vault = LocalVault(device.store)
            items = [*vault.items(), *vault.items(deleted=True)]
            found["items"] = [item_json(entry, show=True, history=True) for entry in items]
    write_private_file(file, json.dumps(found, indent=1).encode())
    emit(f"exported {len(found['entries'])} entries to {file}")


@app.command("delete")
def delete(
    username: Annotated[str, typer.Option("--username", "-u", help="The account's name, to be sure.")],
    password_file: PasswordFile = None,
    home: Home = None,
) -> None:
    """Delete the account and its vault at the store, for good. What is on your devices stays until you remove it.

    What the operator's backups hold goes with them; it is sealed, and opens to nobody without the account's keys.

    Example: strongroom account delete --username me@example.com
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import emit
    from strongroom.cli.syncing import connected
    from strongroom.client.owner import delete_account

    with connected(home, password_file) as (store, device):
        if username != device.profile.username:
            raise Misconfigured("this device belongs to an account of another name", setting="username")
        delete_account(store, device)
    emit(f"deleted {username} at the store")


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
