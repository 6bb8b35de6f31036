"""The log of a service, on standard error: one sentence or one JSON object in a line.

Only our own code's messages are written, and of what goes with them only the fields in ``FIELDS``: a library's message
can hold what it was handling, and so can an exception's text. Of those, the logger's name, the level and the
exception's type are kept.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

__all__ = ["FIELDS", "JsonFormatter", "TextFormatter", "begin_log"]

FIELDS: Final = ("route", "code", "seconds", "count")
"""What a record may say beside its message: names from our own tables, and numbers."""

_OURS: Final = "strongroom"


class TextFormatter(logging.Formatter):
    """One sentence in a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return f"{_OURS}: {_message(record)}"


class JsonFormatter(logging.Formatter):
    """One JSON object in a line: ``time``, ``level``, ``logger``, ``message``, and those of ``FIELDS`` there are."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        shown: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if _is_ours(record):
            given = {name: getattr(record, name, None) for name in FIELDS}
            shown |= {name: value for name, value in given.items() if isinstance(value, str | int | float)}
        return json.dumps(shown)


def begin_log(*, form: str, level: str) -> None:
    """Send the log of this process to standard error. ``form`` is ``text`` or ``json``; may be called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def _message(record: logging.LogRecord) -> str:
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    if not _is_ours(record):
        return f"a message of {record.name} is withheld" + (f" ({kind})" if kind else "")
    try:
        text = record.getMessage()
    except (TypeError, ValueError):
        text = "a message that cannot be written"
    line = "".join(character if character.isprintable() else "?" for character in text)
    return line + (f" ({kind})" if kind else "")


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == _OURS or record.name.startswith(f"{_OURS}.")
