"""``strongroom rotate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Database, DatabasePasswordFile

__all__ = ["rotate"]


def rotate(
    data: Annotated[Path, typer.Option("--data", help="Directory of the store's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ],
    go_on: Annotated[
        bool, typer.Option("--continue", help="Begin no new epoch; seal anew what is still of an earlier one.")
    ] = False,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Begin a new key epoch and seal every row anew under it, while stores go on serving.

    Stopped anywhere, it goes on with --continue. Restart the stores afterwards: clients accept no earlier epoch from
    the first one on that they meet in the new. Make new recovery shares: the old ones open nothing written from now on.

    Example: strongroom rotate --data store --simulated-platform platform
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_for_work
    from strongroom.cli.output import emit, emit_json
    from strongroom.store.rotation import reseal, resealing_is_unfinished
    from strongroom.transport.clock import SystemClock

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with opened_for_work(settings, simulated_platform) as (storage, deployment, attester):
        if not go_on:
            if resealing_is_unfinished(storage, deployment):
                raise Misconfigured("an earlier rotation was not finished", hint="run it with --continue first")
            deployment.begin_epoch(attester, time_ms=int(SystemClock().now().timestamp() * 1000))
        done = reseal(storage, deployment)
        epoch = deployment.root.epoch
    if as_json:
        emit_json({"epoch": epoch, "rows": done.seen, "sealed": done.sealed, "unopened": done.unopened})
        return
    emit(f"key epoch {epoch}: {done.sealed} of {done.seen} rows were sealed anew")
    if done.unopened:
        emit(f"{done.unopened} rows of an earlier epoch open for no tenant: they were altered, or their tenant is gone")
