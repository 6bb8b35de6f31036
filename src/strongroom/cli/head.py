"""``strongroom head``."""

from __future__ import annotations

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["head"]


def head(password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """Print the code of this device's last verified head, to compare with another device by eye.

    Two devices that have both synced show the same code. If they have the same number of entries and other codes,
    the store has shown them different histories.

    Example: strongroom head
    """
    from datetime import UTC, datetime

    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault, NoSuchItem
    from strongroom.vaultlog.head import head_code

    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        state = vault.sync_state()
        pending = vault.pending_count()
    last = None if state is None else state.view.last_head
    if last is None:
        raise NoSuchItem("this device has not synced yet", hint="run `strongroom sync`")
    signed_at = datetime.fromtimestamp(last.time_ms / 1000, UTC)
    if as_json:
        emit_json(
            {
                "code": head_code(last),
                "entries": last.length,
                "chain": last.chain_hash.hex(),
                "signed_at": f"{signed_at:%Y-%m-%dT%H:%M:%SZ}",
                "pending": pending,
            }
        )
        return
    emit(head_code(last))
    emit(f"{last.length} entries, signed by the store {signed_at:%Y-%m-%d %H:%M} UTC, {pending} changes not sent yet")
