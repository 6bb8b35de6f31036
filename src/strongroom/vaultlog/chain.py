"""The chain: the state that a sequence of entries leads to, and the one function that extends it.

docs/spec/vault-log.md section 3. Clients and store use the same function. The versions of records are not part of
the state: a client has them in its records, and only clients depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import ForkDetected, MalformedEntry, RecordTampered
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, labelled_hash
from strongroom.crypto.merkle import frontier_root, grow_frontier, leaf_hash
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES
from strongroom.vaultlog.entry import ID_BYTES, DeviceAdded, DeviceRemoved, Entry, KeysRenewed, RecordWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.crypto.signatures import SigningKey
    from strongroom.vaultlog.entry import SignedEntry, Step

__all__ = ["MAX_DEVICES", "ChainState", "authorise_device", "chain_leaf", "extend", "remove_device", "renew_keys"]

MAX_DEVICES: Final = 1_000
"""In the life of one vault, those that were removed included."""

_MAX_STATE_BYTES: Final = 256 << 10
_MAX_FRONTIER: Final = 63  # one hash for each bit of the length
_FORMAT: Final = "strongroom chain state"
_VERSION: Final = 2
_PATH: Final = "chain state"
_GENESIS_LABEL: Final = "strongroom vault genesis v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """What must be known to judge the next entry. ``account_key`` is the account's signing key of this epoch.

    ``epoch`` is the greatest epoch of the vault's keys so far; ``members`` are the device keys, ``removed`` those that
    were members. ``frontier`` stands for the Merkle tree over the chain hashes, whose root (32 bytes) makes extension
    provable in logarithmic size.
    """

    vault: bytes
    account_key: bytes
    epoch: int = 0
    length: int = 0
    chain_hash: bytes
    frontier: tuple[bytes, ...] = ()
    members: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()

    @classmethod
    def genesis(cls, *, vault: bytes, account_key: bytes) -> ChainState:
        """Give the state before the first entry. Its hash pins the vault's identifier and the account signing key."""
        return cls(vault=vault, account_key=account_key, chain_hash=labelled_hash(_GENESIS_LABEL, vault, account_key))

    @property
    def root(self) -> bytes:
        """The root of the tree over the chain hashes so far (RFC 9162 section 2.1.1)."""
        return frontier_root(self.frontier)

    def to_bytes(self) -> bytes:
        """Encode for storage."""
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "vault": self.vault,
                "account_key": self.account_key,
                "epoch": self.epoch,
                "length": self.length,
                "chain": self.chain_hash,
                "frontier": list(self.frontier),
                "members": sorted(self.members),
                "removed": sorted(self.removed),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ChainState:
        """Decode, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=_MAX_STATE_BYTES)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", _VERSION)
        members = fields.byte_strings("members", length=PUBLIC_KEY_BYTES, at_most=MAX_DEVICES)
        removed = fields.byte_strings("removed", length=PUBLIC_KEY_BYTES, at_most=MAX_DEVICES)
        state = cls(
            vault=fields.byte_string("vault", length=ID_BYTES),
            account_key=fields.byte_string("account_key", length=PUBLIC_KEY_BYTES),
            epoch=fields.number("epoch"),
            length=fields.number("length"),
            chain_hash=fields.byte_string("chain", length=DIGEST_BYTES),
            frontier=tuple(fields.byte_strings("frontier", length=DIGEST_BYTES, at_most=_MAX_FRONTIER)),
            members=frozenset(members),
            removed=frozenset(removed),
        )
        fields.done()
        if list(members) != sorted(state.members) or list(removed) != sorted(state.removed):
            raise fields.fail("members out of order or repeated")
        if state.members & state.removed:
            raise fields.fail("a device is a member and removed")
        if len(state.frontier) != state.length.bit_count():
            raise fields.fail("the frontier is not one of this length")
        return state


def chain_leaf(chain_hash: bytes) -> bytes:
    """Give the tree's leaf for the entry that leads to a chain hash."""
    return leaf_hash(chain_hash)


def extend(state: ChainState, steps: Sequence[Step], *, version_of: Callable[[bytes], int] | None = None) -> ChainState:
    """Give the state after ``steps``, or raise for the first that may not follow; nothing is half-applied.

    ``version_of`` gives the version that a record had in ``state``, 0 for none; without it versions are not judged.

    ``ForkDetected`` when an entry continues another chain; ``RecordTampered`` when it is of another vault, of no
    member, not signed by its author, of a wrong record version, or comes with another sealed record.
    """
    length, chain_hash, epoch = state.length, state.chain_hash, state.epoch
    account_key = state.account_key
    members, removed = set(state.members), set(state.removed)
    versions: dict[bytes, int] = {}
    leaves: list[bytes] = []
    for step in steps:
        signed, entry = step.entry, step.entry.entry
        _check_place(entry, state.vault, length, chain_hash, epoch)
        # 3.5 to 3.7 who may say this, and said it
        _check_author(entry, account_key, members, removed)
        if not signed.is_authentic():
            raise RecordTampered(f"entry {entry.index} is not signed by its author")
        # 3.8 the sealed record
        if not step.matches():
            raise RecordTampered(f"entry {entry.index} commits to another sealed record")
        # 3.9 the effect
        match entry.change:
            case DeviceAdded(device=device):
                members.add(device)
            case DeviceRemoved(device=device):
                members.remove(device)
                removed.add(device)
            case KeysRenewed(account_key=renewed):
                account_key = renewed
            case RecordWritten(record=record, version=version) if version_of is not None:
                expected = 1 + (versions[record] if record in versions else version_of(record))
                if version != expected:
                    raise RecordTampered(
                        f"entry {entry.index} writes version {version} of a record after {expected - 1}"
                    )
                versions[record] = version
        length, chain_hash, epoch = length + 1, signed.chain_hash, entry.epoch
        leaves.append(chain_leaf(chain_hash))
    return replace(
        state,
        account_key=account_key,
        epoch=epoch,
        length=length,
        chain_hash=chain_hash,
        frontier=grow_frontier(state.frontier, state.length, leaves),
        members=frozenset(members),
        removed=frozenset(removed),
    )


def authorise_device(author: SigningKey, device: bytes, state: ChainState, *, epoch: int) -> SignedEntry:
    """Make the entry that admits a device's public key at the end of ``state``; ``author``: the account or a member."""
    return _about_device(author, DeviceAdded(device=device), state, epoch)


def remove_device(author: SigningKey, device: bytes, state: ChainState, *, epoch: int) -> SignedEntry:
    """Make the entry that removes a device at the end of ``state``; ``author`` is the account or a member.

    Whoever removes a device has to see to the vault's keys as well, which the device knows: what is written after
    this entry should be under a new epoch's.
    """
    return _about_device(author, DeviceRemoved(device=device), state, epoch)


def renew_keys(author: SigningKey, account_key: bytes, state: ChainState) -> SignedEntry:
    """Make the entry with which a new epoch of keys begins at the end of ``state``; ``author`` is a member."""
    return Entry(
        vault=state.vault,
        epoch=state.epoch + 1,
        index=state.length,
        previous=state.chain_hash,
        author=author.public,
        change=KeysRenewed(account_key=account_key),
    ).signed_by(author)


def _about_device(
    author: SigningKey, change: DeviceAdded | DeviceRemoved, state: ChainState, epoch: int
) -> SignedEntry:
    return Entry(
        vault=state.vault,
        epoch=max(epoch, state.epoch),
        index=state.length,
        previous=state.chain_hash,
        author=author.public,
        change=change,
    ).signed_by(author)


def _check_place(entry: Entry, vault: bytes, length: int, chain_hash: bytes, epoch: int) -> None:
    # 3.1 the vault, before anything that another vault's entry could get wrong
    if entry.vault != vault:
        raise RecordTampered(f"entry {entry.index} belongs to another vault")
    # 3.2, 3.3 the place in the chain
    if entry.index != length:
        raise ForkDetected(f"entry {entry.index} stands where entry {length} belongs")
    if entry.previous != chain_hash:
        raise ForkDetected(f"entry {entry.index} continues another history")
    # 3.4 the keys of an epoch that is over are not written under again, and only their renewal begins another
    if entry.epoch < epoch:
        raise RecordTampered(f"entry {entry.index} goes back to an earlier key epoch")
    begins = length == 0 or isinstance(entry.change, KeysRenewed)
    if entry.epoch > epoch and not begins:
        raise RecordTampered(f"entry {entry.index} is under keys of an epoch that has not begun")
    if isinstance(entry.change, KeysRenewed) and entry.epoch != epoch + 1:
        raise RecordTampered(f"entry {entry.index} renews the keys of epoch {epoch} as epoch {entry.epoch}")


def _check_author(entry: Entry, account_key: bytes, members: set[bytes], removed: set[bytes]) -> None:
    index, author = entry.index, entry.author
    match entry.change:
        case DeviceAdded(device=device):
            if author != account_key and author not in members:
                raise RecordTampered(f"entry {index} admits a device without the account's signature or a member's")
            if device in members or device == account_key:
                raise RecordTampered(f"entry {index} admits a device a second time")
            if device in removed:
                raise RecordTampered(f"entry {index} admits a device that was removed")
            if len(members) + len(removed) >= MAX_DEVICES:
                raise RecordTampered(f"entry {index} admits more than {MAX_DEVICES} devices")
        case DeviceRemoved(device=device):
            if author != account_key and author not in members:
                raise RecordTampered(f"entry {index} removes a device without the account's signature or a member's")
            if device not in members:
                raise RecordTampered(f"entry {index} removes what is no device of this vault")
        case KeysRenewed() | RecordWritten():
            if author not in members:
                raise RecordTampered(f"entry {index} is by no device of this vault")
            if entry.change == KeysRenewed(account_key=account_key):
                raise RecordTampered(f"entry {index} renews the keys and keeps the account's")
