"""``strongroom quorum``: let running instances keep the counter that guess limits hang on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import Database, DatabasePasswordFile

if TYPE_CHECKING:
    from strongroom.store.ports import WriteTransaction

__all__ = ["app"]

app = typer.Typer(
    name="quorum",
    help="A counter in the memory of several instances, for guess limits that no disk can set back.",
    no_args_is_help=True,
)


@app.command("found")
def found(
    member: Annotated[
        list[str], typer.Option("--member", help="Address of a running instance; three or more, an odd number.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Directory of the store's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ],
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Found a quorum of running instances, and hang the deployment's guess limits on it, with nothing in hand.

    Afterwards restart the instances one after the other with `strongroom serve --quorum-slot N`, N in the order of
    the addresses; wait each time until the one before votes again. Founding again makes a new counter.

    Example: strongroom quorum found --member http://a:7700 --member http://b:7700 --member http://c:7700 --data store …
    """
    import os
    from datetime import UTC, datetime

    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.instance import donor_of
    from strongroom.cli.output import emit
    from strongroom.cli.quorums import remote_peers
    from strongroom.store.freshness import ANCHOR_ID_BYTES
    from strongroom.store.guess_gate import rebind_guesses
    from strongroom.store.guessing import STANDARD_LIMITS
    from strongroom.store.quorum import QuorumAnchor
    from strongroom.store.quorum import found as found_quorum
    from strongroom.store.quorum_record import QuorumRecord
    from strongroom.store.transactions import transact
    from strongroom.transport.clock import SystemClock

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    record = QuorumRecord(anchor=os.urandom(ANCHOR_ID_BYTES), urls=tuple(member))
    time_ms = int(datetime.now(UTC).timestamp() * 1000)
    with (
        opened_deployment(settings, simulated_platform) as (deployment, attester, platform),
        remote_peers(deployment, donor_of(deployment, platform, attester), member, SystemClock()) as peers,
    ):
        found_quorum(record.anchor, peers, [peer.instance for peer in peers])
        anchor = QuorumAnchor(record.anchor, peers)

        def keep(transaction: WriteTransaction) -> None:
            rebind_guesses(transaction, deployment.rows, deployment.keys, anchor, STANDARD_LIMITS)
            deployment.set_quorum(transaction, record, time_ms=time_ms)

        # a crash before leaves members that vote on a counter nobody uses; after it, the quorum
        transact(deployment.storage, keep)
    emit(f"a quorum of {len(member)} members keeps the counter {record.anchor.hex()}")


@app.command("show")
def show(
    data: Annotated[Path, typer.Option("--data", help="Directory of the store's database.")],
    simulated_platform: Annotated[
        Path, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ],
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
) -> None:
    """Read the counter through its quorum, and how many members vote; exit code 7 when too few do.

    Example: strongroom quorum show --data store --simulated-platform platform
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.instance import donor_of
    from strongroom.cli.output import emit
    from strongroom.cli.quorums import opened_quorum
    from strongroom.store.quorum_member import QuorumMember
    from strongroom.transport.clock import SystemClock

    settings = StorageSettings(data=data, database=database, password_file=database_password_file)
    with opened_deployment(settings, simulated_platform) as (deployment, attester, platform):
        donor, bystander = donor_of(deployment, platform, attester), QuorumMember(deployment.instance)
        with opened_quorum(deployment, donor, bystander, None, SystemClock()) as quorum:
            if quorum is None:
                raise Misconfigured("no quorum was founded for this deployment")
            emit(f"{quorum.read().value}, kept by {quorum.voting()} members that vote")
