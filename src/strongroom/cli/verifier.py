"""``strongroom verifier``: appraise for others, ask several who do, and convict one that lied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import AsJson

if TYPE_CHECKING:
    from strongroom.verifier.lie import ProofVerdict
    from strongroom.verifier.token_keys import IssuerKey

__all__ = ["app"]

app = typer.Typer(
    name="verifier",
    help="Attestation services for clients too small to appraise: run one, ask k of n, convict one that lied.",
    no_args_is_help=True,
)
proof_app = typer.Typer(name="proof", help="Portable proofs of what a verifier signed.", no_args_is_help=True)
app.add_typer(proof_app)

_MAX_PROOF = 2 * 1024 * 1024


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="PEM file of the secret key; made if it is missing.")]) -> None:
    """Make a verifier's signing key, or read one, and print its public half for clients to pin.

    Example: strongroom verifier key ./verifier.pem
    """
    from strongroom.cli.output import emit
    from strongroom.crypto.eddsa import EddsaPrivateKey
    from strongroom.storage.files import write_private_file

    if not file.exists():
        write_private_file(file, EddsaPrivateKey.generate().to_pem())
    emit(_issuer_key(file).pinned.to_text())


@app.command("serve")
def serve(
    key_file: Annotated[Path, typer.Option("--key", help="PEM key that signs results.", metavar="FILE")],
    policy: Annotated[Path, typer.Option("--policy", help="Appraisal policy; every result names it.", metavar="TOML")],
    listen: Annotated[str, typer.Option("--listen", help="Address and port.")] = "127.0.0.1:7710",
    developer: Annotated[
        str, typer.Option("--developer", help="Who answers for the verifier; stands in every result.")
    ] = "strongroom",
    lifetime: Annotated[
        int, typer.Option("--lifetime", min=1, max=3600, help="Seconds for which a result is good.")
    ] = 300,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", help="PEM chain, to serve https.", metavar="FILE")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its PEM key.", metavar="FILE")] = None,
) -> None:
    """Appraise evidence for clients until told to stop (SIGTERM or Ctrl-C).

    Each answer is signed and brings the evidence, the collateral and the policy with it, so that whoever can
    appraise can catch this verifier lying. Nothing is kept.

    Example: strongroom verifier serve --key verifier.pem --policy policy.toml --listen 127.0.0.1:7710
    """
    from datetime import timedelta

    from strongroom import __version__
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.environment import refuse_hostile_environment
    from strongroom.cli.output import note
    from strongroom.cli.server import run
    from strongroom.cli.wanted import read_file
    from strongroom.transport.attestation_service import AttestationService
    from strongroom.transport.clock import SystemClock
    from strongroom.verifier.eat import VerifierId
    from strongroom.verifier.policy_compose import policy_from_toml

    refuse_hostile_environment()
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Misconfigured("--listen takes ADDRESS:PORT", setting="listen")
    if (tls_certificate is None) != (tls_key is None):
        raise Misconfigured("--tls-certificate and --tls-key go together", setting="tls")
    issuer = _issuer_key(key_file)
    accepted = policy_from_toml(read_file(policy))
    service = AttestationService(
        accepted,
        issuer,
        verifier=VerifierId(developer=developer, build=f"strongroom {__version__}"),
        clock=SystemClock(),
        lifetime=timedelta(seconds=lifetime),
    )
    note(f"key {issuer.pinned.to_text()}")
    note(f"policy {accepted.digest.hex()}")
    run(service, host=host.strip("[]"), port=int(port), tls_certificate=tls_certificate, tls_key=tls_key)


@app.command("ask")
def ask(
    evidence: Annotated[Path, typer.Option("--evidence", help="A captured quote.", metavar="FILE")],
    collateral: Annotated[
        Path, typer.Option("--collateral", help="Its collateral: JSON of nine keys.", metavar="FILE")
    ],
    verifiers: Annotated[
        Path, typer.Option("--verifiers", help="Whom to believe: required, policy, keys, addresses.", metavar="TOML")
    ],
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Do the appraisal here as well, and convict whoever lied.")
    ] = False,
    proofs: Annotated[
        Path | None, typer.Option("--proofs", help="Directory to write proofs of lies to.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask verifiers about captured evidence and say whether enough of them accept it.

    With --recheck every answer is also checked here, and a lie is written to --proofs as a file that convinces
    others (exit code 4).

    Example: strongroom verifier ask --evidence quote.bin --collateral collateral.json --verifiers verifiers.toml
    """
    import os
    from datetime import UTC, datetime

    from strongroom.base.errors import Misbehaviour
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.verifiers_file import verifiers_from_toml
    from strongroom.cli.wanted import read_file
    from strongroom.formats.remote_appraisal import NONCE_BYTES, AppraisalRequest
    from strongroom.storage.files import write_private_file
    from strongroom.transport.attestation_client import ask_all
    from strongroom.verifier.quorum import judge_vouches
    from strongroom.verifier.recheck import lies_in

    wanted = verifiers_from_toml(verifiers)
    request = AppraisalRequest(
        evidence=read_file(evidence), collateral=read_file(collateral), nonce=os.urandom(NONCE_BYTES)
    )
    asked = ask_all(list(wanted.addresses.values()), request)
    for item in asked:
        if item.error is not None:
            note(f"{item.address}: {item.error.message}")
    answers = [item.answer for item in asked if item.answer is not None]
    if recheck:
        lies = lies_in(answers, wanted.rule)
        for name, verdict, proof in lies:
            note(f"{name} lied: {verdict.reason} [remote-verifier {verdict.rule}]")
            if proofs is not None:
                file = proofs / f"{verdict.key.public.hex()[:16]}-{request.nonce.hex()[:16]}.proof"
                write_private_file(file, proof.to_bytes())
                note(f"proof: {file}")
        if lies:
            raise Misbehaviour("a verifier lied", proof=lies[0][2].to_bytes())
    vouched = judge_vouches(
        [answer.cwt for answer in answers],
        wanted.rule,
        nonce=request.nonce,
        evidence=request.evidence,
        collateral=request.collateral,
        at=datetime.now(UTC),
    )
    if as_json:
        emit_json(
            {
                "verdict": "vouched-for",
                "vouched_by": list(vouched.by),
                "required": wanted.rule.required,
                "rechecked": recheck,
                "policy_digest": wanted.rule.policy_digest.hex(),
                "expires_at": vouched.expires_at.isoformat().replace("+00:00", "Z"),
                "notes": [str(finding) for finding in vouched.notes],
                "result": dict(vouched.statement.ear.details),
            }
        )
        return
    for finding in vouched.notes:
        note(str(finding))
    how = "and appraised here as well" if recheck else "and NOT appraised here"
    emit(f"vouched for by {', '.join(vouched.by)} ({wanted.rule.required} required), {how}")
    emit(f"  status       {vouched.statement.ear.status.label}")
    emit(f"  policy       {wanted.rule.policy_digest.hex()}")
    emit(f"  holds until  {vouched.expires_at:%Y-%m-%d %H:%M:%S} UTC")


@proof_app.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="A proof, as `strongroom verifier ask --recheck` writes it.")],
    expected_key: Annotated[
        str | None, typer.Option("--key", help="The accused verifier's key; the file alone only names one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say offline whether a verifier lied: the appraisal is done again, at the time that it stated.

    Exits with 4 when it lied, 0 when it told the truth, 3 when the file proves nothing either way.

    Example: strongroom verifier proof check lie.proof --key EdDSA:…
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.verifiers_file import pinned_key
    from strongroom.cli.wanted import read_file
    from strongroom.formats.remote_appraisal import AppraisalProof
    from strongroom.verifier.lie import Outcome, ProofVerdict, check_proof

    wanted = None if expected_key is None else pinned_key(expected_key, setting="--key")
    verdict = check_proof(AppraisalProof.from_bytes(read_file(file, max_bytes=_MAX_PROOF)))
    if wanted is not None and verdict.key != wanted:
        reason = "the file is about another key than the one that was named"
        verdict = ProofVerdict(outcome=Outcome.PROVES_NOTHING, rule="6.1", reason=reason, key=verdict.key)
    if as_json:
        emit_json({**verdict.to_json_object(), "key_expected": wanted is not None})
    else:
        emit(_text(verdict))
        if wanted is None:
            emit("  nobody said whose key that is: compare it, or name it with --key")
    if verdict.outcome is not Outcome.TRUE:
        raise SystemExit(4 if verdict.outcome is Outcome.LIE else 3)


def _text(verdict: ProofVerdict) -> str:
    heads = {
        "lie": "the verifier LIED",
        "true": "the verifier told the truth",
        "proves-nothing": "this proves nothing",
    }
    rows = [
        ("reason", f"{verdict.reason} [remote-verifier {verdict.rule}]"),
        ("verifier", f"{verdict.key.to_text()}" + (f", {verdict.build}" if verdict.build else "")),
        ("stated for", "" if verdict.stated_at is None else f"{verdict.stated_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("it said", verdict.said or ""),
        ("appraisal", verdict.appraised or ""),
    ]
    lines = [heads[verdict.outcome.value]]
    return "\n".join(lines + [f"  {name:<12} {value}" for name, value in rows if value])


def _issuer_key(file: Path) -> IssuerKey:
    from strongroom.base.errors import Misconfigured
    from strongroom.storage.files import read_private_file
    from strongroom.verifier.token_keys import IssuerKey

    pem = read_private_file(file, max_bytes=8192)
    if pem is None:
        raise Misconfigured(f"there is no {file}", setting="key", hint="`strongroom verifier key` makes one")
    try:
        return IssuerKey.from_pem(pem)
    except ValueError as error:
        raise Misconfigured(f"{file}: {error}", setting="key") from error
