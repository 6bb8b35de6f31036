from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strongroom
from log_helpers import GENESIS, HEAD_KEY, VAULT, head_of, log
from strongroom.base.errors import MalformedEntry, RecordTampered
from strongroom.crypto.hashing import sha256
from strongroom.crypto.signatures import SigningKey
from strongroom.vaultlog.chain import extend
from strongroom.vaultlog.head import Head, SignedHead, head_code, sign_head, verify_head

STATE = extend(GENESIS, log(3))
SIGNED = sign_head(STATE, epoch=7, time_ms=1_790_000_000_000, key=HEAD_KEY)
KEY_HASH = sha256(HEAD_KEY.public)

numbers = st.integers(0, (1 << 63) - 1)
hashes = st.binary(min_size=32, max_size=32)
heads = st.builds(
    Head,
    vault=st.binary(min_size=16, max_size=16),
    length=numbers,
    chain_hash=hashes,
    epoch=numbers,
    time_ms=numbers,
    root=hashes,
    head_key=hashes,
)


@given(heads)
def test_a_head_survives_being_written(head: Head):
    assert Head.from_bytes(head.to_bytes()) == head


def test_a_signed_head_says_where_the_chain_ends():
    verified = verify_head(SIGNED, head_key_hash=KEY_HASH, vault=VAULT)
    assert verified.signed == SIGNED
    assert verified.head == Head(
        vault=VAULT,
        length=3,
        chain_hash=STATE.chain_hash,
        epoch=7,
        time_ms=1_790_000_000_000,
        root=STATE.root,
        head_key=HEAD_KEY.public,
    )
    assert SignedHead.from_bytes(SIGNED).to_bytes() == SIGNED


@given(st.binary(max_size=300))
def test_any_bytes_are_malformed(data: bytes):
    with pytest.raises(MalformedEntry):
        verify_head(data, head_key_hash=KEY_HASH, vault=VAULT)
    with contextlib.suppress(MalformedEntry):
        assert Head.from_bytes(data).to_bytes() == data


@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject):
    raw = bytearray(SIGNED)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((MalformedEntry, RecordTampered)):
        verify_head(bytes(raw), head_key_hash=KEY_HASH, vault=VAULT)


def test_a_head_by_another_key_is_refused():
    other = sign_head(STATE, epoch=7, time_ms=0, key=SigningKey.generate())
    with pytest.raises(RecordTampered, match="another key"):
        verify_head(other, head_key_hash=KEY_HASH, vault=VAULT)


def test_a_head_of_another_vault_is_refused():
    with pytest.raises(RecordTampered, match="another vault"):
        verify_head(SIGNED, head_key_hash=KEY_HASH, vault=b"w" * 16)


def test_a_wrong_signature_is_refused():
    broken = replace(SignedHead.from_bytes(SIGNED), signature=bytes(64)).to_bytes()
    with pytest.raises(RecordTampered, match="signature is wrong"):
        verify_head(broken, head_key_hash=KEY_HASH, vault=VAULT)


def test_verified_heads_are_made_in_one_place():
    source = Path(strongroom.__file__).parent
    places = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for _ in re.findall(r"\bVerifiedHead\(", path.read_text())
    ]
    assert places == ["vaultlog/head.py"]


def test_the_code_stands_for_vault_length_and_hash_and_not_for_the_time():
    head = head_of(STATE, 5).head
    code = head_code(head)
    assert re.fullmatch(r"\d{4}( \d{4}){7}", code)
    assert head_code(replace(head, time_ms=6, epoch=2)) == code
    others = [replace(head, length=4), replace(head, vault=b"w" * 16), replace(head, chain_hash=bytes(32))]
    assert len({code, *map(head_code, others)}) == 4
