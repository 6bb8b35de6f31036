"""``strongroom init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, ConfigFile, Database, DatabasePasswordFile

__all__ = ["init"]


def init(
    config: ConfigFile = None,
    data: Annotated[Path | None, typer.Option("--data", help="Directory for the store's database.")] = None,
    simulated_platform: Annotated[
        Path | None,
        typer.Option("--simulated-platform", help="Directory of the simulated platform; made if it is missing."),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Address under which clients will reach the store.")] = None,
    counter: Annotated[
        str,
        typer.Option(
            "--counter",
            help="What keeps guess limits from being set back, for ever: platform (its counter), tpm:PATH, or none.",
        ),
    ] = "platform",
    machine: Annotated[
        list[str] | None,
        typer.Option(
            "--machine", help="Id of a machine from which instances may join, or `this`; repeatable.", metavar="HEX"
        ),
    ] = None,
    any_machine: Annotated[
        bool, typer.Option("--any-machine", help="Let instances join from any machine whose evidence is accepted.")
    ] = False,
    vendor_key: Annotated[
        list[str] | None,
        typer.Option("--vendor-key", help="Public key that signs releases, for good; repeatable.", metavar="HEX"),
    ] = None,
    vendor_threshold: Annotated[
        int, typer.Option("--vendor-threshold", min=1, help="How many of the vendor keys a release needs.")
    ] = 1,
    upgrade_delay_hours: Annotated[
        int, typer.Option("--upgrade-delay-hours", min=0, help="How long a release is known before it may take over.")
    ] = 168,
    recovery: Annotated[
        str | None,
        typer.Option("--recovery", help="Recovery shares, as needed/made: 3/5. For good.", metavar="K/N"),
    ] = None,
    recovery_holder: Annotated[
        list[Path] | None,
        typer.Option("--recovery-holder", help="Public key file of who holds a share; one for each.", metavar="FILE"),
    ] = None,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a new deployment and print its invitation.

    Draws the root key and the deployment key and seals them to this code on this platform.
    Vendor keys and recovery are fixed here and never change; without them nobody upgrades or recovers the deployment.
    Give the invitation to the people who will use the store; it is not secret, but must reach them unaltered.

    With --database the rows are in an existing PostgreSQL database, which any number of stores can share.

    Example: strongroom init --data store --simulated-platform platform --url http://127.0.0.1:7700
    """
    import os

    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.cli.charters import charter_of, named_machines
    from strongroom.cli.config import load_for_deployment
    from strongroom.cli.counters import new_counter
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.instance import create_deployment, simulated_enclave
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.client.invitation import Invitation
    from strongroom.verifier.anchors import Anchor

    flags = {
        "store.data": data,
        "store.simulated_platform": simulated_platform,
        "store.url": url,
        "database.url": database,
        "database.password_file": database_password_file,
    }
    loaded = load_for_deployment(config, os.environ, flags)
    directory, platform_directory = loaded.store.directories
    platform = SimulatedPlatform.open(platform_directory, create=True)
    attester = simulated_enclave(platform)
    charter = charter_of(
        machines=named_machines(machine, attester.platform_id),
        any_machine=any_machine,
        vendor_keys=vendor_key or (),
        vendor_threshold=vendor_threshold,
        upgrade_delay_hours=upgrade_delay_hours,
        recovery=recovery,
        holders=recovery_holder or (),
    )
    settings = StorageSettings(
        data=directory, database=loaded.database.url or None, password_file=loaded.database.password_file
    )
    deployment = create_deployment(settings, attester, new_counter(counter, platform_directory), charter)
    root = Anchor.from_certificate(platform.root_certificate_pem, simulated=True)
    invitation = Invitation(
        url=loaded.store.url, deployment=deployment.deployment_id, simulated_root=root.spki
    ).to_text()
    if as_json:
        emit_json(
            {
                "invitation": invitation,
                "deployment": deployment.deployment_id.hex(),
                "measurement": attester.measurement().hex(),
                "simulated": True,
            }
        )
        return
    note("simulated platform: the evidence proves the code path and no hardware")
    emit(invitation)
