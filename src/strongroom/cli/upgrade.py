"""``strongroom upgrade``: let a release of the pinned vendor take over a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import Database, DatabasePasswordFile

if TYPE_CHECKING:
    from strongroom.store.ports import WriteTransaction

__all__ = ["app"]

app = typer.Typer(
    name="upgrade",
    help="Upgrades: a deployment hands its keys to the code of a signed release, and to no other.",
    no_args_is_help=True,
)


@app.command("authorise")
def authorise(
    manifest: Annotated[list[Path], typer.Argument(help="Files with manifests, oldest first.")],
    data: Annotated[Path, typer.Option("--data", help="Directory of the store's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ],
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Authorise releases, with the code that runs now: from then on, and past the delay, the newest may join.

    Each has to be signed by the deployment's vendor keys and to follow the one before. Start the new release with
    `strongroom serve --join`; the old one goes on until you stop it.

    Example: strongroom upgrade authorise release2.txt --data store --simulated-platform platform
    """
    from datetime import UTC, datetime

    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.output import emit
    from strongroom.cli.release import read_manifest
    from strongroom.store.transactions import transact

    signed = [read_manifest(path) for path in manifest]
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with opened_deployment(settings, simulated_platform) as (deployment, _, _):

        def follow(transaction: WriteTransaction) -> None:
            charter = deployment.charter(transaction)
            state = deployment.release_state(transaction)
            for item in signed:
                state = state.followed(item, charter.vendor, at_ms=now_ms)
            deployment.set_release_state(transaction, state)

        transact(deployment.storage, follow)
    newest = signed[-1].manifest
    emit(f"release {newest.sequence}, {newest.version}, is authorised")
