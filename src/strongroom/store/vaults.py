"""Vaults: the chain of each account's entries, kept in sealed rows, moved forward by compare-and-swap.

The store checks what every client will check again (docs/spec/vault-log.md section 3) and signs where the chain
ends. It can read no record: it keeps them as the devices sealed them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import (
    Conflict,
    HeadMoved,
    Malformed,
    MalformedEntry,
    Misbehaviour,
    NotAuthorised,
    StorageUnavailable,
)
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import equal
from strongroom.formats.store_api import EntryPair
from strongroom.store.ports import Table
from strongroom.vaultlog.chain import ChainState, extend
from strongroom.vaultlog.entry import DeviceAdded, Step
from strongroom.vaultlog.head import sign_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows
    from strongroom.store.sessions import DeviceIdentity

__all__ = ["VaultNames", "VaultPage", "Vaults", "size_of"]

_MAX_ROW_BYTES: Final = 2 * 1024 * 1024
_PAGE_BYTES: Final = 4 * 1024 * 1024  # a page ends when its sealed records have this many bytes together


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPage:
    """Entries from a place on, the vault's length at the moment at which they were read, and the head of it."""

    length: int
    head: bytes
    entries: list[EntryPair]


class VaultNames:
    """Sees to it that a vault's identifier is one tenant's: heads name the vault, and are signed with one key for all.

    Else whoever has an account with one tenant could get heads signed that seem to be of a vault of another's. The
    name is taken where the default tenant's vault of that name would be, so that the default tenant takes part.
    """

    def __init__(self, rows: SealedRows, keys: StoreKeys) -> None:
        """``rows`` and ``keys`` are the default tenant's."""
        self._rows = rows
        self._keys = keys

    def take(self, transaction: WriteTransaction, vault_id: bytes) -> None:
        """Take a name for a vault of another tenant; ``Conflict`` when any tenant has it."""
        self._rows.insert(transaction, Table.VAULTS, self._key(vault_id), b"taken")

    def release(self, transaction: WriteTransaction, vault_id: bytes) -> None:
        """Give a name back when its vault is gone."""
        row = self._rows.get(transaction, Table.VAULTS, self._key(vault_id))
        if row is not None and row.value == b"taken":
            transaction.delete(Table.VAULTS, self._key(vault_id), expected_version=row.version)

    def _key(self, vault_id: bytes) -> bytes:
        return _vault_key(self._keys, vault_id)


class Vaults:
    """The vaults of one tenant. Every method works within a transaction of the caller's.

    ``names`` keeps the vaults' identifiers apart from other tenants'; the default tenant needs none.
    """

    def __init__(self, rows: SealedRows, keys: StoreKeys, *, epoch: int, names: VaultNames | None = None) -> None:
        self._rows = rows
        self._keys = keys
        self._epoch = epoch
        self._names = names

    def create(
        self, transaction: WriteTransaction, *, vault_id: bytes, account_key: bytes, first: EntryPair, time_ms: int
    ) -> bytes:
        """Make a vault whose first entry admits its first device; returns the signed head."""
        genesis = ChainState.genesis(vault=vault_id, account_key=account_key, with_versions=False)
        step = Step.from_bytes(first.entry, first.sealed)
        if not isinstance(step.entry.entry.change, DeviceAdded):
            raise MalformedEntry("a vault begins with its first device", path="first")
        state = _extend(genesis, [step])
        try:
            if self._names is not None:
                self._names.take(transaction, vault_id)
            self._rows.insert(transaction, Table.VAULTS, self._vault_key(vault_id), state.to_bytes())
        except Conflict:
            raise Conflict("a vault of this identifier exists") from None
        self._rows.insert(transaction, Table.ENTRIES, self._entry_key(vault_id, 0), _encode(first))
        return self._sign(state, time_ms)

    def append(
        self,
        transaction: WriteTransaction,
        identity: DeviceIdentity,
        *,
        expected_length: int,
        expected_chain: bytes,
        entries: Sequence[EntryPair],
        time_ms: int,
    ) -> bytes:
        """Append entries to exactly this head, or raise ``HeadMoved``; returns the signed head.

        Records are written by a proven device, as itself. An account proven by its password alone may admit devices,
        and append what a device wrote that these very entries admit.
        """
        version, state = self._load(transaction, identity.vault_id)
        if state.length != expected_length or not equal(state.chain_hash, expected_chain):
            raise HeadMoved(f"the vault has {state.length} entries; these extend {expected_length}")
        steps = [Step.from_bytes(pair.entry, pair.sealed) for pair in entries]
        _check_authors(steps, identity)
        extended = _extend(state, steps)
        for index, pair in enumerate(entries, start=state.length):
            self._rows.insert(transaction, Table.ENTRIES, self._entry_key(identity.vault_id, index), _encode(pair))
        self._rows.replace(
            transaction,
            Table.VAULTS,
            self._vault_key(identity.vault_id),
            expected_version=version,
            value=extended.to_bytes(),
        )
        return self._sign(extended, time_ms)

    def page(self, transaction: ReadTransaction, vault_id: bytes, *, after: int, limit: int, time_ms: int) -> VaultPage:
        """Read at most ``limit`` entries from index ``after`` on. A client that is ahead gets none, and the head."""
        _, state = self._load(transaction, vault_id)
        keys = [self._entry_key(vault_id, index) for index in range(after, min(after + limit, state.length))]
        entries: list[EntryPair] = []
        size = 0
        for row in self._rows.get_each(transaction, Table.ENTRIES, keys):
            pair = _decode(row.value)
            size += len(pair.sealed)
            if entries and size > _PAGE_BYTES:
                break
            entries.append(pair)
        return VaultPage(length=state.length, head=self._sign(state, time_ms), entries=entries)

    def is_member(self, transaction: ReadTransaction, vault_id: bytes, device_key: bytes) -> bool:
        """Tell whether a device belongs to a vault."""
        return device_key in self._load(transaction, vault_id)[1].members

    def stored_bytes(self, transaction: ReadTransaction, vault_id: bytes) -> int:
        """Count what a vault's entries and sealed records take, by reading them."""
        _, state = self._load(transaction, vault_id)
        keys = [self._entry_key(vault_id, index) for index in range(state.length)]
        return sum(size_of(_decode(row.value)) for row in self._rows.get_each(transaction, Table.ENTRIES, keys))

    def _load(self, transaction: ReadTransaction, vault_id: bytes) -> tuple[int, ChainState]:
        row = self._rows.get(transaction, Table.VAULTS, self._vault_key(vault_id))
        if row is None:
            raise StorageUnavailable("a vault that must exist is missing from the database")
        try:
            return row.version, ChainState.from_bytes(row.value)
        except Malformed as cause:
            raise StorageUnavailable("a vault's row holds something else than a vault") from cause

    def _sign(self, state: ChainState, time_ms: int) -> bytes:
        return sign_head(state, epoch=self._epoch, time_ms=time_ms, key=self._keys.head)

    def _vault_key(self, vault_id: bytes) -> bytes:
        return _vault_key(self._keys, vault_id)

    def _entry_key(self, vault_id: bytes, index: int) -> bytes:
        return self._keys.identifier("entry", vault_id, index.to_bytes(8, "big"))


def _vault_key(keys: StoreKeys, vault_id: bytes) -> bytes:
    return keys.identifier("vault", vault_id)


def size_of(pair: EntryPair) -> int:
    """Give the bytes that an entry and its sealed record count for."""
    return len(pair.entry) + len(pair.sealed)


def _check_authors(steps: Sequence[Step], identity: DeviceIdentity) -> None:
    changes = [step.entry.entry.change for step in steps]
    authors = {identity.device_key}
    if identity.device_key is None:
        authors = {change.device for change in changes if isinstance(change, DeviceAdded)}
    for step, change in zip(steps, changes, strict=True):
        if not isinstance(change, DeviceAdded) and step.entry.entry.author not in authors:
            raise NotAuthorised("only the device that wrote an entry may append it")


def _extend(state: ChainState, steps: Sequence[Step]) -> ChainState:
    """Extend a chain by what a client sent; what a client gets wrong is malformed, not the store's misbehaviour."""
    try:
        return extend(state, steps)
    except Misbehaviour as cause:
        raise MalformedEntry(cause.message, path="entries") from cause


def _encode(pair: EntryPair) -> bytes:
    return canonical.encode({"entry": pair.entry, "sealed": pair.sealed})


def _decode(value: bytes) -> EntryPair:
    try:
        fields = Fields.decode(value, path="entry row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        pair = EntryPair(entry=fields.byte_string("entry"), sealed=fields.byte_string("sealed"))
        fields.done()
    except Malformed as cause:
        raise StorageUnavailable("an entry's row holds something else than an entry") from cause
    return pair
