"""The restore notices that a deployment has signed: no secrets, each proves itself, so the row is not sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import sha256
from strongroom.formats.restore_notice import MAX_NOTICE_BYTES, SignedRestoreNotice
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from strongroom.store.ports import ReadTransaction, WriteTransaction

__all__ = ["MAX_NOTICES", "keep_notice", "notices"]

MAX_NOTICES: Final = 8
_ROW: Final = sha256(b"strongroom restore notices")


def notices(transaction: ReadTransaction) -> tuple[bytes, ...]:
    """Give the newest notices, the oldest first; none for a row that holds something else."""
    row = transaction.get(Table.DEPLOYMENT, _ROW)
    if row is None:
        return ()
    try:
        fields = Fields.decode(
            row.value, path="restore notices", error=Malformed, max_bytes=3 * MAX_NOTICES * MAX_NOTICE_BYTES
        )
        found = fields.byte_strings("notices", at_most=MAX_NOTICES)
        fields.done()
    except Malformed:
        return ()  # whoever alters it silences a word of the operator's own, and nothing else
    return found


def keep_notice(transaction: WriteTransaction, signed: SignedRestoreNotice) -> None:
    """Add a notice; beyond the newest eight, the oldest goes."""
    value = canonical.encode({"notices": [*notices(transaction), signed.to_bytes()][-MAX_NOTICES:]})
    row = transaction.get(Table.DEPLOYMENT, _ROW)
    if row is None:
        transaction.insert(Table.DEPLOYMENT, _ROW, value)
    else:
        transaction.replace(Table.DEPLOYMENT, _ROW, expected_version=row.version, value=value)
