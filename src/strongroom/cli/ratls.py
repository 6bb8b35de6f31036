"""``strongroom ratls``: servers that show their evidence in an ordinary TLS certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import AsJson

if TYPE_CHECKING:
    from strongroom.ratls.peer import KeyBoundPeer

__all__ = ["app"]

app = typer.Typer(
    name="ratls",
    help="RA-TLS servers, Gramine's among them: evidence in an ordinary TLS certificate, bound to its key.",
    no_args_is_help=True,
)


@app.callback()
def ratls() -> None:
    """Keep the group a group while it has one command."""


@app.command("verify")
def verify(
    url: Annotated[str, typer.Argument(help="The server's https address.")],
    policy: Annotated[Path, typer.Option("--policy", help="Appraisal policy.", metavar="TOML")],
    collateral: Annotated[
        Path | None,
        typer.Option("--collateral", help="Collateral, nine keys; else the server is asked.", metavar="FILE"),
    ] = None,
    authority: Annotated[
        Path | None, typer.Option("--authority", help="DER of an attested authority that signed it.", metavar="FILE")
    ] = None,
    lifetime_days: Annotated[
        int, typer.Option("--lifetime-days", min=1, help="The longest life a certificate may have.")
    ] = 30,
    older_gramine: Annotated[
        bool, typer.Option("--older-gramine", help="Take a bare quote over the key, as older Gramine makes them.")
    ] = False,
    unknown_claims: Annotated[
        bool, typer.Option("--unknown-claims", help="Take claims of the server's own; they are not judged.")
    ] = False,
    allow_tls_1_2: Annotated[bool, typer.Option("--allow-tls-1.2", help="Take TLS 1.2 as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Connect, appraise the certificate, and say what was proven. One HEAD request follows the verdict.

    What is proven is key-bound: it is safe unless a channel key leaks from any enclave that the policy accepts.

    Example: strongroom ratls verify https://service.example --policy policy.toml
    """
    from datetime import timedelta

    import httpx2

    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.wanted import read_file
    from strongroom.formats.collateral import Collateral
    from strongroom.ratls.client import RaTlsTransport, peer_of
    from strongroom.ratls.peer import RaTlsTerms
    from strongroom.transport.clock import SystemClock
    from strongroom.transport.outer import unreachable
    from strongroom.verifier.policy_compose import policy_from_toml

    terms = RaTlsTerms(
        policy=policy_from_toml(read_file(policy)),
        maximum_lifetime=timedelta(days=lifetime_days),
        accept_older_gramine=older_gramine,
        accept_unknown_claims=unknown_claims,
        authority=None if authority is None else read_file(authority),
    )
    transport = RaTlsTransport(
        url,
        terms,
        clock=SystemClock(),
        collateral=None if collateral is None else Collateral.from_json(read_file(collateral)),
        allow_tls_1_2=allow_tls_1_2,
    )
    try:
        with httpx2.Client(transport=transport, trust_env=False) as client:
            peer = peer_of(client.head(url))
    except httpx2.HTTPError as cause:
        raise unreachable(cause) from cause
    if as_json:
        emit_json({"url": url, **peer.to_json_object()})
    else:
        emit(_text(peer, url))


def _text(peer: KeyBoundPeer, url: str) -> str:
    from strongroom.cli.verdict import collateral_text, tcb_text

    result = peer.result
    simulated = "  ** SIMULATED PLATFORM: this proves no hardware **" if result.simulated else ""
    rows = [
        ("hardware root", result.anchor + simulated),
        ("measurement", result.claims.measurement.hex()),
        ("TCB", tcb_text(result.tcb)),
        ("collateral", collateral_text(result.collateral)),
        ("key", f"SHA-256 {peer.public_key_hash.hex()}"),
        ("certificate", f"{peer.profile.value}" + (", signed by the authority" if peer.certified else "")),
        ("holds until", f"{peer.expires_at:%Y-%m-%d %H:%M} UTC"),
    ]
    lines = [f"key-bound: {url}", ""]
    lines += [f"  {name:<14} {value}" for name, value in rows]
    lines += [f"  {'with leniency':<14} {confession}" for confession in result.confessions]
    return "\n".join([*lines, "", f"  {peer.caveat}"])
