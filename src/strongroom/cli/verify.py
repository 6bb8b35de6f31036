"""``strongroom verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AcceptSimulated, AsJson, Home, PolicyFile, RootFile, home_directory

__all__ = ["verify"]


def verify(
    address: Annotated[
        str | None, typer.Argument(help="An invitation (strongroom1:… or @FILE) or the store's http(s) address.")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="A captured quote instead of a live store.", metavar="FILE")
    ] = None,
    collateral: Annotated[
        Path | None,
        typer.Option(
            "--collateral", help="Its collateral: JSON of nine keys; by default what is kept.", metavar="FILE"
        ),
    ] = None,
    intel: Annotated[
        bool, typer.Option("--intel", help="Fetch what is not kept from Intel, who learns what kind of platform it is.")
    ] = False,
    pccs: Annotated[
        str | None, typer.Option("--pccs", help="Fetch what is not kept from this caching service.", metavar="URL")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Judge captured evidence at this time (RFC 3339).", metavar="TIME")
    ] = None,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    verifiers: Annotated[
        Path | None,
        typer.Option("--verifiers", help="Believe these instead of appraising here, and say so.", metavar="TOML"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the whole chain, from the manufacturer's root to the code.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the explanation to this file as HTML.", metavar="FILE")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Verify a store, or captured evidence, and say what was proven and what was not.

    A live store proves itself in one exchange; nothing about you is sent.
    What this device has accepted of it before, and notices that it was given, count too, and are left as they are.
    Captured evidence is judged offline, by the collateral that this device keeps where none is given; with --intel or
    --pccs what it lacks is fetched, and kept. Without a policy only what needs none is judged, and the result says so.

    Example: strongroom verify https://vault.example

    Example: strongroom verify --evidence quote.bin --collateral collateral.json --at 2025-07-04T10:00:00Z
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.verification import Kept, Shown, verify_captured, verify_live

    if (address is None) == (evidence is None):
        raise Misconfigured("give either an address or --evidence")
    if as_json and (explain or html is not None):
        raise Misconfigured("--json and --explain are two forms of one answer; choose one")
    if verifiers is not None and (explain or html is not None):
        raise Misconfigured("--explain shows an appraisal made here, and --verifiers takes others' word instead")
    shown = Shown(as_json=as_json, explain=explain or html is not None, html=html)
    if address is not None:
        if collateral is not None or at is not None or intel or pccs is not None:
            raise Misconfigured("--collateral, --intel, --pccs and --at are for captured evidence")
        verify_live(
            address,
            root,
            policy,
            accept_simulated_platform=accept_simulated_platform,
            home=home_directory(home),
            shown=shown,
            verifiers=verifiers,
        )
    elif evidence is not None:
        if verifiers is not None:
            raise Misconfigured("--verifiers is for a live store; captured evidence goes to `strongroom verifier ask`")
        if sum((collateral is not None, intel, pccs is not None)) > 1:
            raise Misconfigured("say once where collateral comes from: --collateral FILE, --intel or --pccs URL")
        given = collateral if collateral is not None else Kept(home=home_directory(home), intel=intel, pccs=pccs)
        verify_captured(evidence, given, root, policy, at=at, shown=shown)
