"""``strongroom init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Database, DatabasePasswordFile

__all__ = ["init"]


def init(
    data: Annotated[Path, typer.Option("--data", help="Directory for the store's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform; made if it is missing.")
    ],
    url: Annotated[str, typer.Option("--url", help="Address under which clients will reach the store.")],
    counter: Annotated[
        str,
        typer.Option(
            "--counter",
            help="What keeps guess limits from being set back, for ever: platform (its counter), tpm:PATH, or none.",
        ),
    ] = "platform",
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a new deployment and print its invitation.

    Draws the root key and the deployment key and seals them to this code on this platform.
    Give the invitation to the people who will use the store; it is not secret, but must reach them unaltered.

    With --database the rows are in an existing PostgreSQL database, which any number of stores can share.

    Example: strongroom init --data store --simulated-platform platform --url http://127.0.0.1:7700
    """
    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.cli.counters import new_counter
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.instance import create_deployment, simulated_enclave
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.client.invitation import Invitation
    from strongroom.verifier.anchors import Anchor

    platform = SimulatedPlatform.open(simulated_platform, create=True)
    attester = simulated_enclave(platform)
    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    deployment = create_deployment(settings, attester, new_counter(counter, simulated_platform))
    root = Anchor.from_certificate(platform.root_certificate_pem, simulated=True)
    invitation = Invitation(url=url, deployment=deployment.deployment_id, simulated_root=root.spki).to_text()
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
