"""``strongroom sync``."""

from __future__ import annotations

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["sync"]


def sync(password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """Verify the store, then bring this device and the others into step, both ways.

    A store that shows an older or another history than before is refused; the proof is kept in this device's
    directory, and nothing of what it showed is taken over.

    Example: strongroom sync
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import sync_and_keep_proof
    from strongroom.cli.unlock import unlocked

    with unlocked(home, password_file) as device:
        summary = sync_and_keep_proof(device)
    if as_json:
        emit_json(
            {
                "pulled": summary.pulled,
                "pushed": summary.pushed,
                "merged": summary.merged,
                "conflicts": summary.conflicts,
            }
        )
        return
    parts = [f"{summary.pulled} fetched", f"{summary.pushed} sent"]
    if summary.merged:
        parts.append(f"{summary.merged} merged, {summary.conflicts} replaced values kept in their items' history")
    emit("synced: " + ", ".join(parts))
