"""``strongroom login``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import (
    AcceptSimulated,
    Address,
    AsJson,
    Home,
    PasswordFile,
    PolicyFile,
    RootFile,
    Username,
    home_directory,
)

__all__ = ["login"]


def login(
    address: Address,
    username: Username,
    account_secret_file: Annotated[
        Path | None,
        typer.Option(
            "--account-secret-file",
            help="File with the account secret, such as the recovery kit, or - for standard input.",
            metavar="FILE",
        ),
    ] = None,
    password_file: PasswordFile = None,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Verify a store, log in from a new device and fetch the vault.

    Needs the password and the account secret from the recovery kit. After this the device knows its store and
    proves itself with a key of its own.

    Example: strongroom login strongroom1:… --username me@example.com
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.prompts import read_account_secret, read_password
    from strongroom.cli.wanted import Wanted, met
    from strongroom.client.account import Credentials, joined
    from strongroom.client.driver import sync_device
    from strongroom.records.account_secret import AccountSecret

    directory = home_directory(home)
    wanted = Wanted.parse(address, accept_simulated_platform=accept_simulated_platform, root=root, policy=policy)
    with met(wanted, directory) as (store, trust):
        credentials = Credentials(username=username, password=read_password(password_file))
        account_secret = AccountSecret.parse(read_account_secret(account_secret_file))
        with joined(directory, store, credentials, trust, account_secret) as device:
            summary = sync_device(device, store)
            device_key = device.device_key.public.hex()
    if as_json:
        emit_json({"username": username, "device": device_key, "pulled": summary.pulled, "home": str(directory)})
    else:
        emit(f"logged in as {username}: {summary.pulled} records fetched")
