"""``strongroom add``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["add"]


def add(
    title: Annotated[str, typer.Argument(help="The item's title.")],
    item_type: Annotated[str, typer.Option("--type", help="login or note.")] = "login",
    username: Annotated[str, typer.Option("--username", "-u", help="The login's username.")] = "",
    url: Annotated[list[str] | None, typer.Option("--url", help="An address; may be given several times.")] = None,
    folder: Annotated[str, typer.Option("--folder", help="A folder.")] = "",
    generate: Annotated[bool, typer.Option("--generate", "-g", help="Draw a password and keep it.")] = False,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="File with the login's password, or -.", metavar="FILE")
    ] = None,
    notes_file: Annotated[
        Path | None, typer.Option("--notes-file", help="File with the notes, or -.", metavar="FILE")
    ] = None,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add a login or a note. Works offline; `strongroom sync` carries it to your other devices.

    Without --generate and --secret-file the login's password is asked for.

    Example: strongroom add "Mail" --username me@example.com --url https://mail.example --generate
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.items import new_secret, now_ms, uris
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.prompts import MAX_NOTES_BYTES, read_secret
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault
    from strongroom.records.item import Item, ItemType

    if item_type not in {ItemType.LOGIN, ItemType.NOTE}:
        raise Misconfigured("--type is login or note; cards, identities and keys come by import", setting="type")
    with unlocked(home, password_file) as device:
        fields = {"title": title, "username": username}
        if item_type == ItemType.LOGIN:
            ask = not generate and secret_file is None
            fields["password"] = new_secret(generate=generate, file=secret_file, ask=ask) or ""
        if notes_file is not None:
            fields["notes"] = read_secret("Notes", notes_file, max_bytes=MAX_NOTES_BYTES)
        at = now_ms()
        item = Item(
            item_type=ItemType(item_type),
            fields=fields,
            uris=uris(url) or (),
            folder=folder,
            created_at=at,
            changed_at=at,
        )
        entry = LocalVault(device.store).add(item)
    if as_json:
        emit_json({"id": entry.record.hex(), "title": title})
    else:
        emit(f"added {title} ({entry.short_id})")
