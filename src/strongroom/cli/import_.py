"""``strongroom import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["import_"]


def import_(
    file: Annotated[Path, typer.Argument(help="A Bitwarden JSON export, or a browser's CSV.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported and change nothing.")] = False,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Import from Bitwarden (unencrypted JSON) or a browser (CSV of Chrome, Edge, Firefox, Safari). Works offline.

    No field is lost: what has no place of its own becomes a custom field, and is reported. All or nothing.

    Example: strongroom import bitwarden_export.json
    """
    from strongroom.cli.importing import import_file

    import_file(file, dry_run=dry_run, password_file=password_file, home=home, as_json=as_json)
