"""``strongroom legacy``: what Intel's attestation service said before it ended, shown as history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import AsJson

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["app"]

app = typer.Typer(
    name="legacy",
    help="Reports of Intel's attestation service (EPID, until 2025), as history.",
    no_args_is_help=True,
)

_MAX_BYTES = 64 * 1024


@app.callback()
def group() -> None:
    """Keep the verb: a group of one command would swallow it."""


@app.command("verify-report")
def verify_report(
    body: Annotated[Path, typer.Argument(help="The report's body, byte for byte as it came.", metavar="BODY")],
    signature: Annotated[
        Path, typer.Option("--signature", help="The X-IASReport-Signature header: base64.", metavar="FILE")
    ],
    chain: Annotated[
        Path,
        typer.Option(
            "--chain", help="The signing certificate, then its issuer: PEM, or as in the header.", metavar="FILE"
        ),
    ],
    at: Annotated[
        str, typer.Option("--at", help="The present, YYYY-MM-DDTHH:MM:SSZ; the machine's clock by default.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check that a report was Intel's when it was made. It is usable for nothing now, whatever it says.

    Two answers: authentic at the report's own time, or refused with every finding; and usable now, which is always no.

    Example: strongroom legacy verify-report report.json --signature report.sig --chain chain.pem
    """
    import binascii
    from base64 import b64decode
    from urllib.parse import unquote_to_bytes

    from strongroom.base.errors import MalformedCollateral
    from strongroom.cli.output import emit, emit_json
    from strongroom.crypto.rsa_certificates import parse_rsa_chain
    from strongroom.legacy_epid.history import INTEL_REPORT_CA, verify_history

    try:
        signed = b64decode(_read(signature).strip(), validate=True)
    except binascii.Error:
        raise MalformedCollateral("not base64", path=str(signature)) from None
    pem = _read(chain)
    if b"%0A" in pem:
        pem = unquote_to_bytes(pem)
    certificates = parse_rsa_chain(pem, path=str(chain))
    found = verify_history(_read(body), signed, certificates, at=_instant(at), authority=INTEL_REPORT_CA)
    report = found.report
    claims = report.quote.report
    if as_json:
        emit_json(
            {
                "authentic_at": found.authentic_at.isoformat(),
                "usable_now": found.usable_now,
                "why_not": list(found.why_not),
                "status": str(report.status),
                "api_version": report.api_version,
                "id": report.report_id,
                "advisories": list(report.advisory_ids),
                "epid_group": f"{report.quote.group_id:08x}",
                "linkable": report.pseudonym is not None,
                "debug": claims.attributes.debug,
                "mr_enclave": claims.mr_enclave.hex(),
                "mr_signer": claims.mr_signer.hex(),
                "isv_prod_id": claims.isv_prod_id,
                "isv_svn": claims.isv_svn,
                "report_data": claims.report_data.hex(),
                "signed_by": found.signed_by,
            }
        )
        return
    emit(f"authentic   yes, at {found.authentic_at:%Y-%m-%d %H:%M:%S} UTC, signed by {found.signed_by}")
    emit(f"usable now  no: {'; '.join(found.why_not)}")
    emit(f"status      {report.status}, by API version {report.api_version}")
    if report.advisory_ids:
        emit(f"advisories  {', '.join(report.advisory_ids)}")
    emit(f"MRENCLAVE   {claims.mr_enclave.hex()}{'  (debug enclave)' if claims.attributes.debug else ''}")
    emit(f"MRSIGNER    {claims.mr_signer.hex()}, product {claims.isv_prod_id}, version {claims.isv_svn}")


def _read(path: Path) -> bytes:
    from strongroom.base.errors import MalformedCollateral, Misconfigured

    try:
        with path.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except OSError as cause:
        raise Misconfigured(f"cannot read {path}: {cause.strerror}", setting=str(path)) from cause
    if len(data) > _MAX_BYTES:
        raise MalformedCollateral(f"more than {_MAX_BYTES} bytes", path=str(path))
    return data


def _instant(text: str) -> datetime:
    from datetime import UTC, datetime

    from strongroom.base.errors import Misconfigured
    from strongroom.formats.signed_json import instant

    if not text:
        return datetime.now(UTC)
    at = instant(text)
    if at is None:
        raise Misconfigured("--at takes YYYY-MM-DDTHH:MM:SSZ", setting="at")
    return at
