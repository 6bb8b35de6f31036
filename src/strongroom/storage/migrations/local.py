"""The schema of the client's local database.

WITHOUT ROWID here: reading a kind in its keys' order is the common use, and there is one owner's worth of rows.
"""

from __future__ import annotations

from typing import Final

from strongroom.storage.migrations import Steps

__all__ = ["APPLICATION_ID", "STEPS"]

APPLICATION_ID: Final = 0x53524C31
"""ASCII "SRL1"."""

_ITEMS: Final = (
    "CREATE TABLE items ("
    " kind TEXT NOT NULL,"
    " key BLOB NOT NULL,"
    " value BLOB NOT NULL,"
    " PRIMARY KEY (kind, key)"
    ") STRICT, WITHOUT ROWID"
)

STEPS: Final[Steps] = ((_ITEMS,),)
