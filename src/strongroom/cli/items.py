"""How an item looks to people and to programs; and items made from options."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import Malformed, Misconfigured
from strongroom.cli.prompts import read_secret
from strongroom.records.item import HIDDEN_FIELDS, Item, Uri

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.client.vault import VaultItem

__all__ = ["generated_password", "item_json", "item_text", "new_secret", "now_ms", "uris"]

_HIDDEN: Final = "********"
_ALPHABET: Final = string.ascii_letters + string.digits + "-_.!+"
_LENGTH: Final = 24  # characters of 67: 145 bits


def now_ms() -> int:
    """Give the time as items have it: Unix milliseconds."""
    return int(datetime.now(UTC).timestamp() * 1000)


def generated_password() -> str:
    """Draw a password of 24 characters, about 145 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def new_secret(*, generate: bool, file: Path | None, ask: bool) -> str | None:
    """Give an item's new password as the options say, or ``None`` when they say nothing of it."""
    if generate and (file is not None or ask):
        raise Misconfigured("generate a password or give one, not both")
    if generate:
        return generated_password()
    if file is not None:
        secret = read_secret("Item's password", file)
        if not secret:  # as when standard input has been read for the account's password already
            raise Malformed("nothing is in there", path=str(file))
        return secret
    return read_secret("Item's password", None, confirm=True) if ask else None


def uris(addresses: list[str] | None) -> tuple[Uri, ...] | None:
    """Give addresses as an item has them, or ``None`` when none were named."""
    return tuple(Uri(value=address) for address in addresses) if addresses else None


def item_text(entry: VaultItem, *, show: bool, history: bool) -> str:
    """Describe an item in lines."""
    item = entry.item
    lines = [f"{'id':<14} {entry.record.hex()}", f"{'type':<14} {item.item_type}"]
    for name, value in item.fields.items():
        lines += _lines(name, value if show or name not in HIDDEN_FIELDS else _HIDDEN)
    lines += [f"{'address':<14} {uri.value} ({uri.match})" for uri in item.uris]
    for extra in item.custom:
        lines += _lines(extra.name, _HIDDEN if extra.hidden and not show else extra.value)
    if item.folder:
        lines.append(f"{'folder':<14} {item.folder}")
    if item.tags:
        lines.append(f"{'tags':<14} {', '.join(item.tags)}")
    lines.append(f"{'changed':<14} {_when(item.changed_at)}" + ("  (not synced yet)" if entry.pending else ""))
    if history:
        for past in reversed(item.history):
            value = past.value if show or not _is_hidden(item, past.field) else _HIDDEN
            lines.append(f"{'until ' + _when(past.changed_at):<14}  {past.field} was {value}")
    return "\n".join(lines)


def item_json(entry: VaultItem, *, show: bool, history: bool) -> dict[str, Any]:
    """Describe an item for a program; hidden values are ``null`` unless asked for."""
    item = entry.item
    shown: dict[str, Any] = {
        "id": entry.record.hex(),
        "type": str(item.item_type),
        "fields": {name: value if show or name not in HIDDEN_FIELDS else None for name, value in item.fields.items()},
        "uris": [{"uri": uri.value, "match": str(uri.match)} for uri in item.uris],
        "custom": [
            {"name": extra.name, "value": None if extra.hidden and not show else extra.value} for extra in item.custom
        ],
        "folder": item.folder,
        "tags": list(item.tags),
        "favourite": item.favourite,
        "changed_at": _when(item.changed_at),
        "pending": entry.pending,
    }
    if history:
        shown["history"] = [
            {
                "field": past.field,
                "value": past.value if show or not _is_hidden(item, past.field) else None,
                "replaced_at": _when(past.changed_at),
            }
            for past in item.history
        ]
    return shown


def _is_hidden(item: Item, field: str) -> bool:
    if field in HIDDEN_FIELDS:
        return True
    # a past value of a custom field may have been hidden when it was set; better hidden than shown
    return field.startswith("custom:") or field not in item.fields


def _lines(name: str, value: str) -> list[str]:
    first, *rest = value.split("\n")
    return [f"{name:<14} {first}", *(f"{'':<14} {line}" for line in rest)]


def _when(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
