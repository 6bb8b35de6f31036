"""``strongroom sync``."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["sync"]


def sync(
    repair: Annotated[
        bool, typer.Option("--repair", help="First hand back to the store what it has lost and this device has.")
    ] = False,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Verify the store, then bring this device and the others into step, both ways.

    A store that shows an older or another history than before is refused; the proof is kept in this device's
    directory, and nothing of what it showed is taken over. Where that came from a database that was put back,
    --repair makes it good: the store takes exactly the history that it had signed for, and nothing else.

    Example: strongroom sync
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import repair_and_keep_proof, sync_and_keep_proof
    from strongroom.cli.unlock import unlocked

    with unlocked(home, password_file) as device:
        repaired = repair_and_keep_proof(device) if repair else None
        summary = sync_and_keep_proof(device)
    if as_json:
        emit_json(
            {
                "pulled": summary.pulled,
                "pushed": summary.pushed,
                "merged": summary.merged,
                "conflicts": summary.conflicts,
                "handed_back": 0 if repaired is None else repaired.entries,
            }
        )
        return
    if repaired is not None:
        entries = "1 entry" if repaired.entries == 1 else f"{repaired.entries} entries"
        emit(f"handed back: {entries} that the store had signed for and lost")
    parts = [f"{summary.pulled} fetched", f"{summary.pushed} sent"]
    if summary.merged:
        parts.append(f"{summary.merged} merged, {summary.conflicts} replaced values kept in their items' history")
    emit("synced: " + ", ".join(parts))
