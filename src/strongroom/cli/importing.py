"""Importing a file: say what it will do, leave out what is there already, add the rest in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from strongroom.cli.items import now_ms
from strongroom.cli.output import emit, emit_json, note
from strongroom.cli.unlock import unlocked
from strongroom.cli.wanted import read_file
from strongroom.client.importers import MAX_IMPORT_BYTES, detect
from strongroom.client.vault import LocalVault

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.records.item import Item

__all__ = ["import_file"]


def import_file(file: Path, *, dry_run: bool, password_file: Path | None, home: Path | None, as_json: bool) -> None:
    """Import, or say what an import would do."""
    data = read_file(file, max_bytes=MAX_IMPORT_BYTES)
    importer = detect(data)
    result = importer.read(data, at=now_ms())
    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        known = {_contents(entry.item) for entry in vault.items()}
        fresh = [item for item in result.items if _contents(item) not in known]
        if not dry_run:
            vault.add_all(fresh)
    duplicates = len(result.items) - len(fresh)
    if as_json:
        emit_json(
            {
                "format": importer.name,
                "imported": 0 if dry_run else len(fresh),
                "would_import": len(fresh),
                "duplicates": duplicates,
                "skipped": [{"where": entry.where, "reason": entry.reason} for entry in result.skipped],
                "kept_as_custom": dict(result.kept_as_custom),
            }
        )
        return
    for entry in result.skipped:
        note(f"left out {entry.where}: {entry.reason}")
    for name, count in result.kept_as_custom.items():
        note(f"kept {name!r} as a custom field in {count} items")
    if duplicates:
        note(f"{duplicates} items are in the vault already")
    emit(f"{'would import' if dry_run else 'imported'} {len(fresh)} items ({importer.label})")


def _contents(item: Item) -> bytes:
    """Give what makes two items the same, whenever each was made."""
    bare = replace(item, tags=(), favourite=False, history=(), created_at=0, changed_at=0)
    return bare.to_bytes()
