"""``strongroom factor``: second factors of the account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["app"]

app = typer.Typer(
    help="Second factors: what a login needs beside the password.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("add")
def add(
    kind: Annotated[str, typer.Argument(help="totp for an authenticator application, key for a security key.")],
    name: Annotated[str, typer.Option("--name", help="What to call it.")] = "",
    code_file: Annotated[
        Path | None,
        typer.Option("--code-file", help="Where to read the application's code, or - for standard input."),
    ] = None,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add a second factor. With the first one come recovery codes: keep them apart from this device.

    From then on a login needs it beside the password. Devices that are set up need none.

    Example: strongroom factor add totp --name phone
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.prompts import read_secret
    from strongroom.cli.second_factors import page_of, rp_of
    from strongroom.cli.syncing import connected
    from strongroom.cli.totp import show_totp
    from strongroom.client import owner

    if kind not in {"totp", "key"}:
        raise Misconfigured("a second factor is totp or key", setting="kind")

    with connected(home, password_file) as (store, device):

        def show(secret: bytes) -> str:
            show_totp(secret, device.profile.username)
            return read_secret("Code that the application shows", code_file).strip()

        def touch(options: str) -> str:
            from strongroom.client.security_keys import answer_registration, present_key

            key = present_key()
            if key is None:
                raise Misconfigured("no security key is plugged in", hint="plug one in and try again")
            note("touch your security key")
            return answer_registration(options, key, page_of(device.profile.trust.url))

        if kind == "totp":
            codes = owner.add_totp(store, device, name or "authenticator", show)
        else:
            codes = owner.add_key(store, device, name or "security key", rp_of(device.profile.trust.url), touch)
    if as_json:
        emit_json({"added": kind, "recovery_codes": codes})
        return
    emit(f"added: a login now needs the {'application' if kind == 'totp' else 'security key'} beside the password")
    if codes:
        note("recovery codes, each good for one login; they are not shown again:")
        for code in codes:
            emit(code)


@app.command("list")
def list_(password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """List the account's second factors, and how many recovery codes are left.

    Example: strongroom factor list
    """
    from datetime import UTC, datetime

    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import connected
    from strongroom.client.account import prove_device
    from strongroom.formats.account_api import ListFactors

    with connected(home, password_file) as (store, device):
        prove_device(store, device)
        found = store.list_factors(ListFactors())

    def day(at_ms: int) -> str:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"

    if as_json:
        emit_json(
            {
                "factors": [
                    {"id": item.id.hex(), "kind": item.kind, "name": item.name, "added": day(item.added_ms)}
                    for item in found.factors
                ],
                "recovery_codes": found.recovery_codes,
            }
        )
        return
    for item in found.factors:
        emit(f"{item.id.hex()}  {item.kind}  {item.name}, added {day(item.added_ms)}")
    emit(f"{found.recovery_codes} recovery codes left" if found.factors else "no second factor")


@app.command("remove")
def remove(
    factor: Annotated[str, typer.Argument(help="Its id, as listed.")],
    password_file: PasswordFile = None,
    home: Home = None,
) -> None:
    """Remove a second factor; with the last one the recovery codes go, too.

    Example: strongroom factor remove 5b0c1e9a77d2f301
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import emit
    from strongroom.cli.syncing import connected
    from strongroom.client.account import prove_device
    from strongroom.formats.account_api import RemoveFactor

    try:
        identifier = bytes.fromhex(factor)
    except ValueError:
        identifier = b""
    if len(identifier) != 8:
        raise Misconfigured("a second factor's id has 16 hexadecimal digits", hint="see `strongroom factor list`")
    with connected(home, password_file) as (store, device):
        prove_device(store, device)
        store.remove_factor(RemoveFactor(id=identifier))
    emit(f"removed {factor}")
