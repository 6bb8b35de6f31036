"""``strongroom list``."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["list_"]


def list_(
    search: Annotated[str, typer.Argument(help="Only items with this in title, username or address.")] = "",
    trash: Annotated[bool, typer.Option("--trash", help="List the trash instead.")] = False,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what is in the vault. Works offline; shows no secrets.

    Example: strongroom list shop
    """
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault

    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        items = vault.search(search, deleted=trash)
        pending = vault.pending_count()
    if as_json:
        emit_json(
            [
                {
                    "id": entry.record.hex(),
                    "type": str(entry.item.item_type),
                    "title": entry.item.title,
                    "username": entry.item.get("username"),
                    "uris": [uri.value for uri in entry.item.uris],
                    "folder": entry.item.folder,
                    "pending": entry.pending,
                }
                for entry in items
            ]
        )
        return
    for entry in items:
        mark = "*" if entry.pending else " "
        emit(f"{entry.short_id}{mark} {entry.item.title[:38]:<38} {entry.item.get('username')[:36]}".rstrip())
    note(f"{len(items)} items" + (f", {pending} changes to sync (*)" if pending else ""))
