"""The environment is the host's. A service starts only in one that cannot change what its code does."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["refuse_hostile_environment", "run_isolated"]

_NAMES = frozenset({"SSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES"})
_PREFIXES = ("PYTHON", "LD_")


def refuse_hostile_environment() -> None:
    """Raise ``Misconfigured`` naming the variables that load code, write TLS secrets or change the interpreter."""
    found = sorted(name for name in os.environ if name in _NAMES or name.startswith(_PREFIXES))
    if found:
        raise Misconfigured(
            f"the environment sets {', '.join(found)}",
            setting="environment",
            hint='start the service without: env -i PATH="$PATH" strongroom serve …',
        )


def run_isolated(arguments: list[str], *, data: Path) -> None:
    """Replace this process by an isolated interpreter (``python -I``) running the same command, unless it is one.

    Isolated, Python ignores its environment variables, the current directory and the user's own packages. Bytecode
    is cached under the measurement of the code that it was made from, so that none that was made from other code is
    ever run in its place.
    """
    from strongroom.cli.measured import measure_store

    if sys.flags.isolated:
        return
    cache = data / "bytecode" / measure_store().hex()
    command = [sys.executable, "-I", "-X", f"pycache_prefix={cache.absolute()}", "-m", "strongroom", *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - ourselves
