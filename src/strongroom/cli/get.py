"""``strongroom get``."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["get"]


def get(
    name: Annotated[str, typer.Argument(help="Title, identifier, or a part of title, username or address.")],
    field: Annotated[
        str | None, typer.Option("--field", "-f", help="Print only this field, password for instance.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show hidden fields too.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Show replaced values too.")] = False,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show an item. Works offline. Secrets are shown only when asked for.

    Example: strongroom get mail.example --field password
    """
    from strongroom.cli.items import item_json, item_text
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault, NoSuchItem

    with unlocked(home, password_file) as device:
        entry = LocalVault(device.store).find(name)
    item = entry.item
    if field is not None:
        custom = next((extra.value for extra in item.custom if extra.name == field), "")
        value = item.get(field) or custom
        if not value:
            raise NoSuchItem(f"the item has no field {field!r}", hint="fields: " + ", ".join(item.fields))
        emit(value)
    elif as_json:
        emit_json(item_json(entry, show=show, history=history))
    else:
        emit(item_text(entry, show=show, history=history))
