"""Options that several commands share, described once."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AcceptSimulated",
    "Address",
    "AsJson",
    "AttestWith",
    "ConfigFile",
    "Database",
    "DatabasePasswordFile",
    "DeviceName",
    "Home",
    "PasswordFile",
    "PolicyFile",
    "RootFile",
    "SecondFactorFile",
    "Username",
    "device_name",
    "home_directory",
]


def home_directory(given: Path | None) -> Path:
    """Give this device's directory: as said, else STRONGROOM_HOME, else the user's data (XDG base directories)."""
    if given is not None:
        return given
    if home := os.environ.get("STRONGROOM_HOME"):
        return Path(home)
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "strongroom"


def device_name(given: str | None) -> str:
    """Give what this device is to be called: as said, else its host name, shortened to 64 characters."""
    return (platform.node() if given is None else given).strip()[:64]


Home = Annotated[
    Path | None,
    typer.Option("--home", help="This device's directory (also STRONGROOM_HOME).", metavar="DIR"),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="File with the account's password, or - for standard input.", metavar="FILE"),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="The store's settings; the options win over them.", metavar="TOML"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Username = Annotated[str, typer.Option("--username", "-u", help="The account's name.")]
Address = Annotated[
    str, typer.Argument(help="An invitation (strongroom1:…, or @FILE with it or its QR code) or the store's address.")
]
AcceptSimulated = Annotated[
    bool,
    typer.Option("--accept-simulated-platform", help="Accept evidence that proves no hardware, and say so every time."),
]
RootFile = Annotated[
    Path | None,
    typer.Option("--root", help="PEM of the root to trust instead of Intel's or the invitation's.", metavar="PEM"),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="Appraisal policy; the code installed here by default.", metavar="TOML"),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="A postgresql:// address without a password, instead of a file in the data directory.",
        metavar="URL",
        envvar="STRONGROOM_DATABASE",
    ),
]
DatabasePasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--database-password-file",
        help="File with the database's password.",
        metavar="FILE",
        envvar="STRONGROOM_DATABASE_PASSWORD_FILE",
    ),
]
DeviceName = Annotated[
    str | None,
    typer.Option("--device-name", help="What your other devices see this one called; its host name by default."),
]
AttestWith = Annotated[
    Path | None,
    typer.Option(
        "--attest-with-simulated-platform",
        help="Prove this client's code to the store, on this simulated platform; its evidence names the platform.",
        metavar="DIR",
    ),
]
SecondFactorFile = Annotated[
    Path | None,
    typer.Option(
        "--second-factor-file",
        help="File with a code of the authenticator application or a recovery code, or - for standard input.",
        metavar="FILE",
    ),
]
