"""``strongroom instances``: who may become an instance of a deployment, and who ever did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strongroom.cli.options import AsJson, Database, DatabasePasswordFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.cli.databases import StorageSettings
    from strongroom.store.charter import Charter
    from strongroom.store.joins import JoinRecord
    from strongroom.store.ports import WriteTransaction

__all__ = ["app"]

app = typer.Typer(
    name="instances",
    help="Instances of a deployment: from where they may join, and the log of who did.",
    no_args_is_help=True,
)

Data = Annotated[Path, typer.Option("--data", help="Directory of the store's database.")]
Platform = Annotated[Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")]
Machines = Annotated[
    list[str] | None, typer.Option("--machine", help="Id of a machine, or `this`; repeatable.", metavar="HEX")
]
Roots = Annotated[
    list[Path] | None,
    typer.Option("--root", help="PEM of another simulated platform's root; repeatable.", metavar="PEM"),
]


@app.command("allow")
def allow(
    data: Data,
    simulated_platform: Platform,
    machine: Machines = None,
    any_machine: Annotated[bool, typer.Option("--any-machine", help="Any machine whose evidence is accepted.")] = False,
    root: Roots = None,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Let instances join from a machine. It takes effect at once, and is logged.

    Example: strongroom instances allow --data store --simulated-platform platform --machine 3f…
    """
    from dataclasses import replace

    from strongroom.cli.charters import named_machines
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.wanted import read_file
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.policy import ANY

    roots = frozenset(Anchor.from_certificate(read_file(path), simulated=True).spki for path in root or ())

    def changed(charter: Charter, platform_id: bytes) -> Charter:
        named = named_machines(machine, platform_id)
        machines = ANY if any_machine else named if charter.machines is ANY else charter.machines | named
        if not (any_machine or named):
            machines = charter.machines
        return replace(charter, machines=machines, simulated_roots=charter.simulated_roots | roots)

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    _change(settings, simulated_platform, changed)


@app.command("forbid")
def forbid(
    data: Data,
    simulated_platform: Platform,
    machine: Machines = None,
    root: Roots = None,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Let no instance join from a machine any more. One that has the root key keeps it: see distrust notices.

    Example: strongroom instances forbid --data store --simulated-platform platform --machine 3f…
    """
    from dataclasses import replace

    from strongroom.base.errors import Misconfigured
    from strongroom.cli.charters import named_machines
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.wanted import read_file
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.policy import ANY

    roots = frozenset(Anchor.from_certificate(read_file(path), simulated=True).spki for path in root or ())

    def changed(charter: Charter, platform_id: bytes) -> Charter:
        named = named_machines(machine, platform_id)
        if charter.machines is ANY:
            if named:
                raise Misconfigured("any machine may join; name those that may with `strongroom instances allow`")
            return replace(charter, simulated_roots=charter.simulated_roots - roots)
        return replace(charter, machines=charter.machines - named, simulated_roots=charter.simulated_roots - roots)

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    _change(settings, simulated_platform, changed)


@app.command("show")
def show(
    data: Data,
    simulated_platform: Platform,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the charter: who may join, whose releases count, how the deployment is recovered.

    Example: strongroom instances show --data store --simulated-platform platform
    """
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.output import emit, emit_json

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with (
        opened_deployment(settings, simulated_platform) as (deployment, _, _),
        deployment.storage.read() as transaction,
    ):
        charter, releases = deployment.charter(transaction), deployment.release_state(transaction)
    shown = {**_shown(charter), "epoch": deployment.epoch, "release": releases.sequence}
    if as_json:
        emit_json(shown)
    else:
        emit("\n".join(f"{name}: {_words(value)}" for name, value in shown.items()))


@app.command("log")
def log(
    data: Data,
    simulated_platform: Platform,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the log of joins, oldest first: who was ever given the root key, and each change of the rules.

    Example: strongroom instances log --data store --simulated-platform platform
    """
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.output import emit, emit_json

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with (
        opened_deployment(settings, simulated_platform) as (deployment, _, _),
        deployment.storage.read() as transaction,
    ):
        records = [_record(record) for record in deployment.joins.read(transaction)]
    if as_json:
        emit_json(records)
    else:
        emit(
            "\n".join(
                " ".join(
                    f"{name}={value}" if name not in {"time", "event"} else value for name, value in record.items()
                )
                for record in records
            )
        )


def _change(settings: StorageSettings, platform: Path, changed: Callable[[Charter, bytes], Charter]) -> None:
    from datetime import UTC, datetime

    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.output import note
    from strongroom.store.transactions import transact

    time_ms = int(datetime.now(UTC).timestamp() * 1000)
    with opened_deployment(settings, platform) as (deployment, attester, _):

        def change(transaction: WriteTransaction) -> bool:
            charter = deployment.charter(transaction)
            wanted = changed(charter, attester.platform_id)
            if wanted != charter:
                deployment.set_charter(transaction, wanted, time_ms=time_ms)
            return wanted != charter

        if not transact(deployment.storage, change):
            note("nothing changed")


def _shown(charter: Charter) -> dict[str, Any]:
    from strongroom.crypto.hashing import sha256
    from strongroom.verifier.policy import ANY

    recovery = charter.recovery
    return {
        "machines": "any" if charter.machines is ANY else sorted(item.hex() for item in charter.machines),
        "simulated_roots": sorted(sha256(spki).hex() for spki in charter.simulated_roots),
        "vendor_keys": [key.hex() for key in charter.vendor.keys],
        "vendor_threshold": charter.vendor.threshold,
        "upgrade_delay_hours": charter.upgrade_delay_ms / 3_600_000,
        "recovery": "none" if recovery is None else f"{recovery.threshold} of {recovery.shares}",
        "recovery_holders": [] if recovery is None else [sha256(key).hex() for key in recovery.holders],
    }


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)


def _record(record: JoinRecord) -> dict[str, str]:
    from datetime import UTC, datetime

    shown = {
        "time": f"{datetime.fromtimestamp(record.time_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "event": str(record.event),
    }
    for name in ("machine", "measurement", "instance", "detail"):
        value: bytes = getattr(record, name)
        if any(value):
            shown[name] = value.hex()
    return shown
