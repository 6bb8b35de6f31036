"""HPKE with MLKEM768-X25519: sizes, and that only the right key and purpose open."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.aead import OpenFailed
from strongroom.crypto.hpke import PUBLIC_KEY_BYTES, SEALED_SECRET_BYTES, HpkePrivateKey, InvalidPublicKey, seal_to

KEY = HpkePrivateKey.from_seeds(bytes(range(64)), bytes(range(32)))
INFO = b"purpose"


def test_key_and_box_have_the_sizes_that_messages_rely_on():
    assert len(KEY.public) == PUBLIC_KEY_BYTES == 1216
    assert len(seal_to(KEY.public, bytes(32), INFO)) == SEALED_SECRET_BYTES == 1168


def test_the_key_is_x_wings():
    # draft-connolly-cfrg-xwing-kem, first test vector: the seed is expanded with SHAKE-256 to both seeds
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    expanded = hashlib.shake_256(seed).digest(96)
    public = HpkePrivateKey.from_seeds(expanded[:64], expanded[64:]).public
    assert public.hex().startswith("e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5")


def test_seeds_determine_the_key():
    again = HpkePrivateKey.from_seeds(bytes(range(64)), bytes(range(32)))
    assert again.public == KEY.public
    assert again.open(seal_to(KEY.public, b"secret", INFO), INFO) == b"secret"


@given(st.binary(max_size=100), st.binary(max_size=50))
def test_what_is_sealed_opens_for_its_purpose(plaintext, info):
    sealed = seal_to(KEY.public, plaintext, info)
    assert KEY.open(sealed, info) == plaintext
    with pytest.raises(OpenFailed):
        KEY.open(sealed, info + b"x")


def test_another_key_does_not_open():
    with pytest.raises(OpenFailed):
        HpkePrivateKey.generate().open(seal_to(KEY.public, bytes(32), INFO), INFO)


def test_half_of_another_key_does_not_open():
    sealed = seal_to(KEY.public, bytes(32), INFO)
    for other in (
        HpkePrivateKey.from_seeds(bytes(64), bytes(range(32))),
        HpkePrivateKey.from_seeds(bytes(range(64)), bytes(32)),
    ):
        with pytest.raises(OpenFailed):
            other.open(sealed, INFO)


@given(st.integers(0, SEALED_SECRET_BYTES * 8 - 1))
def test_a_changed_box_does_not_open(bit):
    changed = bytearray(seal_to(KEY.public, bytes(32), INFO))
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(OpenFailed):
        KEY.open(bytes(changed), INFO)


@given(st.binary(max_size=1300))
def test_any_bytes_do_not_open(data):
    with pytest.raises(OpenFailed):
        KEY.open(data, INFO)


@pytest.mark.parametrize("length", [0, 1184, 1215, 1217])
def test_a_public_key_of_another_length_is_refused(length):
    with pytest.raises(InvalidPublicKey, match="1216"):
        seal_to(bytes(length), bytes(32), INFO)


def test_what_is_no_public_key_is_refused():
    with pytest.raises(InvalidPublicKey):
        seal_to(b"\xff" * PUBLIC_KEY_BYTES, bytes(32), INFO)  # coefficients above the modulus (FIPS 203 section 7.2)
    with pytest.raises(InvalidPublicKey):
        seal_to(KEY.public[:1184] + bytes(32), bytes(32), INFO)  # a point of low order


def test_two_boxes_differ_and_a_key_shows_nothing():
    assert seal_to(KEY.public, bytes(32), INFO) != seal_to(KEY.public, bytes(32), INFO)
    assert "object at" in repr(KEY)
