"""The one way in which Intel writes its documents, as expressions over their bytes: a quicker reading of nearly all.

What an expression matches is JSON in every reader's eyes: no white space, no escaped text, fields in one order and so
each of them once, numbers and texts of limited length. A document that does not match, good or bad, is read field by
field (``signed_json``), and only that reading says what is wrong with one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from strongroom.formats.signed_json import instant

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "ADVISORIES",
    "DATE",
    "STATUS",
    "TEXT",
    "hexadecimal",
    "items",
    "number",
    "usual_advisories",
    "usual_instant",
]

TEXT: Final = rb'"[ !#-\[\]-~]{0,256}"'
"""A text of printable ASCII without anything to escape, with its quotation marks."""
DATE: Final = rb'"([0-9T:Z-]{20})"'
STATUS: Final = rb'"([A-Za-z]{1,40})"'
ADVISORIES: Final = rb'(?:,"advisoryIDs":\[("[A-Za-z0-9._-]{1,64}"(?:,"[A-Za-z0-9._-]{1,64}"){0,500})\])?'
"""The field, where it is there and not empty; what it matches is for ``usual_advisories``."""


def number(digits: int) -> bytes:
    """Match a whole number of at most so many digits."""
    return b"(0|[1-9][0-9]{0,%d})" % (digits - 1)


def hexadecimal(length: int) -> bytes:
    """Match a text of so many bytes in hexadecimal."""
    return b'"([0-9a-fA-F]{%d})"' % (2 * length)


def items(item: re.Pattern[bytes], text: bytes, at: int = 0) -> tuple[list[tuple[Any, ...]], int]:
    """Match items with commas between them from a place on; give their groups, and where the last of them ends."""
    found = []
    while (match := item.match(text, at)) is not None:
        found.append(match.groups())
        at = match.end()
        if text[at : at + 1] != b",":
            return found, at
        at += 1
    return found, at - 1


@lru_cache(maxsize=256)  # the levels of a document share few dates
def usual_instant(text: bytes) -> datetime | None:
    """Read what ``DATE`` matches; ``None`` when it is no instant."""
    return instant(text.decode())


@lru_cache(maxsize=256)  # the levels of a document share few lists
def usual_advisories(text: bytes | None) -> tuple[str, ...]:
    """Read what ``ADVISORIES`` matches."""
    return () if text is None else tuple(text.decode()[1:-1].split('","'))
