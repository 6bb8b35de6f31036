"""The environment is the host's. A service starts only in one that cannot change what its code does."""

from __future__ import annotations

import os
import sys

from strongroom.base.errors import Misconfigured

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


def run_isolated(arguments: list[str]) -> None:
    """Replace this process by an isolated interpreter (``python -I``) running the same command, unless it is one.

    Isolated, Python ignores its environment variables, the current directory and the user's own packages.
    """
    if not sys.flags.isolated:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-I", "-m", "strongroom", *arguments])  # noqa: S606 - ourselves
