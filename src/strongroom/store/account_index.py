"""Which accounts a tenant has. The database holds keyed hashes, so that nobody can list a tenant by looking at it.

The index is what a quota counts, and what a recount and a tenant's deletion walk. It is in sixteen parts, chosen by
the account's id, so that registrations at one time seldom wait for one row; each part has one open page, rewritten
with each registration, and full ones, which change when an account is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["PARTS", "AccountIndex", "IndexedAccount"]

PARTS: Final = 16
_PAGE: Final = 64  # references on a full page
_REFERENCE_BYTES: Final = 64
_MAX_ROW_BYTES: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedAccount:
    """Where an account's rows are: its id and its vault's (16 bytes each), and the key of its row (32 bytes)."""

    account_id: bytes
    vault_id: bytes
    name_key: bytes

    def to_bytes(self) -> bytes:
        """Give the 64 bytes of the reference."""
        return self.account_id + self.vault_id + self.name_key

    @classmethod
    def from_bytes(cls, data: bytes) -> IndexedAccount:
        """Read a reference of 64 bytes."""
        return cls(account_id=data[:16], vault_id=data[16:32], name_key=data[32:])


@dataclass(frozen=True, slots=True)
class _Part:
    version: int
    full_pages: int
    count: int
    open_page: tuple[bytes, ...]


class AccountIndex:
    """One tenant's index. Every method works within a transaction of the caller's."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys

    def add(self, transaction: WriteTransaction, account: IndexedAccount) -> None:
        """Note a new account, in the transaction that makes it."""
        number = account.account_id[0] % PARTS
        part = self._part(transaction, number)
        references = (*part.open_page, account.to_bytes())
        full_pages = part.full_pages
        if len(references) == _PAGE:
            self._rows.insert(transaction, Table.ACCOUNTS, self._page_key(number, full_pages), _encode(references))
            references, full_pages = (), full_pages + 1
        self._save(transaction, number, _Part(part.version, full_pages, part.count + 1, references))

    def remove(self, transaction: WriteTransaction, account_id: bytes) -> bool:
        """Forget an account; gives whether it was known."""
        number = account_id[0] % PARTS
        part = self._part(transaction, number)
        kept = _without(part.open_page, account_id)
        if len(kept) < len(part.open_page):
            self._save(transaction, number, _Part(part.version, part.full_pages, part.count - 1, kept))
            return True
        for page in range(part.full_pages):
            key = self._page_key(number, page)
            row = next(self._rows.get_each(transaction, Table.ACCOUNTS, [key]))
            references = _decode(row.value)
            kept = _without(references, account_id)
            if len(kept) < len(references):
                self._rows.replace(transaction, Table.ACCOUNTS, key, expected_version=row.version, value=_encode(kept))
                self._save(transaction, number, _Part(part.version, part.full_pages, part.count - 1, part.open_page))
                return True
        return False

    def count(self, transaction: ReadTransaction) -> int:
        """Give the exact number of accounts."""
        return sum(self._part(transaction, number).count for number in range(PARTS))

    def walk(self, transaction: ReadTransaction) -> Iterator[IndexedAccount]:
        """Give every account, in no order that means anything."""
        for number in range(PARTS):
            part = self._part(transaction, number)
            keys = [self._page_key(number, page) for page in range(part.full_pages)]
            for row in self._rows.get_each(transaction, Table.ACCOUNTS, keys):
                yield from map(IndexedAccount.from_bytes, _decode(row.value))
            yield from map(IndexedAccount.from_bytes, part.open_page)

    def first(self, transaction: ReadTransaction, limit: int) -> list[IndexedAccount]:
        """Give some of the accounts."""
        return list(islice(self.walk(transaction), limit))

    def clear(self, transaction: WriteTransaction) -> None:
        """Remove the index itself, at the end of a tenant."""
        for number in range(PARTS):
            part = self._part(transaction, number)
            for page in range(part.full_pages):
                self._delete(transaction, self._page_key(number, page))
            if part.version:
                self._delete(transaction, self._part_key(number))

    def _delete(self, transaction: WriteTransaction, key: bytes) -> None:
        row = transaction.get(Table.ACCOUNTS, key)
        if row is not None:
            transaction.delete(Table.ACCOUNTS, key, expected_version=row.version)

    def _part(self, transaction: ReadTransaction, number: int) -> _Part:
        row = self._rows.get(transaction, Table.ACCOUNTS, self._part_key(number))
        if row is None:
            return _Part(0, 0, 0, ())
        try:
            fields = Fields.decode(row.value, path="account index", error=Malformed, max_bytes=_MAX_ROW_BYTES)
            part = _Part(
                row.version,
                fields.number("full"),
                fields.number("count"),
                fields.byte_strings("open", length=_REFERENCE_BYTES, at_most=_PAGE),
            )
            fields.done()
        except Malformed as cause:
            raise _damaged() from cause
        return part

    def _save(self, transaction: WriteTransaction, number: int, part: _Part) -> None:
        key = self._part_key(number)
        value = canonical.encode({"full": part.full_pages, "count": part.count, "open": list(part.open_page)})
        if part.version:
            self._rows.replace(transaction, Table.ACCOUNTS, key, expected_version=part.version, value=value)
        else:
            self._rows.insert(transaction, Table.ACCOUNTS, key, value)

    def _part_key(self, number: int) -> bytes:
        return self._keys.identifier("account index", bytes([number]))

    def _page_key(self, number: int, page: int) -> bytes:
        return self._keys.identifier("account index page", bytes([number]), page.to_bytes(8, "big"))


def _without(references: tuple[bytes, ...], account_id: bytes) -> tuple[bytes, ...]:
    return tuple(reference for reference in references if not reference.startswith(account_id))


def _encode(references: tuple[bytes, ...]) -> bytes:
    return canonical.encode({"accounts": list(references)})


def _decode(value: bytes) -> tuple[bytes, ...]:
    try:
        fields = Fields.decode(value, path="account index page", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        references = fields.byte_strings("accounts", length=_REFERENCE_BYTES, at_most=_PAGE)
        fields.done()
    except Malformed as cause:
        raise _damaged() from cause
    return references


def _damaged() -> StorageUnavailable:
    return StorageUnavailable("a row of the account index holds something else")
