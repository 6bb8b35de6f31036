"""``strongroom measure``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson

__all__ = ["measure"]


def measure(
    package: Annotated[
        Path | None, typer.Argument(help="A strongroom package directory; this installation's by default.")
    ] = None,
    client: Annotated[bool, typer.Option("--client", help="Of a client in an enclave instead of a store.")] = False,
    files: Annotated[bool, typer.Option("--files", help="List the files with their digests too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the measurement that a store running this code has. No enclave and no network are needed.

    Two measurements that differ are explained by comparing two lists of files.

    Example: strongroom measure
    """
    from strongroom.attesters.measure import Interpreter, measured_files
    from strongroom.cli.measured import measure_client, measure_store
    from strongroom.cli.output import emit, emit_json

    measurement = (measure_client if client else measure_store)(package).hex()
    listed = [(digest.hex(), path) for path, digest in measured_files(package)] if files else []
    interpreter = Interpreter.running()
    if as_json:
        shown = {
            "mr_enclave": measurement,
            "interpreter": f"{interpreter.implementation} {interpreter.version}",
            "files": [{"sha256": digest, "path": path} for digest, path in listed],
        }
        emit_json(shown)
        return
    for digest, path in listed:
        emit(f"{digest}  {path}")
    emit(measurement)
