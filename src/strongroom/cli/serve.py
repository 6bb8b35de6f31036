"""``strongroom serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AcceptSimulated, ConfigFile, Database, DatabasePasswordFile

__all__ = ["serve"]


def serve(
    config: ConfigFile = None,
    data: Annotated[Path | None, typer.Option("--data", help="Directory of the store's database.")] = None,
    simulated_platform: Annotated[
        Path | None, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ] = None,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", help="Address and port, 127.0.0.1:7700 by default.", metavar="ADDRESS:PORT"),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="PEM chain, to serve https.", metavar="FILE")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its PEM key.", metavar="FILE")] = None,
    counter: Annotated[
        str | None,
        typer.Option("--counter", help="Where the deployment's counter is, if in a TPM: tpm:PATH or tpm:PATH@INDEX."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="Let pages of this origin attest the store; repeatable.", metavar="ORIGIN"),
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            "--join", help="Invitation of the deployment: join a running instance if need be.", metavar="INVITATION"
        ),
    ] = None,
    join_url: Annotated[
        str | None, typer.Option("--join-url", help="Address of that instance; the invitation's by default.")
    ] = None,
    donor_measurement: Annotated[
        str | None,
        typer.Option("--donor-measurement", help="Measurement of the code that runs there, if another.", metavar="HEX"),
    ] = None,
    drain_seconds: Annotated[
        int, typer.Option("--drain-seconds", min=0, max=3600, help="After SIGTERM: how long to say `not ready` first.")
    ] = 0,
    quorum_slot: Annotated[
        int | None,
        typer.Option("--quorum-slot", min=1, max=9, help="Which member of the deployment's quorum this instance is."),
    ] = None,
    accept_simulated_platform: AcceptSimulated = False,
    client_policy: Annotated[
        Path | None,
        typer.Option("--client-policy", help="Admit only clients whose evidence this policy accepts.", metavar="TOML"),
    ] = None,
    debug_enclave: Annotated[
        bool, typer.Option("--debug-enclave", help="Start as a debug enclave, which clients refuse.")
    ] = False,
) -> None:
    """Run the store until it is told to stop (SIGTERM or Ctrl-C).

    The channel is protected from end to end without TLS as well; TLS around it hides the exchange from onlookers.
    Settings come from the file, then from STRONGROOM_… variables, then from these options. Refuses to start when the
    environment could change what the code does.

    Example: strongroom serve --data store --simulated-platform platform --listen 127.0.0.1:7700
    """
    import os
    import sys

    from strongroom.cli.config import checked, load
    from strongroom.cli.environment import refuse_hostile_environment, run_isolated
    from strongroom.cli.settings import split_address

    refuse_hostile_environment()
    given = {
        "store.data": data,
        "store.simulated_platform": simulated_platform,
        "database.url": database,
        "database.password_file": database_password_file,
        "store.listen": listen,
        "store.tls_certificate": tls_certificate,
        "store.tls_key": tls_key,
        "store.counter": counter,
        "clients.policy": client_policy,
        "store.allow_origins": ",".join(allow_origin) if allow_origin else None,
        "store.debug_enclave": debug_enclave or None,
    }
    settings = checked(load(config, os.environ, given)[0])
    directory, platform_directory = settings.store.directories
    run_isolated(sys.argv[1:], data=directory)
    host, port = split_address(settings.store.listen, "listen")

    from datetime import UTC, datetime

    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.cli.counters import bound_counter
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.donors import Donors
    from strongroom.cli.instance import StapledCollateral, open_service, simulated_enclave
    from strongroom.cli.logs import begin_log
    from strongroom.cli.output import note
    from strongroom.cli.server import run
    from strongroom.cli.telemetry import watched
    from strongroom.transport.cross_origin import cross_origin

    begin_log(form=settings.logs.format, level=settings.logs.level)
    storage = StorageSettings(
        data=directory, database=settings.database.url or None, password_file=settings.database.password_file
    )
    donor = None
    if join is not None:
        donor = Donors.parse(
            join,
            url=join_url,
            accept_simulated_platform=accept_simulated_platform,
            policy=None,
            donor_measurement=donor_measurement,
        )
    platform = SimulatedPlatform.open(platform_directory)
    attester = simulated_enclave(platform, debug=settings.store.debug_enclave)
    with (
        watched(settings.metrics, settings.telemetry) as (observer, figures, address),
        open_service(
            storage,
            platform,
            attester,
            lambda bound: bound_counter(settings.store.counter or None, platform_directory, bound),
            config=settings,
            observer=observer,
            join=donor,
            quorum_slot=None if quorum_slot is None else quorum_slot - 1,
        ) as service,
    ):
        note("simulated platform: the evidence proves the code path and no hardware")
        note(f"measurement {attester.measurement().hex()}")
        if figures is not None:
            collateral = StapledCollateral(platform)
            figures.watch_channels(lambda: service.open_channels)
            figures.watch_collateral(lambda: collateral.expires(datetime.now(UTC)))
            note(f"figures at {address}")
        run(
            cross_origin(service, settings.store.allow_origins),
            host=host,
            port=port,
            tls_certificate=settings.store.tls_certificate,
            tls_key=settings.store.tls_key,
            drain=service.drain,
            drain_seconds=drain_seconds,
        )
