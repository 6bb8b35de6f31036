"""What an import gives, and the helpers that importers share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from strongroom.records.item import Item

__all__ = ["MAX_IMPORT_BYTES", "Collector", "ImportResult", "Skipped", "decode_text", "parse_time", "shown"]

MAX_IMPORT_BYTES: Final = 64 * 1024 * 1024
_MAX_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that was not imported: its place in the file and the reason, without contents."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """The items of a file in its order, what was left out, and which fields had no place of their own.

    ``kept_as_custom`` counts, by the name of a column or field, the items that keep it as a custom field.
    """

    items: tuple[Item, ...]
    skipped: tuple[Skipped, ...] = ()
    kept_as_custom: Mapping[str, int]


class Collector:
    """Gathers what an importer finds; one bad entry does not take the others with it."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._skipped: list[Skipped] = []
        self._kept: Counter[str] = Counter()

    def add(self, item: Item, kept: Iterable[str]) -> None:
        """Take an item, and the names of its fields that are kept as custom ones."""
        self._items.append(item)
        self._kept.update({shown(name) for name in kept})

    def skip(self, where: str, reason: str) -> None:
        """Note what was left out."""
        self._skipped.append(Skipped(where=where, reason=reason))

    def result(self) -> ImportResult:
        """Give everything, the names in alphabetical order."""
        return ImportResult(
            items=tuple(self._items),
            skipped=tuple(self._skipped),
            kept_as_custom=MappingProxyType(dict(sorted(self._kept.items()))),
        )


def decode_text(data: bytes, *, path: str) -> str:
    """Decode UTF-8 with or without a byte order mark, or raise ``MalformedRecord`` with the line."""
    if len(data) > MAX_IMPORT_BYTES:
        raise MalformedRecord(f"{len(data)} bytes, at most {MAX_IMPORT_BYTES} are read", path=path)
    bad = 0
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        bad = cause.start
    # raised outside the handler, since the library's exception holds the whole file
    line = data.count(b"\n", 0, bad) + 1
    raise MalformedRecord(f"line {line} is not UTF-8", path=path)


def parse_time(text: str) -> int | None:
    """Read a time of RFC 3339 or a number of unix milliseconds; ``None`` for others and for times before 1970."""
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) <= 15 else -1
        return number if number >= 0 else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    number = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    return number if number >= 0 else None


def shown(name: str) -> str:
    """Make a name from a file fit for a terminal: printable characters only, and not too many."""
    short = name if len(name) <= _MAX_SHOWN else name[:_MAX_SHOWN] + "…"
    return "".join(character if character.isprintable() else "�" for character in short)
