"""Sealed records: an item, padded, encrypted and bound to its place (docs/spec/sealed-record.md section 5).

Suite 1: AES-256-GCM-SIV (RFC 8452) under the record's key. The place is associated data, so a sealed record opens
as this version of this record of this vault by this device, and as nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedRecord, RecordTampered
from strongroom.base.fields import Fields
from strongroom.crypto.aead import OVERHEAD_BYTES, OpenFailed, open_sealed, seal
from strongroom.records.item import MAX_ITEM_BYTES, Item

if TYPE_CHECKING:
    from strongroom.records.keys import VaultKey

__all__ = ["MAX_SEALED_BYTES", "RecordPlace", "Suite", "open_record", "padded_length", "seal_record"]

_SMALLEST_CLASS: Final = 512  # bytes; nearly every login fits, so nearly all logins look alike
_FORMAT: Final = "strongroom sealed record"
_PATH: Final = "sealed record"


class Suite(IntEnum):
    """Suites of sealed records. A number never changes its meaning."""

    AES_256_GCM_SIV_PADME = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlace:
    """Where a sealed record belongs: vault and record (16 bytes each), version, author's device key, key epoch."""

    vault: bytes
    record: bytes
    version: int
    author: bytes
    epoch: int

    def associated_data(self, suite: Suite) -> bytes:
        """Encode what the encryption is bound to."""
        return canonical.encode(
            {
                "label": "strongroom sealed record v1",
                "suite": int(suite),
                "vault": self.vault,
                "record": self.record,
                "version": self.version,
                "author": self.author,
                "epoch": self.epoch,
            }
        )


def padded_length(length: int) -> int:
    """Give the length class of a plaintext: at least 512 bytes, above that by Padmé.

    Padmé (Nikitin et al., PURBs, 2019, section 4) rounds up so that a length of n bits keeps only its leading
    log2(n) bits or so: at most 12 % is added and O(log log) bits of the length are shown.
    """
    if length <= _SMALLEST_CLASS:
        return _SMALLEST_CLASS
    exponent = length.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return (length + mask) & ~mask


MAX_SEALED_BYTES: Final = padded_length(MAX_ITEM_BYTES + 1) + OVERHEAD_BYTES + 64  # 64: the map around the box


def seal_record(item: Item, key: VaultKey, place: RecordPlace) -> bytes:
    """Seal an item for its place; the result is what the store keeps and what the entry's digest is over."""
    suite = Suite.AES_256_GCM_SIV_PADME
    box = seal(key.record_key(place.record), _pad(item.to_bytes()), place.associated_data(suite))
    return canonical.encode({"format": _FORMAT, "suite": int(suite), "box": box})


def open_record(sealed: bytes, key: VaultKey, place: RecordPlace) -> Item:
    """Open a sealed record at its place.

    ``MalformedRecord`` when the bytes are none, ``RecordTampered`` when they were sealed for another place or
    changed. An item inside that is malformed was written so by a device of this account: ``MalformedRecord``.
    """
    fields = Fields.decode(sealed, path=_PATH, error=MalformedRecord, max_bytes=MAX_SEALED_BYTES)
    fields.exactly("format", _FORMAT)
    number = fields.number("suite", at_most=0xFF)
    box = fields.byte_string("box")
    fields.done()
    if number != Suite.AES_256_GCM_SIV_PADME:
        raise fields.fail(f"suite {number} is unknown")
    try:
        padded = open_sealed(key.record_key(place.record), box, place.associated_data(Suite.AES_256_GCM_SIV_PADME))
    except OpenFailed:
        raise RecordTampered(
            f"record {place.record.hex()} version {place.version} was not sealed for this place"
        ) from None
    return Item.from_bytes(_unpad(padded))


def _pad(plaintext: bytes) -> bytes:
    # ISO/IEC 7816-4: one byte 0x80, then zeros; unambiguous for every plaintext
    marked = plaintext + b"\x80"
    return marked.ljust(padded_length(len(marked)), b"\x00")


def _unpad(padded: bytes) -> bytes:
    marked = padded.rstrip(b"\x00")
    if not marked.endswith(b"\x80") or len(padded) != padded_length(len(marked)):
        raise MalformedRecord("the padding is not of a length class", path=_PATH)
    return marked[:-1]
