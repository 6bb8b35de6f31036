"""``strongroom recovery`` and ``strongroom recover``: shares that people hold, and what they are for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import Database, DatabasePasswordFile

if TYPE_CHECKING:
    from strongroom.crypto.hpke import HpkePrivateKey

__all__ = ["app", "recover"]

app = typer.Typer(
    name="recovery",
    help="Shares of the root key, held by people, for the day all instances are gone.",
    no_args_is_help=True,
)

_SEED_BYTES = 96
Data = Annotated[Path, typer.Option("--data", help="Directory of the store's database.")]
Platform = Annotated[Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")]


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="File for the secret key; made if it is missing.")]) -> None:
    """Make a holder's key, or read one, and print its public half for `strongroom init --recovery-holder`.

    Example: strongroom recovery key holder.key > holder.pub
    """
    import os

    from strongroom.cli.output import emit
    from strongroom.storage.files import write_private_file

    if not file.exists():
        write_private_file(file, os.urandom(_SEED_BYTES).hex().encode() + b"\n")
    emit(_holder(file).public.hex())


@app.command("shares")
def shares(
    directory: Annotated[Path, typer.Argument(help="New directory for the shares, one file each.")],
    data: Data,
    simulated_platform: Platform,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Write the recovery shares: each sealed to its holder, or in clear, once, where no holders were named.

    How many there are, and how many are needed, was fixed by `strongroom init --recovery`. It is logged.

    Example: strongroom recovery shares ./shares --data store --simulated-platform platform
    """
    from datetime import UTC, datetime

    from strongroom.base.errors import Misconfigured
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.output import emit
    from strongroom.storage.files import make_private_directory, write_private_file
    from strongroom.store.recovery import issue_shares

    if directory.exists():
        raise Misconfigured(f"{directory} exists already", setting="directory")
    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with opened_deployment(settings, simulated_platform) as (deployment, _, _):
        make_private_directory(directory)
        made = issue_shares(deployment, time_ms=int(datetime.now(UTC).timestamp() * 1000))
    for number, share in enumerate(made, 1):
        write_private_file(directory / f"share-{number}", share)
    emit(f"{len(made)} shares in {directory}")


@app.command("open")
def open_(
    file: Annotated[Path, typer.Argument(help="File with a sealed share.")],
    key_file: Annotated[Path, typer.Option("--key", help="The holder's key.", metavar="FILE")],
) -> None:
    """Open a share with its holder's key and print its words: type them where the deployment is recovered.

    Example: strongroom recovery open share-1 --key holder.key
    """
    from strongroom.cli.output import emit
    from strongroom.cli.wanted import read_file
    from strongroom.store.recovery import open_share

    emit(open_share(read_file(file, max_bytes=8192), _holder(key_file)))


def recover(
    data: Data,
    simulated_platform: Platform,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Recover a deployment on a new machine, from shares on standard input, one in a line.

    Begins a new epoch, which clients see. Whoever types a share in trusts this machine with it.

    Example: strongroom recover --data store --simulated-platform platform2 < shares
    """
    import sys
    from contextlib import closing
    from datetime import UTC, datetime

    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.cli.databases import StorageSettings, open_storage
    from strongroom.cli.instance import simulated_enclave
    from strongroom.cli.output import emit
    from strongroom.store.recovery import recover_deployment

    lines = [line for line in sys.stdin.read(64 * 1024).splitlines() if line.strip()]
    attester = simulated_enclave(SimulatedPlatform.open(simulated_platform))
    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with closing(open_storage(settings)) as storage:
        time_ms = int(datetime.now(UTC).timestamp() * 1000)
        deployment = recover_deployment(storage, attester, lines, time_ms=time_ms)
    emit(f"recovered {deployment.deployment_id.hex()} in epoch {deployment.epoch}")


def _holder(file: Path) -> HpkePrivateKey:
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.hexadecimal import from_hex
    from strongroom.crypto.hpke import HpkePrivateKey
    from strongroom.storage.files import read_private_file

    content = read_private_file(file, max_bytes=512)
    if content is None:
        raise Misconfigured(f"there is no {file}", setting="key", hint="make one with `strongroom recovery key`")
    seed = from_hex(content.decode("latin-1").strip(), setting="key", lengths=(_SEED_BYTES,))
    return HpkePrivateKey.from_seeds(seed[:64], seed[64:])
