"""Options that several commands share, described once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Home", "PasswordFile", "default_home"]


def default_home() -> Path:
    """Give this device's directory: STRONGROOM_HOME, else the place for a user's data (XDG base directories)."""
    if home := os.environ.get("STRONGROOM_HOME"):
        return Path(home)
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "strongroom"


Home = Annotated[
    Path,
    typer.Option("--home", help="This device's directory. STRONGROOM_HOME sets another default.", show_default=False),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="Read the password from this file, or - for standard input.", metavar="FILE"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
