"""``strongroom backup`` and ``strongroom restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Database, DatabasePasswordFile

__all__ = ["backup", "restore"]


def backup(
    file: Annotated[Path, typer.Argument(help="The file to make; one that exists is kept.")],
    data: Annotated[Path, typer.Option("--data", help="Directory of the store's database.")],
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Write every row of this moment into one file, while stores go on serving.

    The file holds what the database holds: keyed hashes and sealed values. It can be put back into either kind of
    database, and is opened by the same code on the same platform, or after a recovery from shares.

    Example: strongroom backup store-2026-11-24.backup --data store
    """
    import os

    from strongroom.cli.databases import StorageSettings, open_storage
    from strongroom.cli.output import emit, emit_json
    from strongroom.storage.files import new_private_file
    from strongroom.store.backup import write_backup
    from strongroom.transport.clock import SystemClock

    storage = open_storage(StorageSettings(data=data, database=database, password_file=database_password_file))
    try:
        with (
            new_private_file(file.absolute(), subject=f"the backup {file}") as unfinished,
            unfinished.open("wb") as out,
        ):
            rows = write_backup(storage, out, taken_ms=int(SystemClock().now().timestamp() * 1000))
            out.flush()
            os.fsync(out.fileno())
    finally:
        storage.close()
    if as_json:
        emit_json({"file": str(file), "rows": rows})
        return
    emit(f"{rows} rows are in {file}")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    data: Annotated[Path, typer.Option("--data", help="Directory for the store's database; it must hold none.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="One line for the people whose data it is.")] = "",
    epoch: Annotated[
        int, typer.Option("--epoch", help="At least this epoch, if clients have seen a later one than the backup's.")
    ] = 0,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup back into an empty database, and let the deployment sign that this was done.

    Devices that have seen more than the backup holds are told so, stop, and hand their entries back when their owners
    say `strongroom sync --repair`. Stopped half-way, it goes on when it is called again.

    Example: strongroom restore store.backup --data store --simulated-platform platform --reason "disk failure"
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.instance import restore_deployment
    from strongroom.cli.output import emit, emit_json

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    try:
        with file.open("rb") as source:
            notice = restore_deployment(settings, simulated_platform, source, reason=reason, epoch=epoch)
    except OSError as cause:
        raise Misconfigured(f"cannot read {file}: {cause.strerror}", setting="file") from cause
    if as_json:
        emit_json({"epoch": notice.epoch, "taken_ms": notice.taken_ms, "restored_ms": notice.restored_ms})
        return
    emit(f"the backup was put back; clients see epoch {notice.epoch}, and that it was restored")
