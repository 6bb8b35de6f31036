from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import MalformedEntry
from strongroom.crypto.hashing import sha256
from strongroom.crypto.signatures import SigningKey
from strongroom.vaultlog.entry import DeviceAdded, DeviceRemoved, Entry, RecordWritten, SignedEntry, Step

KEY = SigningKey.from_seed(b"k" * 32)
ENTRY = Entry(
    vault=b"v" * 16,
    epoch=1,
    index=4,
    previous=b"p" * 32,
    author=KEY.public,
    change=RecordWritten(record=b"r" * 16, version=2, sealed_digest=sha256(b"sealed")),
)

numbers = st.integers(0, (1 << 63) - 1)
ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
changes = st.one_of(
    st.builds(DeviceAdded, device=hashes),
    st.builds(DeviceRemoved, device=hashes),
    st.builds(RecordWritten, record=ids, version=st.integers(1, 1 << 40), sealed_digest=hashes),
)
entries = st.builds(Entry, vault=ids, epoch=numbers, index=numbers, previous=hashes, author=hashes, change=changes)


@given(entries)
def test_an_entry_survives_being_written(entry: Entry):
    assert Entry.from_bytes(entry.to_bytes()) == entry


def test_a_signed_entry_survives_being_written():
    signed = ENTRY.signed_by(KEY)
    read = SignedEntry.from_bytes(signed.to_bytes())
    assert read == signed
    assert read.chain_hash == signed.chain_hash
    assert read.is_authentic()


@given(st.binary(max_size=400))
def test_any_bytes_are_an_entry_or_malformed(data: bytes):
    with contextlib.suppress(MalformedEntry):
        assert SignedEntry.from_bytes(data).to_bytes() == data
    with contextlib.suppress(MalformedEntry):
        assert Entry.from_bytes(data).to_bytes() == data


@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject):
    raw = bytearray(ENTRY.signed_by(KEY).to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedEntry):
        assert not SignedEntry.from_bytes(bytes(raw)).is_authentic()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "x"}, "'format'"),
        ({"version": 2}, "'version'"),
        ({"kind": "snapshot"}, "unknown kind"),
        ({"vault": b"short"}, "'vault' has 5 bytes"),
        ({"previous": b""}, "'previous'"),
        ({"author": None}, "'author'"),
        ({"record_version": 0}, "count from 1"),
        ({"more": 1}, "unknown field"),
        ({"device": b"d" * 32}, "unknown field"),
        ({"index": -1}, "'index'"),
    ],
)
def test_what_is_wrong_with_an_entry_is_named(change, match):
    fields = canonical.decode(ENTRY.to_bytes(), path="", max_bytes=1000)
    with pytest.raises(MalformedEntry, match=match):
        Entry.from_bytes(canonical.encode({**fields, **change}))


def test_the_chain_hash_covers_body_and_signature():
    signed = ENTRY.signed_by(KEY)
    other_signature = SignedEntry.of(signed.body, bytes(64))
    other_body = replace(ENTRY, index=5).signed_by(KEY)
    assert len({signed.chain_hash, other_signature.chain_hash, other_body.chain_hash}) == 3


def test_only_the_author_signs():
    with pytest.raises(ValueError, match="by its author"):
        ENTRY.signed_by(SigningKey.generate())


def test_a_step_matches_the_sealed_record_it_commits_to():
    signed = ENTRY.signed_by(KEY)
    assert Step(entry=signed, sealed=b"sealed").matches()
    assert not Step(entry=signed, sealed=b"other").matches()
    device = replace(ENTRY, change=DeviceAdded(device=b"d" * 32)).signed_by(KEY)
    assert Step(entry=device, sealed=b"").matches()
    assert not Step(entry=device, sealed=b"sealed").matches()
    pair = Step(entry=signed, sealed=b"sealed").to_bytes()
    assert Step.from_bytes(*pair).to_bytes() == pair
