"""What the devices of a vault have stated to have seen, kept to be passed on to their sisters.

docs/spec/vault-log.md section 6. The store adds nothing to a statement and can change nothing in it; it can keep one
to itself, which the sisters notice as soon as they have heard of it by any way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import MalformedEntry, NotAuthorised, StorageUnavailable
from strongroom.store.ports import Table
from strongroom.vaultlog.statement import SignedStatement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows

__all__ = ["DeviceViews"]


class DeviceViews:
    """The statements of one tenant's devices, the newest of each."""

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        self._rows = rows
        self._keys = keys

    @staticmethod
    def read(data: bytes, *, vault_id: bytes, devices: Iterable[bytes]) -> SignedStatement:
        """Check a statement that a client sent: about this vault, signed by one of ``devices``.

        ``MalformedEntry`` when it is none, ``NotAuthorised`` when somebody else made it.
        """
        signed = SignedStatement.from_bytes(data)
        if signed.head.vault != vault_id:
            raise MalformedEntry("a statement about another vault", path="view")
        if signed.statement.device not in devices or not signed.is_authentic():
            raise NotAuthorised("a view is stated by the device that has it")
        return signed

    def is_news(self, transaction: ReadTransaction, signed: SignedStatement) -> bool:
        """Tell whether a statement goes forward from the one that is kept of its device."""
        kept = self._kept(transaction, signed.head.vault, signed.statement.device)
        return kept is None or signed.supersedes(kept[1])

    def keep(self, transaction: WriteTransaction, signed: SignedStatement) -> None:
        """Keep a statement if it is news."""
        vault_id, device = signed.head.vault, signed.statement.device
        kept = self._kept(transaction, vault_id, device)
        key = self._key(vault_id, device)
        if kept is None:
            self._rows.insert(transaction, Table.VAULTS, key, signed.to_bytes())
        elif signed.supersedes(kept[1]):
            version = kept[0]
            self._rows.replace(transaction, Table.VAULTS, key, expected_version=version, value=signed.to_bytes())

    def of(self, transaction: ReadTransaction, vault_id: bytes, devices: Iterable[bytes]) -> list[bytes]:
        """Give the statements of a vault's devices, in the order of their keys."""
        found = (self._rows.get(transaction, Table.VAULTS, self._key(vault_id, device)) for device in sorted(devices))
        return [row.value for row in found if row is not None]

    def erase(self, transaction: WriteTransaction, vault_id: bytes, devices: Iterable[bytes]) -> None:
        """Remove the statements of a vault's devices."""
        keys = [self._key(vault_id, device) for device in devices]
        for key, row in transaction.get_many(Table.VAULTS, keys).items():
            transaction.delete(Table.VAULTS, key, expected_version=row.version)

    def _kept(self, transaction: ReadTransaction, vault_id: bytes, device: bytes) -> tuple[int, SignedStatement] | None:
        row = self._rows.get(transaction, Table.VAULTS, self._key(vault_id, device))
        if row is None:
            return None
        try:
            return row.version, SignedStatement.from_bytes(row.value)
        except MalformedEntry as cause:
            raise StorageUnavailable("a view's row holds something else than a view") from cause

    def _key(self, vault_id: bytes, device: bytes) -> bytes:
        return self._keys.identifier("view", vault_id, device)
