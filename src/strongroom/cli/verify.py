"""``strongroom verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AcceptSimulated, AsJson, PolicyFile, RootFile

__all__ = ["verify"]


def verify(
    address: Annotated[
        str | None, typer.Argument(help="An invitation (strongroom1:…) or the store's http(s) address.")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="A captured quote instead of a live store.", metavar="FILE")
    ] = None,
    collateral: Annotated[
        Path | None, typer.Option("--collateral", help="Its collateral: JSON of nine keys.", metavar="FILE")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Judge captured evidence at this time (RFC 3339).", metavar="TIME")
    ] = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    as_json: AsJson = False,
) -> None:
    """Verify a store, or captured evidence, and say what was proven and what was not.

    A live store proves itself in one exchange; nothing about you is sent.
    Captured evidence is judged offline; without a policy only what needs none is judged, and the result says so.

    Example: strongroom verify https://vault.example

    Example: strongroom verify --evidence quote.bin --collateral collateral.json --at 2025-07-04T10:00:00Z
    """
    from strongroom.base.errors import Misconfigured

    if (address is None) == (evidence is None):
        raise Misconfigured("give either an address or --evidence with --collateral")
    if address is not None:
        if collateral is not None or at is not None:
            raise Misconfigured("--collateral and --at are for captured evidence")
        _live(address, root=root, policy=policy, accept_simulated_platform=accept_simulated_platform, as_json=as_json)
    elif evidence is not None:
        if collateral is None:
            raise Misconfigured("--evidence needs --collateral")
        _captured(evidence, collateral, at=at, root=root, policy=policy, as_json=as_json)


def _live(
    address: str, *, root: Path | None, policy: Path | None, accept_simulated_platform: bool, as_json: bool
) -> None:
    from strongroom.cli.measured import measure_store
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.verdict import describe, describe_json
    from strongroom.cli.wanted import Wanted, connect

    wanted = Wanted.parse(address, accept_simulated_platform=accept_simulated_platform, root=root, policy=policy)
    store = connect(wanted)
    try:
        peer = store.peer()
    finally:
        store.close()
    if as_json:
        emit_json(describe_json(peer, url=wanted.url))
    else:
        emit(describe(peer, url=wanted.url, own_measurement=measure_store()))


def _captured(
    evidence: Path, collateral: Path, *, at: str | None, root: Path | None, policy: Path | None, as_json: bool
) -> None:
    from strongroom.cli.captured import judge_captured

    judge_captured(evidence, collateral, at=at, root=root, policy=policy, as_json=as_json)
