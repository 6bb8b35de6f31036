"""What the commands print, and how errors look."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strongroom.base.errors import AppraisalRefused, Misbehaviour, StorageUnavailable, StrongroomError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["emit", "emit_json", "finish", "note", "show_error"]


def emit(text: str = "") -> None:
    """Print a result; ``StorageUnavailable`` when it cannot be written."""
    with _written():
        sys.stdout.write(text + "\n")


def finish() -> None:
    """See that what was printed has arrived: a result that got lost must not end in success."""
    with _written():
        sys.stdout.flush()


def emit_json(value: Any) -> None:
    """Print a result as JSON."""
    emit(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(f"strongroom: {text}\n")


def show_error(error: StrongroomError, *, as_json: bool) -> None:
    """Print an error: one line of fact, one per finding, and what to do."""
    if as_json:
        emit_json(_as_json(error))
        return
    if isinstance(error, AppraisalRefused):
        note("refused, for these reasons:")
        for finding in error.findings:
            note(f"  {finding.check}: {finding.message} [{finding.section}]")
            if finding.expected or finding.actual:
                note(f"      expected {finding.expected or '-'}")
                note(f"      found    {finding.actual or '-'}")
    else:
        note(f"{error.code}: {error.message}")
    if error.hint:
        note(f"hint: {error.hint}")


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        # what is left in the buffer goes nowhere, or the interpreter would fail on it once more at its end
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(cause, BrokenPipeError):
            raise SystemExit(141) from None  # the reader has gone, as a shell says it: 128 and SIGPIPE
        raise StorageUnavailable(f"the result cannot be written: {cause.strerror}") from cause


def _as_json(error: StrongroomError) -> dict[str, Any]:
    shown: dict[str, Any] = {"error": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, AppraisalRefused):
        shown["findings"] = [
            {
                "check": str(finding.check),
                "message": finding.message,
                "section": finding.section,
                "expected": finding.expected,
                "actual": finding.actual,
            }
            for finding in error.findings
        ]
    if isinstance(error, Misbehaviour):
        shown["proof"] = error.proof.hex()
    return shown
