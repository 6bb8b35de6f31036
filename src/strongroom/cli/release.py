"""``strongroom release``: say which code a release is, sign it, and check what others signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strongroom.cli.options import AsJson

if TYPE_CHECKING:
    from strongroom.formats.release_manifest import SignedReleaseManifest

__all__ = ["app", "read_manifest"]

app = typer.Typer(
    name="release",
    help="Release manifests: the vendor's signed word for the code of a release.",
    no_args_is_help=True,
)

Manifest = Annotated[Path, typer.Argument(help="File with a manifest.")]


@app.command("key")
def key(file: Annotated[Path, typer.Argument(help="File for the secret key; made if it is missing.")]) -> None:
    """Make a vendor key, or read one, and print its public half for `strongroom init --vendor-key`.

    Example: strongroom release key ./vendor.key
    """
    from strongroom.cli.output import emit
    from strongroom.cli.signing_keys import make_signing_key, read_signing_key

    make_signing_key(file)
    emit(read_signing_key(file).public.hex())


@app.command("make")
def make(
    version: Annotated[str, typer.Option("--version", help="What people call it.")],
    build: Annotated[
        list[str] | None,
        typer.Option(
            "--build", help="Kind:measurement:least-version; this installation by default.", metavar="KIND:HEX:SVN"
        ),
    ] = None,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="The manifest of the release before.", metavar="FILE")
    ] = None,
    revoke: Annotated[
        list[str] | None, typer.Option("--revoke", help="Measurement never to be accepted again.", metavar="HEX")
    ] = None,
    not_before: Annotated[
        str | None, typer.Option("--not-before", help="From when on (RFC 3339); now by default.", metavar="TIME")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="How many days it is good for from then on.")] = 365,
) -> None:
    """Make a manifest, which nobody has signed yet, and print it.

    Example: strongroom release make --version 0.2.0 --previous release1.txt > release2.txt
    """
    from datetime import UTC, datetime, timedelta

    from strongroom.base.errors import Misconfigured
    from strongroom.channel.messages import EVIDENCE_SGX_DCAP_3
    from strongroom.cli.captured import instant_of
    from strongroom.cli.hexadecimal import from_hex
    from strongroom.cli.measured import SECURITY_VERSION, measure_store
    from strongroom.cli.output import emit
    from strongroom.formats.release_manifest import ReleasedCode, ReleaseManifest

    codes = []
    for text in build or (f"{EVIDENCE_SGX_DCAP_3}:{measure_store().hex()}:{SECURITY_VERSION}",):
        kind, _, rest = text.partition(":")
        measurement, _, svn = rest.partition(":")
        if not kind or not svn.isdecimal():
            raise Misconfigured("--build takes KIND:HEX:SVN", setting="build")
        codes.append(
            ReleasedCode(
                kind=kind,
                measurement=from_hex(measurement, setting="build", lengths=(32, 48)),
                minimum_svn=int(svn),
            )
        )
    before = None if previous is None else read_manifest(previous).manifest
    begins = datetime.now(UTC) if not_before is None else instant_of(not_before)
    manifest = ReleaseManifest(
        version=version,
        sequence=1 if before is None else before.sequence + 1,
        codes=tuple(sorted(set(codes))),
        revoked=tuple(sorted({from_hex(text, setting="revoke", lengths=(32, 48)) for text in revoke or ()})),
        not_before_ms=int(begins.timestamp() * 1000),
        expires_ms=int((begins + timedelta(days=days)).timestamp() * 1000),
        previous=None if before is None else before.digest,
    )
    emit(manifest.unsigned().to_text())


@app.command("sign")
def sign(
    manifest: Manifest,
    key_file: Annotated[Path, typer.Option("--key", help="Vendor key to sign with.", metavar="FILE")],
) -> None:
    """Add a signature to a manifest and print it.

    Example: strongroom release sign release2.txt --key vendor.key > release2.signed.txt
    """
    from strongroom.cli.output import emit
    from strongroom.cli.signing_keys import read_signing_key

    emit(read_manifest(manifest).signed(read_signing_key(key_file)).to_text())


@app.command("show")
def show(manifest: Manifest, as_json: AsJson = False) -> None:
    """Show what a manifest says and whose signatures on it hold. That says nothing of who they are.

    Example: strongroom release show release2.txt
    """
    from strongroom.cli.output import emit, emit_json

    shown = _shown(read_manifest(manifest))
    if as_json:
        emit_json(shown)
    else:
        emit("\n".join(f"{name}: {_words(value)}" for name, value in shown.items()))


@app.command("verify")
def verify(
    manifest: Annotated[list[Path], typer.Argument(help="Files with manifests, oldest first.")],
    vendor_key: Annotated[list[str], typer.Option("--vendor-key", help="A vendor's public key.", metavar="HEX")],
    vendor_threshold: Annotated[int, typer.Option("--vendor-threshold", min=1, help="How many have to sign.")] = 1,
) -> None:
    """Follow a chain of manifests: each signed by enough vendor keys, each following the one before.

    Example: strongroom release verify release1.txt release2.txt --vendor-key 3f… --vendor-threshold 1
    """
    from datetime import UTC, datetime

    from strongroom.cli.charters import vendor_rule
    from strongroom.cli.output import emit
    from strongroom.verifier.release import ReleaseState

    rule, state = vendor_rule(vendor_key, vendor_threshold), ReleaseState.beginning()
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    for path in manifest:
        state = state.followed(read_manifest(path), rule, at_ms=now_ms)
    newest = read_manifest(manifest[-1]).manifest
    expired = " (expired)" if now_ms >= newest.expires_ms else ""
    emit(f"release {newest.sequence}, {newest.version}: verified{expired}")


def read_manifest(path: Path) -> SignedReleaseManifest:
    """Read a manifest's file."""
    from strongroom.cli.wanted import read_file
    from strongroom.formats.release_manifest import MAX_SIGNED_BYTES, SignedReleaseManifest

    return SignedReleaseManifest.from_text(read_file(path, max_bytes=2 * MAX_SIGNED_BYTES).decode("latin-1"))


def _shown(signed: SignedReleaseManifest) -> dict[str, Any]:
    from datetime import UTC, datetime

    def instant(milliseconds: int) -> str:
        try:
            return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        except (OverflowError, ValueError, OSError):
            return f"{milliseconds} ms"

    manifest = signed.manifest
    return {
        "version": manifest.version,
        "sequence": manifest.sequence,
        "digest": manifest.digest.hex(),
        "previous": None if manifest.previous is None else manifest.previous.hex(),
        "builds": [f"{code.kind}:{code.measurement.hex()}:{code.minimum_svn}" for code in manifest.codes],
        "revoked": [item.hex() for item in manifest.revoked],
        "not_before": instant(manifest.not_before_ms),
        "expires": instant(manifest.expires_ms),
        "signed_by": sorted(item.hex() for item in signed.signers()),
    }


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "nobody"
    return str(value)
