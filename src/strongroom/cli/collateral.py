"""``strongroom collateral``: fetch, show, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strongroom.cli.options import AsJson, Home, RootFile

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.collateral.cache import CollateralCache
    from strongroom.collateral.checked import CheckedCollateral
    from strongroom.collateral.kinds import PlatformKind
    from strongroom.collateral.sources import BundleSource, CollateralSource
    from strongroom.verifier.anchors import Anchor

__all__ = ["collateral", "collateral_service", "kept_collateral"]

collateral = typer.Typer(
    name="collateral",
    help="What the manufacturer signs and evidence is judged by: fetch it, look at it, carry it to machines offline.",
    no_args_is_help=True,
)

_MAX_FILE_BYTES = 32 * 1024 * 1024
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="Directory of the cache; by default in this device's directory.", metavar="DIR"),
]


@collateral.command("fetch")
def fetch(
    intel: Annotated[bool, typer.Option("--intel", help="Ask Intel, who learns what kind of platform it is.")] = False,
    pccs: Annotated[str | None, typer.Option("--pccs", help="Ask this caching service.", metavar="URL")] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Take everything from this bundle.", metavar="FILE")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="A quote of the platform.", metavar="FILE")
    ] = None,
    fmspc: Annotated[str | None, typer.Option("--fmspc", help="The platform's FMSPC.", metavar="HEX")] = None,
    ca: Annotated[str, typer.Option("--ca", help="With --fmspc: processor or platform.")] = "platform",
    tee: Annotated[str, typer.Option("--tee", help="With --fmspc: sgx or tdx.")] = "sgx",
    update: Annotated[str, typer.Option("--update", help="Which TCB evaluation: standard or early.")] = "standard",
    number: Annotated[
        int | None, typer.Option("--number", help="This TCB evaluation data number instead.", min=0)
    ] = None,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", help="CAs of the caching service's certificate.", metavar="PEM")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the set here too, as JSON.", metavar="FILE")
    ] = None,
    root: RootFile = None,
    cache: Cache = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fetch collateral for one kind of platform, check it and keep it in the cache.

    What is kept never gets older: a service that offers less than was seen before is refused.

    Example: strongroom collateral fetch --pccs https://pccs.example:8081 --evidence quote.bin

    Example: strongroom collateral fetch --intel --fmspc 00906ED50000 --ca processor
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import note
    from strongroom.collateral.sources import CachingSource
    from strongroom.storage.files import write_private_file
    from strongroom.transport.clock import SystemClock

    if sum((intel, pccs is not None, bundle is not None)) != 1:
        raise Misconfigured("say where from: --intel, --pccs URL or --bundle FILE")
    anchors = _anchors(root)
    kept = kept_collateral(cache, home, anchors)
    at = SystemClock().now()
    if bundle is not None and evidence is None and fmspc is None:
        sets = _bundle(bundle, anchors).sets
        fetched = tuple(kept.put(item) for item in sets)
    else:
        kind = _kind(evidence, fmspc=fmspc, ca=ca, tee=tee)
        source: CollateralSource
        if bundle is not None:
            source = _bundle(bundle, anchors)
        else:
            source = collateral_service(pccs, anchors=anchors, update=update, number=number, tls_ca=tls_ca)
        caching = CachingSource(source, kept)
        fetched = (caching.collateral(kind, at),)
        if caching.storage_failure:
            note(f"not kept: {caching.storage_failure}")
    if output is not None:
        if len(fetched) != 1:
            raise Misconfigured(
                "--output takes one set", hint="name the platform, or use `strongroom collateral export`"
            )
        write_private_file(output, fetched[0].collateral.to_json())
    _show(fetched, at, as_json=as_json)


@collateral.command("show")
def show(
    file: Annotated[
        Path | None, typer.Argument(help="A set (JSON) or a bundle; the cache by default.", metavar="FILE")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Say what is valid at this time (RFC 3339).", metavar="TIME")
    ] = None,
    root: RootFile = None,
    cache: Cache = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check collateral and say what it is for, which evaluation it belongs to and when it ends.

    Example: strongroom collateral show collateral.json --at 2025-06-10T00:00:00Z
    """
    from strongroom.cli.output import note
    from strongroom.transport.clock import SystemClock

    anchors = _anchors(root)
    instant = SystemClock().now() if at is None else _instant(at)
    if file is not None:
        sets = _read(file, anchors)
    else:
        kept = kept_collateral(cache, home, anchors)
        sets = kept.sets()
        for entry in kept.damaged():
            note(f"left aside: {entry.name}: {entry.reason}")
    _show(sets, instant, as_json=as_json)


@collateral.command("export")
def export(
    output: Annotated[Path, typer.Argument(help="The bundle to write.", metavar="BUNDLE")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Sets (JSON) or bundles; the cache by default.", metavar="[FILE]...")
    ] = None,
    root: RootFile = None,
    cache: Cache = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write collateral into one file, to be used where there is no network: `strongroom collateral fetch --bundle`.

    A bundle needs no protection on its way. Whoever reads it checks what the manufacturer signed.

    Example: strongroom collateral export collateral.bundle
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.collateral.bundle import MAX_SETS, CollateralBundle
    from strongroom.storage.files import write_private_file
    from strongroom.transport.clock import SystemClock

    anchors = _anchors(root)
    sets = (
        tuple(item for file in files for item in _read(file, anchors))
        if files
        else kept_collateral(cache, home, anchors).sets()
    )
    if not 1 <= len(sets) <= MAX_SETS:
        raise Misconfigured(f"{len(sets)} sets to export, a bundle holds 1 to {MAX_SETS}")
    write_private_file(output, CollateralBundle(sets=tuple(item.collateral for item in sets)).to_bytes())
    _show(sets, SystemClock().now(), as_json=as_json)


def _anchors(root: Path | None) -> tuple[Anchor, ...]:
    from strongroom.cli.wanted import read_file
    from strongroom.verifier.anchors import INTEL_SGX_ROOT, SIMULATED_VENDOR, Anchor

    if root is None:
        return (INTEL_SGX_ROOT,)
    data = read_file(root)
    vendor = Anchor.from_certificate(data, simulated=False).vendor
    return (Anchor.from_certificate(data, simulated=vendor == SIMULATED_VENDOR),)


def kept_collateral(directory: Path | None, home: Path | None, anchors: tuple[Anchor, ...]) -> CollateralCache:
    """Give the cache in a directory, by default in that of a device."""
    from strongroom.cli.options import home_directory
    from strongroom.collateral.cache import CollateralCache
    from strongroom.storage import files

    return CollateralCache(directory or home_directory(home) / "collateral", files, anchors=anchors)


def _bundle(path: Path, anchors: tuple[Anchor, ...]) -> BundleSource:
    from strongroom.cli.wanted import read_file
    from strongroom.collateral.sources import BundleSource

    return BundleSource(read_file(path, max_bytes=_MAX_FILE_BYTES), anchors=anchors, name=str(path))


def _read(path: Path, anchors: tuple[Anchor, ...]) -> tuple[CheckedCollateral, ...]:
    """Read a set or a bundle: a set is JSON and begins with a brace, which a bundle cannot."""
    from strongroom.cli.wanted import read_file
    from strongroom.collateral.checked import check_collateral
    from strongroom.collateral.sources import BundleSource
    from strongroom.formats.collateral import Collateral

    data = read_file(path, max_bytes=_MAX_FILE_BYTES)
    if data.lstrip()[:1] == b"{":
        return (check_collateral(Collateral.from_json(data), anchors=anchors, resource=str(path)),)
    return BundleSource(data, anchors=anchors, name=str(path)).sets


def _kind(evidence: Path | None, *, fmspc: str | None, ca: str, tee: str) -> PlatformKind:
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.wanted import read_file
    from strongroom.collateral.kinds import PlatformKind

    if (evidence is None) == (fmspc is None):
        raise Misconfigured("say for which platform: --evidence FILE, or --fmspc HEX with --ca and --tee")
    if evidence is not None:
        return PlatformKind.of_evidence(read_file(evidence))
    return PlatformKind.parse(tee=tee, fmspc=fmspc or "", ca=ca)


def collateral_service(
    pccs: str | None, *, anchors: tuple[Anchor, ...], update: str, number: int | None, tls_ca: Path | None
) -> CollateralSource:
    """Give a caching service by its address, or Intel where there is none."""
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.wanted import read_file
    from strongroom.collateral.pcs import Evaluation, PcsSource, Update

    try:
        evaluation = Evaluation(update=Update(update), number=number)
    except ValueError as cause:
        raise Misconfigured(f"--update {update}: {cause}", setting="update") from cause
    if pccs is None:
        return PcsSource.intel(evaluation=evaluation)
    ca_pem = None if tls_ca is None else read_file(tls_ca)
    return PcsSource(pccs, evaluation=evaluation, anchors=anchors, ca_pem=ca_pem)


def _instant(text: str) -> datetime:
    from datetime import UTC, datetime

    from strongroom.base.errors import Malformed

    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("not a time as RFC 3339 writes it", path="--at") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _show(sets: tuple[CheckedCollateral, ...], at: datetime, *, as_json: bool) -> None:
    from strongroom.cli.output import emit, emit_json

    if as_json:
        emit_json([_as_json(item, at) for item in sets])
        return
    if not sets:
        emit("no collateral")
    for item in sets:
        emit(_as_text(item, at))


def _as_text(item: CheckedCollateral, at: datetime) -> str:
    state = "valid" if item.valid_at(at) else "not valid yet" if at < item.valid_from else "expired"
    rows = [
        ("platforms", f"{item.kind.tee.upper()}, FMSPC {item.kind.fmspc.hex().upper()}, {item.kind.ca} CA"),
        ("root", item.anchor + (", a SIMULATED PLATFORM's that proves no hardware" if item.simulated else "")),
        ("TCB info", f"evaluation {item.tcb_info.number}, issued {item.tcb_info.issued:%Y-%m-%d %H:%M}"),
        ("QE identity", f"evaluation {item.qe_identity.number}, issued {item.qe_identity.issued:%Y-%m-%d %H:%M}"),
        ("PCK CRL", f"number {item.pck_crl.number}, issued {item.pck_crl.issued:%Y-%m-%d %H:%M}"),
        ("root CRL", f"number {item.root_ca_crl.number}, issued {item.root_ca_crl.issued:%Y-%m-%d %H:%M}"),
        ("from", f"{item.valid_from:%Y-%m-%d %H:%M} UTC"),
        ("until", f"{item.expires_at:%Y-%m-%d %H:%M} UTC, when {item.spans[0].name} ends"),
    ]
    lines = [f"{item.kind}: genuine, {state} at {at:%Y-%m-%d %H:%M} UTC"]
    return "\n".join(lines + [f"  {name:<12} {value}" for name, value in rows])


def _as_json(item: CheckedCollateral, at: datetime) -> dict[str, Any]:
    editions = {name: getattr(item, name) for name in ("tcb_info", "qe_identity", "pck_crl", "root_ca_crl")}
    return {
        "tee": str(item.kind.tee),
        "fmspc": item.kind.fmspc.hex().upper(),
        "ca": str(item.kind.ca),
        "anchor": item.anchor,
        "simulated": item.simulated,
        "tcb_evaluation_data_number": item.tcb_evaluation_data_number,
        **{name: {"number": part.number, "issued": part.issued.isoformat()} for name, part in editions.items()},
        "valid_from": item.valid_from.isoformat(),
        "expires_at": item.expires_at.isoformat(),
        "ends_first": item.spans[0].name,
        "valid": item.valid_at(at),
        "judged_at": at.isoformat(),
    }
