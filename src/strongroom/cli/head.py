"""``strongroom head``."""

from __future__ import annotations

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["head"]


def head(password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """Print the code of this device's last verified head, to compare with another device by eye.

    Two devices that have both synced show the same code. If they have the same number of entries and other codes,
    the store has shown them different histories. Below stand the account's other devices, as they last stated what
    they had seen: that they agree with this device was checked.

    Example: strongroom head
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault, NoSuchItem
    from strongroom.vaultlog.head import head_code
    from strongroom.vaultlog.statement import SignedStatement

    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        state = vault.sync_state()
        pending = vault.pending_count()
    last = None if state is None else state.view.last_head
    if last is None:
        raise NoSuchItem("this device has not synced yet", hint="run `strongroom sync`")
    sisters = [SignedStatement.from_bytes(data) for data in (state.sisters if state is not None else ())]
    if as_json:
        emit_json(
            {
                "code": head_code(last),
                "entries": last.length,
                "chain": last.chain_hash.hex(),
                "signed_at": _time(last.time_ms),
                "pending": pending,
                "devices": [
                    {
                        "device": sister.statement.device.hex(),
                        "entries": sister.head.length,
                        "stated_at": _time(sister.statement.time_ms),
                    }
                    for sister in sisters
                ],
            }
        )
        return
    emit(head_code(last))
    emit(f"{last.length} entries, signed by the store at {_time(last.time_ms)}, {pending} changes not sent yet")
    for sister in sisters:
        seen = f"{sister.head.length} entries at {_time(sister.statement.time_ms)}"
        emit(f"device {sister.statement.device.hex()[:8]} has seen {seen}")


def _time(at_ms: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
