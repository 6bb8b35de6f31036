"""The verdict on a peer, for a person: what was proven, what was not, on one screen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from strongroom.verifier.result import SgxClaims

if TYPE_CHECKING:
    from strongroom.verifier.binding import AttestedPeer
    from strongroom.verifier.result import CollateralFacts, TcbFacts

__all__ = ["collateral_text", "describe", "describe_json", "tcb_text"]

_NOT_PROVEN = (
    "that the accepted code has no faults",
    "that nobody with the machine in hand reads its memory: your passwords rest on encryption, not on the enclave",
    "that the store shows you its newest state: your devices find out by their views",
)


def describe(peer: AttestedPeer, *, url: str, own_measurement: bytes) -> str:
    """Describe what was proven about a peer, in about twenty lines."""
    result = peer.result
    claims, collateral = result.claims, result.collateral
    same = claims.measurement == own_measurement
    signer = "none, as of every trust domain"
    if isinstance(claims, SgxClaims):
        signer = f"{claims.mr_signer.hex()[:16]}…, product {claims.isv_prod_id}, security version {claims.isv_svn}"
    rows = [
        (
            "hardware root",
            f"{result.anchor}" + ("  ** SIMULATED PLATFORM: this proves no hardware **" if result.simulated else ""),
        ),
        ("measurement", claims.measurement.hex()),
        ("", "the code installed on this device" if same else "accepted by your policy; not the code installed here"),
        ("signer", signer + (", DEBUG" if claims.debug else ", not debug")),
        ("TCB", tcb_text(result.tcb)),
        ("collateral", collateral_text(collateral)),
        ("freshness", f"made for this session (one of {peer.batch_size} in its batch)"),
        ("key binding", "the channel's keys come from the secret that the evidence commits to"),
        (
            "deployment",
            f"{peer.deployment.hex()[:32]}…, "
            + ("the one you expected" if peer.deployment_pinned else "SEEN FOR THE FIRST TIME, nobody vouched for it"),
        ),
        ("instance", peer.instance.hex()),
        ("machine", f"{peer.machine.hex()}, certified by the deployment's key"),
        ("holds until", f"{datetime.fromtimestamp(peer.expires_at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"),
    ]
    vouched = f"VOUCHED FOR by {', '.join(peer.vouched_by)}, not appraised here: {url}"
    lines = [vouched if peer.vouched_by else f"attested: {url}", "", "said to be so" if peer.vouched_by else "proven"]
    lines += [f"  {name:<14} {value}" for name, value in rows]
    lines += [f"  {'with leniency':<14} {confession}" for confession in result.confessions]
    lines += ["", "not proven"]
    lines += [f"  - {text}" for text in _NOT_PROVEN]
    return "\n".join(lines)


def describe_json(peer: AttestedPeer, *, url: str) -> dict[str, Any]:
    """Describe the same for a program."""
    return {
        "url": url,
        "attested": True,
        "simulated": peer.result.simulated,
        "deployment": peer.deployment.hex(),
        "deployment_pinned": peer.deployment_pinned,
        "vouched_by": list(peer.vouched_by),
        "machine": peer.machine.hex(),
        "instance": peer.instance.hex(),
        "epoch": peer.epoch,
        "session": peer.session.hex(),
        "batch_size": peer.batch_size,
        "attested_at_ms": peer.attested_at_ms,
        "expires_at_ms": peer.expires_at_ms,
        "result": peer.result.to_json_object(),
        "not_proven": list(_NOT_PROVEN),
    }


def tcb_text(tcb: TcbFacts) -> str:
    """Say the TCB status, its advisories and its date in one line."""
    advisories = ", ".join(advisory.id for advisory in tcb.advisories) or "no advisories"
    return f"{tcb.status}, {advisories}, level of {tcb.date:%Y-%m-%d}"


def collateral_text(facts: CollateralFacts) -> str:
    """Say the collateral's number and dates in one line."""
    dates = f"issued {facts.earliest_issue:%Y-%m-%d}, good until {facts.expires_at:%Y-%m-%d}"
    return f"evaluation {facts.tcb_evaluation_data_number}, {dates}"
