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
    DevicePending,
    DeviceRevoked,
    HeadMoved,
    Malformed,
    MalformedEntry,
    Misbehaviour,
    NotAuthorised,
    StorageUnavailable,
    VaultBehind,
)
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import equal
from strongroom.crypto.merkle import consistency_roots
from strongroom.formats.store_api import EntryPair
from strongroom.store.history import VaultHistory
from strongroom.store.ports import Table
from strongroom.store.views import DeviceViews
from strongroom.vaultlog.chain import ChainState, chain_leaf, extend
from strongroom.vaultlog.entry import DeviceAdded, DeviceRemoved, KeysRenewed, Step
from strongroom.vaultlog.head import SignedHead, sign_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, WriteTransaction
    from strongroom.store.sealing import SealedRows
    from strongroom.store.sessions import DeviceIdentity
    from strongroom.vaultlog.head import Head
    from strongroom.vaultlog.statement import SignedStatement

__all__ = ["Renewal", "VaultNames", "VaultPage", "Vaults", "size_of"]

_MAX_ROW_BYTES: Final = 2 * 1024 * 1024
_AT_ONCE: Final = 256
_PAGE_BYTES: Final = 4 * 1024 * 1024  # a page ends when its sealed records have this many bytes together


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPage:
    """Entries from a place on, the vault's length at the moment at which they were read, and the head of it.

    ``views`` are the devices' statements if the entries reach the head, otherwise none.
    """

    length: int
    head: bytes
    entries: list[EntryPair]
    views: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vault:
    """A vault's row: where its chain ends, and the longest head that it lost, if it lost any."""

    chain: ChainState
    lost: bytes | None = None

    def to_bytes(self) -> bytes:
        return canonical.encode({"chain": self.chain.to_bytes(), "lost": self.lost})

    @classmethod
    def from_bytes(cls, data: bytes) -> _Vault:
        fields = Fields.decode(data, path="vault row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        vault = cls(chain=ChainState.from_bytes(fields.byte_string("chain")), lost=fields.optional_byte_string("lost"))
        fields.done()
        return vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """The renewal of an account's keys that an append begins: which epoch, and the account's signing key from then."""

    epoch: int
    account_key: bytes


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

    ``signed_heads`` tells head keys of this deployment, of this epoch or an earlier one, from others. ``names`` keeps
    the vaults' identifiers apart from other tenants'; the default tenant needs none.
    """

    def __init__(
        self,
        rows: SealedRows,
        keys: StoreKeys,
        *,
        epoch: int,
        signed_heads: Callable[[bytes], bool],
        names: VaultNames | None = None,
    ) -> None:
        self._rows = rows
        self._keys = keys
        self._epoch = epoch
        self._signed_heads = signed_heads
        self._names = names
        self._history = VaultHistory(rows, keys)
        self.views = DeviceViews(rows, keys)

    def create(
        self, transaction: WriteTransaction, *, vault_id: bytes, account_key: bytes, first: EntryPair, time_ms: int
    ) -> bytes:
        """Make a vault whose first entry admits its first device; returns the signed head."""
        genesis = ChainState.genesis(vault=vault_id, account_key=account_key)
        step = Step.from_bytes(first.entry, first.sealed)
        if not isinstance(step.entry.entry.change, DeviceAdded):
            raise MalformedEntry("a vault begins with its first device", path="first")
        state = _extend(genesis, [step])
        try:
            if self._names is not None:
                self._names.take(transaction, vault_id)
            self._rows.insert(transaction, Table.VAULTS, self._vault_key(vault_id), _Vault(chain=state).to_bytes())
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
        renewal: Renewal | None = None,
    ) -> bytes:
        """Append entries to exactly this head, or raise ``HeadMoved``; returns the signed head.

        Records are written by a proven device, as itself, which may admit and remove others. An account proven by its
        password alone may append what the account key signed: that admits devices. And what a device wrote that these
        very entries admit.
        """
        version, vault = self._load(transaction, identity.vault_id)
        if identity.device_key in vault.chain.removed:
            raise DeviceRevoked("this device was revoked")
        if vault.lost is not None:
            raise VaultBehind(
                "the store has lost entries of this vault that it had signed for",
                hint="a device that has them hands them back with `strongroom sync --repair`",
            )
        steps = _expected(vault.chain, expected_length, expected_chain, entries)
        _check_authors(steps, identity, vault.chain.account_key)
        _check_renewals(steps, renewal, vault.chain)
        extended = _extend(vault.chain, steps)
        self._write(transaction, version, vault.chain, _Vault(chain=extended), entries)
        return self._sign(extended, time_ms)

    def hand_back(
        self,
        transaction: WriteTransaction,
        vault_id: bytes,
        *,
        target: bytes,
        expected_length: int,
        expected_chain: bytes,
        entries: Sequence[EntryPair],
        path: Sequence[bytes],
        time_ms: int,
    ) -> bytes:
        """Take entries back that this deployment had signed for and lost; returns the signed head.

        Whoever brings them has no say in it: they are taken because the result is the beginning of the log that
        ``target``, a head of ours, stands for, and nothing else is taken. ``Conflict`` when that is not shown.
        """
        version, vault = self._load(transaction, vault_id)
        steps = _expected(vault.chain, expected_length, expected_chain, entries)
        head = self._own_head(target, vault_id)
        if head is None:
            raise Conflict("that head is none of this deployment's")
        extended = _extend(vault.chain, steps)
        if not _begins(extended, head, path):
            raise Conflict("these entries are not on the history of that head")
        lost = target if head.length > self._lost_length(vault) else vault.lost
        after = _Vault(chain=extended, lost=lost)
        if extended.length >= self._lost_length(after):
            after = _Vault(chain=extended)
        self._write(transaction, version, vault.chain, after, entries)
        return self._sign(extended, time_ms)

    def note_view(self, transaction: WriteTransaction, signed: SignedStatement) -> bool:
        """Keep a device's statement; tell whether it shows that this database has lost entries of the vault.

        Then the vault takes no new entries until it has the lost ones back: what would be appended now would be a
        second history beside the one that the store signed for.
        """
        self.views.keep(transaction, signed)
        version, vault = self._load(transaction, signed.head.vault)
        head = self._own_head(signed.statement.head, signed.head.vault)
        if head is None or head.length <= max(vault.chain.length, self._lost_length(vault)):
            return False
        marked = _Vault(chain=vault.chain, lost=signed.statement.head)
        self._replace(transaction, version, marked)
        return True

    def paths(
        self, transaction: ReadTransaction, vault_id: bytes, *, size: int, lengths: Sequence[int]
    ) -> list[list[bytes]]:
        """Give the consistency paths from each length to ``size``, which the vault has at least."""
        chain = self._load(transaction, vault_id)[1].chain
        if size > chain.length or any(not 0 < length < size for length in lengths):
            raise MalformedEntry("a path leads from a shorter log to a longer one that is there", path="lengths")

        def leaves_of(start: int, end: int) -> list[bytes]:
            return self._leaves(transaction, vault_id, start, end)

        return [
            list(self._history.path(transaction, vault_id, first=length, second=size, leaves_of=leaves_of))
            for length in lengths
        ]

    def page(self, transaction: ReadTransaction, vault_id: bytes, *, after: int, limit: int, time_ms: int) -> VaultPage:
        """Read at most ``limit`` entries from index ``after`` on. A client that is ahead gets none, and the head."""
        state = self._load(transaction, vault_id)[1].chain
        keys = [self._entry_key(vault_id, index) for index in range(after, min(after + limit, state.length))]
        entries: list[EntryPair] = []
        size = 0
        for row in self._rows.get_each(transaction, Table.ENTRIES, keys):
            pair = _decode(row.value)
            size += len(pair.sealed)
            if entries and size > _PAGE_BYTES:
                break
            entries.append(pair)
        complete = after + len(entries) >= state.length
        views = self.views.of(transaction, vault_id, state.members) if complete else []
        return VaultPage(length=state.length, head=self._sign(state, time_ms), entries=entries, views=views)

    def state(self, transaction: ReadTransaction, vault_id: bytes) -> ChainState:
        """Give where a vault's chain stands: its members, and the devices that were removed."""
        return self._load(transaction, vault_id)[1].chain

    def erase(self, transaction: WriteTransaction, vault_id: bytes) -> tuple[int, frozenset[bytes]]:
        """Remove every row of a vault; gives the bytes that its entries took and all devices that it ever had."""
        version, vault = self._load(transaction, vault_id)
        length = vault.chain.length
        size, devices = 0, set(vault.chain.members)
        for start in range(0, length, _AT_ONCE):
            keys = [self._entry_key(vault_id, index) for index in range(start, min(start + _AT_ONCE, length))]
            for key, row in zip(keys, self._rows.get_each(transaction, Table.ENTRIES, keys), strict=True):
                pair = _decode(row.value)
                size += size_of(pair)
                change = Step.from_bytes(pair.entry, pair.sealed).entry.entry.change
                if isinstance(change, DeviceAdded):
                    devices.add(change.device)
                transaction.delete(Table.ENTRIES, key, expected_version=row.version)
        self._history.erase(transaction, vault_id, length)
        self.views.erase(transaction, vault_id, devices)
        transaction.delete(Table.VAULTS, self._vault_key(vault_id), expected_version=version)
        if self._names is not None:
            self._names.release(transaction, vault_id)
        return size, frozenset(devices)

    def stored_bytes(self, transaction: ReadTransaction, vault_id: bytes) -> int:
        """Count what a vault's entries and sealed records take, by reading them."""
        length = self._load(transaction, vault_id)[1].chain.length
        size = 0
        for start in range(0, length, _AT_ONCE):
            keys = [self._entry_key(vault_id, index) for index in range(start, min(start + _AT_ONCE, length))]
            size += sum(size_of(_decode(row.value)) for row in self._rows.get_each(transaction, Table.ENTRIES, keys))
        return size

    def members(self, transaction: ReadTransaction, vault_id: bytes) -> frozenset[bytes]:
        """Give the keys of a vault's devices."""
        return self._load(transaction, vault_id)[1].chain.members

    def _write(
        self,
        transaction: WriteTransaction,
        version: int,
        before: ChainState,
        vault: _Vault,
        entries: Sequence[EntryPair],
    ) -> None:
        vault_id = vault.chain.vault
        for index, pair in enumerate(entries, start=before.length):
            self._rows.insert(transaction, Table.ENTRIES, self._entry_key(vault_id, index), _encode(pair))
        self._history.grow(
            transaction,
            vault_id,
            before=before.length,
            after=vault.chain.length,
            leaves_of=lambda start, end: self._leaves(transaction, vault_id, start, end),
        )
        self._replace(transaction, version, vault)

    def _replace(self, transaction: WriteTransaction, version: int, vault: _Vault) -> None:
        key = self._vault_key(vault.chain.vault)
        self._rows.replace(transaction, Table.VAULTS, key, expected_version=version, value=vault.to_bytes())

    def _leaves(self, transaction: ReadTransaction, vault_id: bytes, start: int, end: int) -> list[bytes]:
        keys = [self._entry_key(vault_id, index) for index in range(start, end)]
        rows = self._rows.get_each(transaction, Table.ENTRIES, keys)
        return [chain_leaf(Step.from_bytes(_decode(row.value).entry, b"").entry.chain_hash) for row in rows]

    def _own_head(self, signed: bytes, vault_id: bytes) -> Head | None:
        """Give the head in ``signed`` if this deployment signed it for this vault."""
        parsed = SignedHead.from_bytes(signed)
        own = parsed.head.vault == vault_id and self._signed_heads(parsed.head.head_key)
        return parsed.head if own and parsed.is_authentic() else None

    @staticmethod
    def _lost_length(vault: _Vault) -> int:
        return 0 if vault.lost is None else SignedHead.from_bytes(vault.lost).head.length

    def _load(self, transaction: ReadTransaction, vault_id: bytes) -> tuple[int, _Vault]:
        row = self._rows.get(transaction, Table.VAULTS, self._vault_key(vault_id))
        if row is None:
            raise StorageUnavailable("a vault that must exist is missing from the database")
        try:
            return row.version, _Vault.from_bytes(row.value)
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


def _expected(state: ChainState, length: int, chain_hash: bytes, entries: Sequence[EntryPair]) -> list[Step]:
    """Parse entries that extend exactly this state, or raise ``HeadMoved``."""
    if state.length != length or not equal(state.chain_hash, chain_hash):
        raise HeadMoved(f"the vault has {state.length} entries; these extend {length}")
    return [Step.from_bytes(pair.entry, pair.sealed) for pair in entries]


def _begins(state: ChainState, head: Head, path: Sequence[bytes]) -> bool:
    """Tell whether a log is the beginning of the one that a head stands for."""
    if state.length == head.length:
        return (state.chain_hash, state.root) == (head.chain_hash, head.root)
    roots = consistency_roots(state.length, head.length, path)
    return roots == (state.root, head.root)


def _check_authors(steps: Sequence[Step], identity: DeviceIdentity, account_key: bytes) -> None:
    changes = [step.entry.entry.change for step in steps]
    authors = {identity.device_key}
    if identity.device_key is None:
        authors = {change.device for change in changes if isinstance(change, DeviceAdded)}
    for step, change in zip(steps, changes, strict=True):
        author = step.entry.entry.author
        if isinstance(change, DeviceAdded) and author == account_key:
            continue  # made with the account secret: the recovery kit's way in
        if isinstance(change, DeviceRemoved) and identity.device_key is not None and author == account_key:
            continue
        if identity.device_key is None and (author not in authors or isinstance(change, DeviceRemoved)):
            raise DevicePending(
                "a password alone writes nothing, and no device was approved",
                hint="approve this device on another one, or use the recovery kit",
            )
        if author not in authors:
            raise NotAuthorised("only the device that wrote an entry may append it")


def _check_renewals(steps: Sequence[Step], renewal: Renewal | None, chain: ChainState) -> None:
    """See that keys are renewed in the log exactly where the account's copy of them is.

    The log may have renewed them before, when only the account's copy was lost.
    """
    renewed = [
        Renewal(epoch=step.entry.entry.epoch, account_key=step.entry.entry.change.account_key)
        for step in steps
        if isinstance(step.entry.entry.change, KeysRenewed)
    ]
    if not steps and renewal is not None:
        renewed = [Renewal(epoch=chain.epoch, account_key=chain.account_key)]
    if renewed != ([] if renewal is None else [renewal]):
        raise MalformedEntry("keys are renewed by the account's own request, once in it", path="entries")


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
