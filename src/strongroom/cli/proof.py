"""``strongroom proof``: what a store is proven to have done, checked with nothing but the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strongroom.cli.options import AsJson

if TYPE_CHECKING:
    from strongroom.vaultlog.head import Head

__all__ = ["app"]

app = typer.Typer(
    name="proof",
    help="Check a proof that a store contradicted what it had signed.",
    no_args_is_help=True,
)


@app.callback()
def group() -> None:
    """Keep the verb: a group of one command would swallow it."""


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A proof file, as `strongroom sync` keeps them.", metavar="FILE")],
    as_json: AsJson = False,
) -> None:
    """Check a proof file. It takes no network, no account and no key.

    Exits with 0 when the store's own signed statements contradict each other, and with 4 when part of the accusation
    is the word of the device that made the file. Whose key signed, the evidence of that time says.

    Example: strongroom proof verify rollback-20261124T120000Z.cbor
    """
    from strongroom.base.errors import Misbehaviour, Misconfigured
    from strongroom.cli.output import emit, emit_json
    from strongroom.vaultlog.proof import MAX_PROOF_BYTES, verify_proof

    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_PROOF_BYTES + 1)
    except OSError as cause:
        raise Misconfigured(f"cannot read {file}: {cause.strerror}", setting="FILE") from cause
    verdict = verify_proof(data)
    if as_json:
        emit_json(
            {
                "kind": str(verdict.kind),
                "conclusive": verdict.conclusive,
                "reason": verdict.reason,
                "vault": verdict.vault.hex(),
                "earlier": None if verdict.earlier is None else _head_json(verdict.earlier),
                "later": _head_json(verdict.later),
            }
        )
    else:
        emit(f"{verdict.kind}: {verdict.reason}")
        emit(f"vault   {verdict.vault.hex()}")
        for name, head in (("earlier", verdict.earlier), ("later", verdict.later)):
            if head is not None:
                emit(f"{name:<7} {head.length} entries, signed {_time(head)} with the key {head.head_key.hex()}")
        emit("proven by the store's own signatures" if verdict.conclusive else "not proven by this file alone")
    if not verdict.conclusive:
        raise Misbehaviour(
            "the signatures in this file are genuine, but do not contradict each other by themselves",
            hint="ask the device that kept the file what it had been shown before",
        )


def _head_json(head: Head) -> dict[str, Any]:
    return {
        "entries": head.length,
        "chain": head.chain_hash.hex(),
        "root": head.root.hex(),
        "signed_at": _time(head),
        "epoch": head.epoch,
        "head_key": head.head_key.hex(),
    }


def _time(head: Head) -> str:
    from datetime import UTC, datetime

    try:
        signed_at = datetime.fromtimestamp(head.time_ms / 1000, UTC)
    except (OverflowError, ValueError):
        return f"{head.time_ms} ms"
    return f"{signed_at:%Y-%m-%dT%H:%M:%SZ}"
