from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record_strategies import items
from strongroom.base import canonical
from strongroom.base.errors import MalformedRecord, RecordTampered
from strongroom.crypto.aead import seal
from strongroom.records.item import MAX_ITEM_BYTES, Item, ItemType
from strongroom.records.keys import AccountRootKey
from strongroom.records.sealed_record import (
    MAX_SEALED_BYTES,
    RecordPlace,
    Suite,
    open_record,
    padded_length,
    seal_record,
)

PLACE = RecordPlace(vault=b"v" * 16, record=b"r" * 16, version=3, author=b"a" * 32, epoch=1)
KEY = AccountRootKey(bytes(32)).vault_key(PLACE.vault, epoch=1)
ITEM = Item(item_type=ItemType.LOGIN, fields={"title": "mail", "password": "p"}, created_at=1, changed_at=2)


@given(items)
def test_a_sealed_record_opens_in_its_place(item: Item):
    assert open_record(seal_record(item, KEY, PLACE), KEY, PLACE) == item


@pytest.mark.parametrize(
    "change",
    [{"vault": b"w" * 16}, {"record": b"s" * 16}, {"version": 4}, {"author": b"b" * 32}, {"epoch": 2}],
)
def test_it_opens_nowhere_else(change):
    sealed = seal_record(ITEM, KEY, PLACE)
    with pytest.raises(RecordTampered, match="not sealed for this place"):
        open_record(sealed, KEY, replace(PLACE, **change))


def test_another_key_does_not_open_it():
    other = AccountRootKey(b"x" * 32).vault_key(PLACE.vault, epoch=1)
    with pytest.raises(RecordTampered):
        open_record(seal_record(ITEM, KEY, PLACE), other, PLACE)


@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject):
    sealed = bytearray(seal_record(ITEM, KEY, PLACE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((RecordTampered, MalformedRecord)):
        open_record(bytes(sealed), KEY, PLACE)


@given(st.binary(max_size=200))
def test_any_bytes_are_malformed_or_tampered(data: bytes):
    with pytest.raises((RecordTampered, MalformedRecord)):
        open_record(data, KEY, PLACE)


def test_an_unknown_suite_is_malformed():
    fields = canonical.decode(seal_record(ITEM, KEY, PLACE), path="", max_bytes=10_000)
    with pytest.raises(MalformedRecord, match="suite 2 is unknown"):
        open_record(canonical.encode({**fields, "suite": 2}), KEY, PLACE)


@pytest.mark.parametrize("padded", [b"", b"\x00" * 512, ITEM.to_bytes() + b"\x80", b"\x80".ljust(544, b"\x00")])
def test_padding_of_no_length_class_is_malformed(padded):
    suite = Suite.AES_256_GCM_SIV_PADME
    box = seal(KEY.record_key(PLACE.record), padded, PLACE.associated_data(suite))
    sealed = canonical.encode({"format": "strongroom sealed record", "suite": 1, "box": box})
    with pytest.raises(MalformedRecord, match="padding"):
        open_record(sealed, KEY, PLACE)


def test_records_of_similar_size_look_alike():
    short = replace(ITEM, fields={"title": "a"})
    long = replace(ITEM, fields={"title": "a much longer title", "password": "p" * 64, "username": "somebody@example"})
    assert len(seal_record(short, KEY, PLACE)) == len(seal_record(long, KEY, PLACE))


@given(st.integers(1, MAX_ITEM_BYTES + 1))
def test_length_classes_add_at_most_an_eighth_and_are_stable(length: int):
    padded = padded_length(length)
    assert length <= padded
    assert padded_length(padded) == padded
    assert padded == 512 or padded <= length * 1.125


def test_the_largest_item_can_be_sealed_and_opened():
    fields = {str(number): "x" * 100_000 for number in range(5)}
    item = replace(ITEM, fields={**fields, "5": "x" * 20_000})
    sealed = seal_record(item, KEY, PLACE)
    assert len(item.to_bytes()) > MAX_ITEM_BYTES - 10_000
    assert len(sealed) <= MAX_SEALED_BYTES
    assert open_record(sealed, KEY, PLACE) == item


def test_two_seals_of_one_item_differ():
    assert seal_record(ITEM, KEY, PLACE) != seal_record(ITEM, KEY, PLACE)
