"""``strongroom notice``: say that a machine, an instance or a measurement is not to be believed, and hear of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strongroom.cli.options import AsJson, Database, DatabasePasswordFile, Home, home_directory

if TYPE_CHECKING:
    from strongroom.formats.distrust_notice import DistrustNotice, SignedDistrustNotice, Subject

__all__ = ["app"]

app = typer.Typer(
    name="notice",
    help="Distrust notices: a machine, an instance or a measurement that is not to be believed any more.",
    no_args_is_help=True,
)

_MAX_NOTICE = 8192


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="File for the secret key; made if it is missing.")]) -> None:
    """Make a notice key, or read one, and print its public half for `strongroom invite --notice-key`.

    Keep the file away from the service: it is for the day on which the deployment's own key was stolen.

    Example: strongroom notice key ./notice.key
    """
    from strongroom.cli.output import emit
    from strongroom.cli.signing_keys import make_signing_key, read_signing_key

    make_signing_key(file)
    emit(read_signing_key(file).public.hex())


@app.command("make")
def make(
    machine: Annotated[str | None, typer.Option("--machine", help="Id of the machine.", metavar="HEX")] = None,
    instance: Annotated[
        str | None, typer.Option("--instance", help="SHA-256 of the instance's key.", metavar="HEX")
    ] = None,
    measurement: Annotated[str | None, typer.Option("--measurement", help="MRENCLAVE or MRTD.", metavar="HEX")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="From when on (RFC 3339); from now on by default.", metavar="TIME")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="One line that clients show.")] = "",
    trust_again: Annotated[
        bool, typer.Option("--trust-again", help="Take back an earlier notice of the same key.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="Directory of the store's database: sign with its deployment key.")
    ] = None,
    simulated_platform: Annotated[
        Path | None, typer.Option("--simulated-platform", help="Directory of its simulated platform.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key", help="Sign with this notice key instead.", metavar="FILE")
    ] = None,
    deployment: Annotated[
        str | None, typer.Option("--deployment", help="With --key: an invitation, or the deployment's id.")
    ] = None,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a signed notice and print it. It is not secret; clients keep it with `strongroom notice apply`.

    Example: strongroom notice make --data store --simulated-platform platform --machine 3f… --reason "sold"
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.signing_keys import read_signing_key
    from strongroom.formats.distrust_notice import Subject

    subjects = {Subject.MACHINE: machine, Subject.INSTANCE: instance, Subject.MEASUREMENT: measurement}
    named = [(subject, text) for subject, text in subjects.items() if text is not None]
    if len(named) != 1:
        raise Misconfigured("give one of --machine, --instance and --measurement")
    details: dict[str, Any] = {"subject": named[0], "since": since, "reason": reason, "trust_again": trust_again}
    if key_file is not None and deployment is not None and data is None and simulated_platform is None:
        signed = _statement(_deployment_id(deployment), **details).sign(read_signing_key(key_file))
    elif data is not None and simulated_platform is not None and key_file is None and deployment is None:
        settings = StorageSettings(data=data, database=database, password_file=database_password_file)
        with opened_deployment(settings, simulated_platform) as (opened, _, _):
            signed = opened.sign_notice(_statement(opened.deployment_id, **details))
    else:
        raise Misconfigured("give --data with --simulated-platform, or --key with --deployment")
    if as_json:
        emit_json({"notice": signed.to_text(), **_shown(signed)})
    else:
        emit(signed.to_text())


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="File with a notice, or - for standard input.")],
    invitation: Annotated[
        str | None, typer.Option("--invitation", help="The deployment's invitation, which may name a notice key.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Keep a notice on this device. From then on what it names is refused.

    It has to be signed by the deployment it is about, or by the notice key that the invitation named.

    Example: strongroom notice apply notice.txt
    """
    from datetime import UTC, datetime

    from strongroom.cli.output import emit, emit_json
    from strongroom.client.notices import NoticeBook

    directory = home_directory(home)
    signed = _read(file)
    notice_key = _notice_key(directory, invitation, signed.notice.deployment)
    changed = NoticeBook(directory).apply(signed, notice_key=notice_key, at=datetime.now(UTC))
    if as_json:
        emit_json({"changed": changed, **_shown(signed)})
    else:
        emit(_text(signed) if changed else "nothing changed: what this device holds is as new or newer")


@app.command("show")
def show(
    file: Annotated[
        Path | None, typer.Argument(help="File with a notice, or -; what this device holds by default.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the notices that this device holds, or one that it does not hold yet.

    Example: strongroom notice show
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.client.notices import NoticeBook

    if file is not None:
        every = [_read(file)]
    else:
        every = [signed for notices in NoticeBook(home_directory(home)).every() for signed in notices.kept]
    if as_json:
        emit_json([_shown(signed) for signed in every])
    else:
        emit("\n".join(map(_text, every)) or "no notices")


def _statement(
    deployment: bytes, *, subject: tuple[Subject, str], since: str | None, reason: str, trust_again: bool
) -> DistrustNotice:
    from datetime import UTC, datetime

    from strongroom.cli.captured import instant_of
    from strongroom.cli.hexadecimal import from_hex
    from strongroom.formats.distrust_notice import DistrustNotice, Effect, Subject

    kind, text = subject
    now = datetime.now(UTC)
    lengths = (32, 48) if kind is Subject.MEASUREMENT else (32,)
    return DistrustNotice(
        deployment=deployment,
        subject=kind,
        value=from_hex(text, setting=str(kind), lengths=lengths),
        effect=Effect.TRUST_AGAIN if trust_again else Effect.DISTRUST,
        since_ms=int((now if since is None else instant_of(since)).timestamp() * 1000),
        issued_ms=int(now.timestamp() * 1000),
        reason=reason,
    )


def _deployment_id(text: str) -> bytes:
    from strongroom.cli.hexadecimal import from_hex
    from strongroom.cli.invitations import read_invitation

    if text.startswith(("strongroom1:", "@")):
        return read_invitation(text).deployment
    return from_hex(text, setting="deployment")


def _notice_key(home: Path, invitation: str | None, deployment: bytes) -> bytes | None:
    """Give the notice key that this client was told of for this deployment: by the invitation, or by its profile."""
    from strongroom.cli.invitations import read_invitation
    from strongroom.client.profile import load_profile, profile_exists

    if invitation is not None:
        invited = read_invitation(invitation)
        if invited.deployment == deployment:
            return invited.notice_key
    elif profile_exists(home):
        trust = load_profile(home).trust
        if trust.deployment == deployment:
            return trust.notice_key
    return None


def _read(file: Path) -> SignedDistrustNotice:
    import sys

    from strongroom.base.errors import Malformed
    from strongroom.cli.wanted import read_file
    from strongroom.formats.distrust_notice import SignedDistrustNotice

    data = sys.stdin.buffer.read(_MAX_NOTICE + 1) if str(file) == "-" else read_file(file, max_bytes=_MAX_NOTICE)
    signed = SignedDistrustNotice.from_text(data.decode("latin-1"))
    if not signed.is_signed:
        raise Malformed("the signature does not fit", path="notice")
    return signed


def _shown(signed: SignedDistrustNotice) -> dict[str, Any]:
    from strongroom.crypto.hashing import sha256

    notice = signed.notice
    return {
        "deployment": notice.deployment.hex(),
        "subject": str(notice.subject),
        "value": notice.value.hex(),
        "effect": str(notice.effect),
        "since_ms": notice.since_ms,
        "issued_ms": notice.issued_ms,
        "reason": notice.reason,
        "signed_by": "deployment" if sha256(signed.key) == notice.deployment else "notice-key",
        "key": signed.key.hex(),
    }


def _text(signed: SignedDistrustNotice) -> str:
    from datetime import UTC, datetime

    shown = _shown(signed)
    try:
        since = f"{datetime.fromtimestamp(signed.notice.since_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        since = f"{signed.notice.since_ms} ms"
    reason = f": {signed.notice.reason}" if signed.notice.reason else ""
    signer = "the deployment" if shown["signed_by"] == "deployment" else f"notice key {shown['key'][:16]}…"
    return (
        f"{shown['effect']} {shown['subject']} {shown['value']} since {since}{reason}\n"
        f"    deployment {shown['deployment']}, signed by {signer}"
    )
