"""``strongroom login``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import (
    AcceptSimulated,
    AsJson,
    AttestWith,
    DeviceName,
    Home,
    PasswordFile,
    PolicyFile,
    RootFile,
    SecondFactorFile,
    home_directory,
)

__all__ = ["login"]

_POLL_SECONDS = 2.0


def login(
    address: Annotated[
        str | None,
        typer.Argument(help="An invitation (strongroom1:…, or @FILE) or the store's address; else the kit's."),
    ] = None,
    username: Annotated[
        str | None, typer.Option("--username", "-u", help="The account's name; else the kit's.")
    ] = None,
    kit: Annotated[
        Path | None,
        typer.Option(
            "--kit",
            help="File of the recovery kit, text or HTML, or - for standard input: secret, invitation and account.",
            metavar="FILE",
        ),
    ] = None,
    account_secret_file: Annotated[
        Path | None,
        typer.Option(
            "--account-secret-file",
            help="File with the account secret, such as the recovery kit, or - for standard input.",
            metavar="FILE",
        ),
    ] = None,
    ask_a_device: Annotated[
        bool,
        typer.Option("--ask-a-device", help="Ask another device for approval instead of using the account secret."),
    ] = False,
    second_factor_file: SecondFactorFile = None,
    device_name: DeviceName = None,
    password_file: PasswordFile = None,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    attest_with: AttestWith = None,
    as_json: AsJson = False,
) -> None:
    """Verify a store, log in from a new device and fetch the vault.

    Needs the password, and either the account secret from the recovery kit or one of your devices: with
    --ask-a-device this one shows a code and waits until it is typed there (`strongroom devices approve CODE`).
    After this the device knows its store and proves itself with a key of its own.

    With --kit the log that the store shows is held against the kit's head code once it was read.

    Example: strongroom login --kit recovery-kit.html
    """
    import time

    from strongroom.base.errors import Misconfigured
    from strongroom.cli.kit import held_against, read_kit
    from strongroom.cli.options import device_name as named
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.prompts import read_account_secret, read_password
    from strongroom.cli.second_factors import page_of, second_factor
    from strongroom.cli.wanted import Wanted, met
    from strongroom.client.account import Credentials, joined
    from strongroom.client.approval import Patience, joined_by_approval
    from strongroom.client.driver import sync_device
    from strongroom.records.account_secret import AccountSecret

    read = None if kit is None else read_kit(kit)
    if read is not None:
        address, username = address or read.invitation.to_text(), username or read.username
    if address is None or username is None:
        raise Misconfigured(
            "whom to log in to, and as whom, is not said", hint="give an invitation and --username, or --kit"
        )
    directory = home_directory(home)
    wanted = Wanted.parse(
        address,
        accept_simulated_platform=accept_simulated_platform,
        root=root,
        policy=policy,
        attest_with=attest_with,
    )
    with met(wanted, directory) as (store, trust):
        credentials = Credentials(
            username=username,
            password=read_password(password_file),
            device_name=named(device_name),
            second_factor=lambda asked: second_factor(asked, second_factor_file, page=page_of(trust.url)),
        )
        if ask_a_device:
            joining = joined_by_approval(
                directory,
                store,
                credentials,
                trust,
                show_code=lambda code: note(f"on another device, run: strongroom devices approve {code}"),
                patience=Patience(pause=lambda: time.sleep(_POLL_SECONDS)),
            )
        else:
            secret = read.account_secret if read else AccountSecret.parse(read_account_secret(account_secret_file))
            joining = joined(directory, store, credentials, trust, secret)
        with joining as device:
            summary = sync_device(device, store)
            device_key = device.device_key.public.hex()
            if read is not None and read.head is not None:
                held_against(device, read.head)
    if as_json:
        emit_json({"username": username, "device": device_key, "pulled": summary.pulled, "home": str(directory)})
    else:
        emit(f"logged in as {username}: {summary.pulled} records fetched")
