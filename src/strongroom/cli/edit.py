"""``strongroom edit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["edit"]


def edit(
    name: Annotated[str, typer.Argument(help="Title, identifier, or a part of title, username or address.")],
    title: Annotated[str | None, typer.Option("--title", help="A new title.")] = None,
    username: Annotated[str | None, typer.Option("--username", "-u", help="A new username.")] = None,
    url: Annotated[list[str] | None, typer.Option("--url", help="New addresses, in place of the old.")] = None,
    folder: Annotated[str | None, typer.Option("--folder", help="Another folder.")] = None,
    generate: Annotated[bool, typer.Option("--generate", "-g", help="Draw a new password.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for a new password.")] = False,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="File with the new password, or -.", metavar="FILE")
    ] = None,
    notes_file: Annotated[
        Path | None, typer.Option("--notes-file", help="File with new notes, or -.", metavar="FILE")
    ] = None,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Change an item. Works offline. Replaced values stay in the item's history.

    Example: strongroom edit Mail --generate
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.items import new_secret, now_ms, uris
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.prompts import MAX_NOTES_BYTES, read_secret
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault

    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        entry = vault.find(name)
        fields = {
            "title": title,
            "username": username,
            "password": new_secret(generate=generate, file=secret_file, ask=ask),
            "notes": None if notes_file is None else read_secret("Notes", notes_file, max_bytes=MAX_NOTES_BYTES),
        }
        changes = {field: value for field, value in fields.items() if value is not None}
        addresses = uris(url)
        if not changes and addresses is None and folder is None:
            raise Misconfigured("nothing to change", hint="`strongroom edit --help` lists what can be changed")
        item = entry.item.edited(at=now_ms(), fields=changes, uris=addresses, folder=folder)
        vault.change(entry, item)
    if as_json:
        emit_json({"id": entry.record.hex(), "changed": sorted(changes)})
    else:
        emit(f"changed {item.title} ({entry.short_id})")
