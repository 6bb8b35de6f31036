"""The entry point: run one command, turn what goes wrong into a message and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code that the error's family has (docs/cli.md)."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        return 130


def _run(given: list[str]) -> int:
    from strongroom.base.errors import StrongroomError
    from strongroom.cli.app import application
    from strongroom.cli.output import finish, show_error

    try:
        outcome = application(given, standalone_mode=False)
        finish()
    except StrongroomError as error:
        show_error(error, as_json="--json" in given)
        return error.exit_code
    except Exception as error:
        shown = getattr(error, "show", None)
        if shown is None:
            raise
        shown()
        return 1
    return outcome if isinstance(outcome, int) else 0
