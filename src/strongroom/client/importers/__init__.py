"""Files of other password managers and of browsers: bytes in, items out, and a word about whatever did not fit.

Nothing here reads a file, and no error shows contents. A file that is not of the kind raises ``MalformedRecord``
with the line; one bad entry in a good file is left out and reported, with the others imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedRecord
from strongroom.client.importers import bitwarden, browser_csv
from strongroom.client.importers.result import MAX_IMPORT_BYTES, ImportResult, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IMPORTERS", "MAX_IMPORT_BYTES", "ImportResult", "Importer", "Skipped", "detect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """One kind of file. ``recognises`` looks at its beginning only; ``read(data, at=…)`` judges all of it.

    ``at`` (unix milliseconds) is the time of entries whose file does not tell one.
    """

    name: str
    label: str
    recognises: Callable[[bytes], bool]
    read: Callable[..., ImportResult]


IMPORTERS: Final = (
    Importer(
        name="bitwarden",
        label="Bitwarden JSON, not encrypted",
        recognises=bitwarden.recognises,
        read=bitwarden.read,
    ),
    Importer(
        name="browser-csv",
        label="CSV of Chrome, Edge, Firefox or Safari",
        recognises=browser_csv.recognises,
        read=browser_csv.read,
    ),
)


def detect(data: bytes) -> Importer:
    """Find the importer for a file, or raise ``MalformedRecord``."""
    for importer in IMPORTERS:
        if importer.recognises(data):
            return importer
    raise MalformedRecord(
        "not a file that can be imported",
        path="import",
        hint="what can be: " + "; ".join(importer.label for importer in IMPORTERS),
    )
