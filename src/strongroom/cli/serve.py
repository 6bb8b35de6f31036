"""``strongroom serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import Database, DatabasePasswordFile

__all__ = ["serve"]


def serve(
    data: Annotated[Path, typer.Option("--data", help="Directory of the store's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ],
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    listen: Annotated[str, typer.Option("--listen", help="Address and port.")] = "127.0.0.1:7700",
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="PEM chain, to serve https.", metavar="FILE")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its PEM key.", metavar="FILE")] = None,
    debug_enclave: Annotated[
        bool, typer.Option("--debug-enclave", help="Start as a debug enclave, which clients refuse.")
    ] = False,
) -> None:
    """Run the store until it is told to stop (SIGTERM or Ctrl-C).

    The channel is protected from end to end without TLS as well; TLS around it hides the exchange from onlookers.
    Refuses to start when the environment could change what the code does.

    Example: strongroom serve --data store --simulated-platform platform --listen 127.0.0.1:7700
    """
    import sys

    from strongroom.base.errors import Misconfigured
    from strongroom.cli.environment import refuse_hostile_environment, run_isolated

    refuse_hostile_environment()
    run_isolated(sys.argv[1:], data=data)
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Misconfigured("--listen takes ADDRESS:PORT", setting="listen")
    if (tls_certificate is None) != (tls_key is None):
        raise Misconfigured("--tls-certificate and --tls-key go together", setting="tls")

    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.cli.counters import bound_counter
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.instance import open_service, simulated_enclave
    from strongroom.cli.output import note
    from strongroom.cli.server import run

    platform = SimulatedPlatform.open(simulated_platform)
    attester = simulated_enclave(platform, debug=debug_enclave)
    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with open_service(settings, platform, attester, lambda bound: bound_counter(bound, simulated_platform)) as service:
        note("simulated platform: the evidence proves the code path and no hardware")
        note(f"measurement {attester.measurement().hex()}")
        run(service, host=host.strip("[]"), port=int(port), tls_certificate=tls_certificate, tls_key=tls_key)
