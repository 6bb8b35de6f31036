"""``strongroom platform``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["platform"]


def platform(
    directory: Annotated[Path, typer.Argument(help="Directory of the simulated platform; made if it is missing.")],
    tcb: Annotated[str, typer.Option("--tcb", help="UpToDate or OutOfDate.")] = "UpToDate",
    beside: Annotated[
        Path | None,
        typer.Option("--beside", help="Make it of the manufacturer of the platform there, with its root."),
    ] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Put the platform's certificate on the CRL.")] = False,
) -> None:
    """Make a simulated platform or change its state, and print its root certificate.

    To see how clients refuse evidence that is perfect but for one thing.

    Example: strongroom platform ./platform --tcb OutOfDate
    """
    from strongroom.attesters.simulated import PlatformSettings, SimulatedPlatform
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import emit
    from strongroom.formats.tcb_levels import TcbStatus

    try:
        settings = PlatformSettings(tcb=TcbStatus(tcb), pck_revoked=revoked)
    except ValueError as cause:
        raise Misconfigured(f"--tcb {tcb}: {cause}", setting="tcb") from cause
    opened = SimulatedPlatform.open(directory, create=True, settings=settings, beside=beside)
    emit(opened.root_certificate_pem.decode().strip())
