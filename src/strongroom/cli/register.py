"""``strongroom register``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import (
    AcceptSimulated,
    Address,
    AsJson,
    AttestWith,
    DeviceName,
    Home,
    PasswordFile,
    PolicyFile,
    RootFile,
    Username,
    home_directory,
)

if TYPE_CHECKING:
    from strongroom.client.device import Device

__all__ = ["register"]


def register(
    address: Address,
    username: Username,
    recovery_kit: Annotated[
        Path | None,
        typer.Option("--recovery-kit", help="Where to write it; recovery-kit.txt by default.", metavar="FILE"),
    ] = None,
    device_name: DeviceName = None,
    password_file: PasswordFile = None,
    home: Home = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    attest_with: AttestWith = None,
    as_json: AsJson = False,
) -> None:
    """Verify a store and open an account there, with this device as its first.

    The password never leaves this device. Further devices also need the account secret, which is written into the
    recovery kit: print it, keep it safe, delete the file.

    Example: strongroom register strongroom1:… --username me@example.com
    """
    from strongroom.cli.options import device_name as named
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.prompts import read_password
    from strongroom.cli.wanted import Wanted, met
    from strongroom.client.account import Credentials, registered
    from strongroom.client.driver import sync_device
    from strongroom.client.recovery_kit import recovery_kit as kit_of
    from strongroom.storage.files import write_private_file

    directory = home_directory(home)
    wanted = Wanted.parse(
        address,
        accept_simulated_platform=accept_simulated_platform,
        root=root,
        policy=policy,
        attest_with=attest_with,
    )
    kit = recovery_kit or directory / "recovery-kit.txt"

    def keep_kit(device: Device) -> None:
        write_private_file(kit, kit_of(device).to_text().encode())

    with met(wanted, directory) as (store, trust):
        password = read_password(password_file, confirm=True)
        credentials = Credentials(username=username, password=password, device_name=named(device_name))
        with registered(directory, store, credentials, trust, before_ready=keep_kit) as device:
            sync_device(device, store)
            device_key = device.device_key.public.hex()
    if as_json:
        emit_json({"username": username, "device": device_key, "recovery_kit": str(kit), "home": str(directory)})
    else:
        emit(f"registered {username} with this device")
        note(f"the account secret is in {kit}: print it, keep it safe, delete the file")
