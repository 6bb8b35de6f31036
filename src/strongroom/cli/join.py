"""``strongroom join``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AcceptSimulated, Database, DatabasePasswordFile, PolicyFile

__all__ = ["join"]


def join(
    invitation: Annotated[str, typer.Argument(help="The deployment's invitation (strongroom1:…), which pins it.")],
    data: Annotated[Path, typer.Option("--data", help="Directory of the deployment's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of this machine's simulated platform.")
    ],
    url: Annotated[
        str | None, typer.Option("--url", help="Address of the running instance; the invitation's by default.")
    ] = None,
    donor_measurement: Annotated[
        str | None,
        typer.Option("--donor-measurement", help="Measurement of the code that runs there, if another.", metavar="HEX"),
    ] = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Become an instance of a deployment: a running one and this one verify each other, then it hands the keys over.

    Ends when the root key is sealed to this code on this platform; `strongroom serve` then starts without asking.

    Example: strongroom join strongroom1:… --data store --simulated-platform platform2 --accept-simulated-platform
    """
    from contextlib import closing

    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.cli.databases import StorageSettings, open_storage
    from strongroom.cli.donors import Donors
    from strongroom.cli.instance import join_at, simulated_enclave
    from strongroom.cli.output import emit, note
    from strongroom.formats.instance_certificate import machine_id

    donor = Donors.parse(
        invitation,
        url=url,
        accept_simulated_platform=accept_simulated_platform,
        policy=policy,
        donor_measurement=donor_measurement,
    )
    platform = SimulatedPlatform.open(simulated_platform)
    attester = simulated_enclave(platform)
    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with closing(open_storage(settings)) as storage:
        deployment = join_at(storage, platform, attester, donor)
    note("simulated platform: the evidence proves the code path and no hardware")
    emit(f"an instance of {deployment.deployment_id.hex()} on machine {machine_id(attester.platform_id).hex()}")
