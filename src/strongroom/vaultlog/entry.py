"""Entries: one step of a vault's hash chain, signed by whoever made it (docs/spec/vault-log.md section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedEntry
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, labelled_hash, sha256
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey

__all__ = [
    "MAX_ENTRY_BYTES",
    "DeviceAdded",
    "DeviceRemoved",
    "Entry",
    "KeysRenewed",
    "RecordWritten",
    "SignedEntry",
    "Step",
]

MAX_ENTRY_BYTES: Final = 1024
ID_BYTES: Final = 16  # vault and record identifiers
_FORMAT: Final = "strongroom entry"
_VERSION: Final = 1
_PATH: Final = "entry"
_SIGNATURE_LABEL: Final = "strongroom vault entry v1"
_CHAIN_LABEL: Final = "strongroom vault chain v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAdded:
    """A device's key (32 bytes) becomes a member of the vault."""

    device: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRemoved:
    """A member (32 bytes) is one no longer, and never will be again. What it wrote before stays."""

    device: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysRenewed:
    """Keys of a new epoch, the entry's, are in use from here on; ``account_key`` (32 bytes) is the account's now."""

    account_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWritten:
    """A new version of a record: its identifier (16 bytes), version (from 1) and SHA-256 of its sealed record."""

    record: bytes
    version: int
    sealed_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an entry says. ``author`` is the public key that signs it: a device's, or for a device the account's.

    ``previous`` is the chain hash before this entry, so an author's signature holds in one chain only; ``epoch`` is
    the epoch of the vault's keys.
    """

    vault: bytes
    epoch: int
    index: int
    previous: bytes
    author: bytes
    change: DeviceAdded | DeviceRemoved | KeysRenewed | RecordWritten

    def to_bytes(self) -> bytes:
        """Encode the body: what is signed."""
        common = {
            "format": _FORMAT,
            "version": _VERSION,
            "vault": self.vault,
            "epoch": self.epoch,
            "index": self.index,
            "previous": self.previous,
            "author": self.author,
        }
        match self.change:
            case DeviceAdded(device=device):
                return canonical.encode({**common, "kind": "device", "device": device})
            case DeviceRemoved(device=device):
                return canonical.encode({**common, "kind": "device-removed", "device": device})
            case KeysRenewed(account_key=account_key):
                return canonical.encode({**common, "kind": "keys", "account_key": account_key})
            case RecordWritten(record=record, version=version, sealed_digest=digest):
                return canonical.encode(
                    {**common, "kind": "record", "record": record, "record_version": version, "sealed": digest}
                )

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry:
        """Decode a body, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=MAX_ENTRY_BYTES)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", _VERSION)
        entry = cls(
            vault=fields.byte_string("vault", length=ID_BYTES),
            epoch=fields.number("epoch"),
            index=fields.number("index"),
            previous=fields.byte_string("previous", length=DIGEST_BYTES),
            author=fields.byte_string("author", length=PUBLIC_KEY_BYTES),
            change=_read_change(fields),
        )
        fields.done()
        return entry

    def signed_by(self, key: SigningKey) -> SignedEntry:
        """Sign; the key must be the author's."""
        if key.public != self.author:
            raise ValueError("an entry is signed by its author")
        body = self.to_bytes()
        return SignedEntry.of(body, key.sign(_SIGNATURE_LABEL, body))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEntry:
    """An entry with its signature and its chain hash. Parsing it checks no signature: ``is_authentic`` does."""

    entry: Entry
    body: bytes
    signature: bytes
    chain_hash: bytes = field(compare=False)

    @classmethod
    def of(cls, body: bytes, signature: bytes) -> SignedEntry:
        """Put a body and a signature together; ``MalformedEntry`` when the body is none."""
        return cls(
            entry=Entry.from_bytes(body),
            body=body,
            signature=signature,
            chain_hash=labelled_hash(_CHAIN_LABEL, body, signature),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedEntry:
        """Decode, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=MAX_ENTRY_BYTES)
        body = fields.byte_string("body", at_most=MAX_ENTRY_BYTES)
        signature = fields.byte_string("signature", length=SIGNATURE_BYTES)
        fields.done()
        return cls.of(body, signature)

    def to_bytes(self) -> bytes:
        """Encode for storage and transport."""
        return canonical.encode({"body": self.body, "signature": self.signature})

    def is_authentic(self) -> bool:
        """Tell whether the named author signed it. Whether that author is a member, the chain knows."""
        return verify(self.entry.author, _SIGNATURE_LABEL, self.body, self.signature)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Step:
    """What travels and is stored together: an entry and the sealed record that it commits to.

    ``sealed`` is empty for an entry that writes no record.
    """

    entry: SignedEntry
    sealed: bytes

    @classmethod
    def from_bytes(cls, entry: bytes, sealed: bytes) -> Step:
        """Parse the entry of a pair as it came in; ``MalformedEntry``."""
        return cls(entry=SignedEntry.from_bytes(entry), sealed=sealed)

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Give the pair as it is stored and sent."""
        return self.entry.to_bytes(), self.sealed

    def matches(self) -> bool:
        """Tell whether the sealed record is the one that the entry commits to."""
        match self.entry.entry.change:
            case RecordWritten(sealed_digest=digest):
                return sha256(self.sealed) == digest
            case DeviceAdded() | DeviceRemoved() | KeysRenewed():
                return not self.sealed


def _read_change(fields: Fields) -> DeviceAdded | DeviceRemoved | KeysRenewed | RecordWritten:
    match fields.text("kind", at_most=32):
        case "device":
            return DeviceAdded(device=fields.byte_string("device", length=PUBLIC_KEY_BYTES))
        case "device-removed":
            return DeviceRemoved(device=fields.byte_string("device", length=PUBLIC_KEY_BYTES))
        case "keys":
            return KeysRenewed(account_key=fields.byte_string("account_key", length=PUBLIC_KEY_BYTES))
        case "record":
            version = fields.number("record_version")
            if version == 0:
                raise fields.fail("record versions count from 1")
            return RecordWritten(
                record=fields.byte_string("record", length=ID_BYTES),
                version=version,
                sealed_digest=fields.byte_string("sealed", length=DIGEST_BYTES),
            )
        case _:
            raise fields.fail("an entry of an unknown kind")
