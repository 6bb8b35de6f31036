"""The chain: the state that a sequence of entries leads to, and the one function that extends it.

docs/spec/vault-log.md section 3. Clients and store use the same function. The store may leave out the versions of
records, which only clients depend on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import ForkDetected, MalformedEntry, RecordTampered
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, labelled_hash
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES
from strongroom.vaultlog.entry import ID_BYTES, DeviceAdded, DeviceRemoved, Entry, RecordWritten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from strongroom.crypto.signatures import SigningKey
    from strongroom.vaultlog.entry import SignedEntry, Step

__all__ = ["MAX_DEVICES", "ChainState", "authorise_device", "extend", "remove_device"]

MAX_DEVICES: Final = 1_000
"""In the life of one vault, those that were removed included."""

_MAX_STATE_BYTES: Final = 64 << 20  # two and a half million records
_VERSION_BYTES: Final = 8
_FORMAT: Final = "strongroom chain state"
_VERSION: Final = 2
_WITHOUT_REMOVED: Final = 1  # the version before devices could be removed, in databases of that time
_PATH: Final = "chain state"
_GENESIS_LABEL: Final = "strongroom vault genesis v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """What must be known to judge the next entry.

    ``epoch`` is the greatest epoch of the vault's keys so far; ``members`` are the device keys, ``removed`` those that
    were members; ``versions`` maps a record to its latest version, or is ``None`` where nobody asks.
    """

    vault: bytes
    account_key: bytes
    epoch: int = 0
    length: int = 0
    chain_hash: bytes
    members: frozenset[bytes] = frozenset()
    removed: frozenset[bytes] = frozenset()
    versions: Mapping[bytes, int] | None = field(default=None, hash=False)

    @classmethod
    def genesis(cls, *, vault: bytes, account_key: bytes, with_versions: bool = True) -> ChainState:
        """Give the state before the first entry. Its hash pins the vault's identifier and the account signing key."""
        return cls(
            vault=vault,
            account_key=account_key,
            chain_hash=labelled_hash(_GENESIS_LABEL, vault, account_key),
            versions=MappingProxyType({}) if with_versions else None,
        )

    def to_bytes(self) -> bytes:
        """Encode for storage."""
        versions = None
        if self.versions is not None:
            versions = b"".join(
                record + version.to_bytes(_VERSION_BYTES, "big") for record, version in sorted(self.versions.items())
            )
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "vault": self.vault,
                "account_key": self.account_key,
                "epoch": self.epoch,
                "length": self.length,
                "chain": self.chain_hash,
                "members": sorted(self.members),
                "removed": sorted(self.removed),
                "versions": versions,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ChainState:
        """Decode, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=_MAX_STATE_BYTES)
        fields.exactly("format", _FORMAT)
        version = fields.number("version", at_most=_VERSION)
        if version < _WITHOUT_REMOVED:
            raise fields.fail("field 'version' is no version of a chain state")
        members = fields.byte_strings("members", length=PUBLIC_KEY_BYTES, at_most=MAX_DEVICES)
        removed: tuple[bytes, ...] = ()
        if version > _WITHOUT_REMOVED:
            removed = fields.byte_strings("removed", length=PUBLIC_KEY_BYTES, at_most=MAX_DEVICES)
        packed = fields.optional_byte_string("versions")
        state = cls(
            vault=fields.byte_string("vault", length=ID_BYTES),
            account_key=fields.byte_string("account_key", length=PUBLIC_KEY_BYTES),
            epoch=fields.number("epoch"),
            length=fields.number("length"),
            chain_hash=fields.byte_string("chain", length=DIGEST_BYTES),
            members=frozenset(members),
            removed=frozenset(removed),
            versions=None if packed is None else _unpack(packed, fields),
        )
        fields.done()
        if list(members) != sorted(state.members) or list(removed) != sorted(state.removed):
            raise fields.fail("members out of order or repeated")
        if state.members & state.removed:
            raise fields.fail("a device is a member and removed")
        return state


def extend(state: ChainState, steps: Sequence[Step]) -> ChainState:
    """Give the state after ``steps``, or raise for the first that may not follow; nothing is half-applied.

    ``ForkDetected`` when an entry continues another chain; ``RecordTampered`` when it is of another vault, of no
    member, not signed by its author, of a wrong record version, or comes with another sealed record.
    """
    length, chain_hash, epoch = state.length, state.chain_hash, state.epoch
    members, removed = set(state.members), set(state.removed)
    versions = None if state.versions is None else dict(state.versions)
    for step in steps:
        signed, entry = step.entry, step.entry.entry
        # 3.1 the vault, before anything that another vault's entry could get wrong
        if entry.vault != state.vault:
            raise RecordTampered(f"entry {entry.index} belongs to another vault")
        # 3.2, 3.3 the place in the chain
        if entry.index != length:
            raise ForkDetected(f"entry {entry.index} stands where entry {length} belongs")
        if entry.previous != chain_hash:
            raise ForkDetected(f"entry {entry.index} continues another history")
        # 3.4 the keys of an epoch that is over are not written under again
        if entry.epoch < epoch:
            raise RecordTampered(f"entry {entry.index} goes back to an earlier key epoch")
        # 3.5 to 3.7 who may say this, and said it
        _check_author(entry, state.account_key, members, removed)
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
            case RecordWritten(record=record, version=version) if versions is not None:
                expected = versions.get(record, 0) + 1
                if version != expected:
                    raise RecordTampered(
                        f"entry {entry.index} writes version {version} of a record after {expected - 1}"
                    )
                versions[record] = version
        length, chain_hash, epoch = length + 1, signed.chain_hash, entry.epoch
    return replace(
        state,
        epoch=epoch,
        length=length,
        chain_hash=chain_hash,
        members=frozenset(members),
        removed=frozenset(removed),
        versions=None if versions is None else MappingProxyType(versions),
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
        case RecordWritten():
            if author not in members:
                raise RecordTampered(f"entry {index} is by no device of this vault")


def _unpack(packed: bytes, fields: Fields) -> Mapping[bytes, int]:
    width = ID_BYTES + _VERSION_BYTES
    if len(packed) % width:
        raise fields.fail("field 'versions' is cut short")
    rows = [packed[start : start + width] for start in range(0, len(packed), width)]
    versions = {row[:ID_BYTES]: int.from_bytes(row[ID_BYTES:], "big") for row in rows}
    if list(versions) != sorted(versions) or len(versions) != len(rows) or 0 in versions.values():
        raise fields.fail("field 'versions' is out of order")
    return MappingProxyType(versions)
