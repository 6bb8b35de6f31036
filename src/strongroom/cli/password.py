"""``strongroom password``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import Home, PasswordFile

__all__ = ["password"]


def password(
    new_password_file: Annotated[
        Path | None,
        typer.Option(
            "--new-password-file", help="File with the new password, or - for standard input.", metavar="FILE"
        ),
    ] = None,
    this_device_only: Annotated[
        bool,
        typer.Option("--this-device-only", help="Leave the account's password; change what opens this device."),
    ] = False,
    password_file: PasswordFile = None,
    home: Home = None,
) -> None:
    """Change the account's password, and what opens this device with it.

    The old password is dead at once. Other devices stay set up and go on opening with the password they have; run
    this with --this-device-only there. The account secret and the recovery kit stay as they are.

    Example: strongroom password
    """
    from strongroom.cli.output import emit
    from strongroom.cli.prompts import read_password
    from strongroom.cli.syncing import store_of
    from strongroom.cli.unlock import unlocked
    from strongroom.client.device import rewrapped
    from strongroom.client.owner import change_password

    with unlocked(home, password_file) as device:
        new = read_password(new_password_file, confirm=True, name="New password")
        if this_device_only:
            rewrapped(device, new)
            emit("this device opens with the new password")
            return
        with store_of(device) as store:
            change_password(store, device, new)
    emit("the password is changed")
