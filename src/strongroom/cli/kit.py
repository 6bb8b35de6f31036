"""``strongroom kit``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile, home_directory

if TYPE_CHECKING:
    from strongroom.client.device import Device
    from strongroom.client.recovery_kit import KitHead, RecoveryKit

__all__ = ["held_against", "kit", "read_kit"]

_OLDER = (
    "this device is set up with what the store shows; ask the operator, and do not change anything until it is"
    " explained: if the store lost entries, a device that has them can hand them back"
)


def kit(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write it, .html or .txt, or - for text on standard output; recovery-kit.html by default.",
            metavar="FILE",
        ),
    ] = None,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the recovery kit: one page to print, with what a new device needs besides your password.

    Account, store, account secret and invitation, the last two as QR codes as well, and this device's head code, by
    which a new device finds out whether the store shows it less than this one has seen. A file that exists is left.

    Example: strongroom kit --output kit.html
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.kit_page import kit_page
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.unlock import unlocked
    from strongroom.client.recovery_kit import recovery_kit
    from strongroom.storage.files import new_private_file
    from strongroom.transport.clock import SystemClock

    path = home_directory(home) / "recovery-kit.html" if output is None else output
    kind = ".txt" if str(path) == "-" else path.suffix.lower()
    if kind not in {".html", ".txt"}:
        raise Misconfigured("--output takes the name of an .html or a .txt file", setting="output")
    with unlocked(home, password_file) as device:
        made = recovery_kit(device)
    page = made.to_text() if kind == ".txt" else kit_page(made, at=SystemClock().now())
    if str(path) == "-":
        emit(page)
        return
    with new_private_file(path, subject="the recovery kit") as unfinished, unfinished.open("wb") as file:
        file.write(page.encode())
        file.flush()
        os.fsync(file.fileno())
    if made.head is None:
        note("this device has not synced yet, so the kit has no head code")
    if as_json:
        emit_json({"recovery_kit": str(path)})
    else:
        emit(f"wrote {path}: print it, keep it safe, delete the file")


def read_kit(file: Path) -> RecoveryKit:
    """Read a kit that a command line names, ``-`` being standard input."""
    from strongroom.cli.wanted import read_file
    from strongroom.client.recovery_kit import MAX_KIT_BYTES, RecoveryKit

    if str(file) == "-":
        return RecoveryKit.parse(sys.stdin.buffer.read(MAX_KIT_BYTES + 1))
    return RecoveryKit.parse(read_file(file, max_bytes=MAX_KIT_BYTES))


def held_against(device: Device, head: KitHead) -> None:
    """Hold what a new device was shown against the kit's head; what speaks against it says how to go on."""
    from strongroom.base.errors import Misbehaviour
    from strongroom.client.recovery_kit import check_kit_head

    try:
        check_kit_head(device, head)
    except Misbehaviour as error:
        error.hint = _OLDER
        raise
