"""``strongroom remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["remove"]


def remove(
    name: Annotated[str, typer.Argument(help="Title, identifier, or a part of title, username or address.")],
    restore: Annotated[bool, typer.Option("--restore", help="Take it out of the trash instead.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Erase what is in the trash for good.")] = False,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Move an item into the trash, take it out again, or erase it for good. Works offline.

    Example: strongroom remove "Old forum"
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.items import now_ms
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault

    if restore and purge:
        raise Misconfigured("restore or purge, not both")
    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        entry = vault.find(name, deleted=restore or purge)
        at = now_ms()
        if restore:
            done, item = "restored", entry.item.restored(at=at)
        elif purge:
            done, item = "erased", entry.item.purged(at=at)
        else:
            done, item = "removed", entry.item.trashed(at=at)
        vault.change(entry, item)
    if as_json:
        emit_json({"id": entry.record.hex(), "done": done})
    else:
        emit(f"{done} {entry.item.title} ({entry.short_id})")
