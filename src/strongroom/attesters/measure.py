"""The measurement of a Python program: a digest over the code, the interpreter and the configuration.

SHA-256 over the deterministic CBOR (``base.canonical``) of one map, docs/spec/simulated-platform.md section 2:
``{"type": "strongroom v1 measurement", "files": [[path, sha256], …], "interpreter": [implementation, version],
"configuration": {…}}``. Every file of the package counts, not only its modules; only bytecode caches are left out.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import strongroom
from strongroom.base import canonical
from strongroom.base.errors import AttesterUnavailable, Misconfigured
from strongroom.crypto.hashing import sha256
from strongroom.formats.measurements import MrEnclave

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Interpreter", "measure_package", "measured_files"]

_CACHE: Final = "__pycache__"
_TYPE: Final = "strongroom v1 measurement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What runs the code: ``implementation`` as in ``sys.implementation.name``, ``version`` as in ``3.11.7``."""

    implementation: str
    version: str

    @classmethod
    def running(cls) -> Interpreter:
        """Describe the interpreter of this process."""
        return cls(implementation=sys.implementation.name, version=platform.python_version())


def measure_package(
    directory: Path | None = None,
    *,
    configuration: Mapping[str, canonical.Value] | None = None,
    interpreter: Interpreter | None = None,
) -> MrEnclave:
    """Measure a package: by default the one that this process runs, on this process's interpreter.

    A client that knows a release computes what to expect from its directory, the operator's ``configuration`` (the
    settings that change security) and the ``interpreter``. Raises ``Misconfigured`` for a package that cannot be
    measured faithfully and ``AttesterUnavailable`` when a file cannot be read.
    """
    interpreter = interpreter or Interpreter.running()
    value = {
        "type": _TYPE,
        "files": [[path, digest] for path, digest in measured_files(directory)],
        "interpreter": [interpreter.implementation, interpreter.version],
        "configuration": dict(configuration or {}),
    }
    return MrEnclave(sha256(canonical.encode(value)))


def measured_files(directory: Path | None = None) -> tuple[tuple[str, bytes], ...]:
    """List (path, SHA-256) of every file that counts, sorted; paths are relative, with ``/`` between their parts.

    Comparing two lists says what differs between two measurements.
    """
    root = Path(strongroom.__file__).parent if directory is None else directory
    try:
        found = sorted((_name(root, path), path) for path in _files(root))
        return tuple((name, sha256(path.read_bytes())) for name, path in found)
    except OSError as cause:
        raise AttesterUnavailable(f"the package in {root} cannot be measured: {cause.strerror or cause}") from cause


def _files(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                # only these directories: a .pyc anywhere else is imported like a module, so it is measured like one
                if entry.name != _CACHE:
                    yield from _files(Path(entry.path))
            elif stat.S_ISREG(mode):
                yield Path(entry.path)
            else:
                # behind a link may lie code that is run and, were it not refused, not measured
                raise Misconfigured(f"{entry.path} is neither a file nor a directory, so it cannot be measured")


def _name(root: Path, path: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Misconfigured(f"the name {name!r} is not UTF-8, so it cannot be measured") from None
    return name
