"""HKDF-SHA-256 by RFC 5869's vectors, unambiguous derivation, the keyed hash."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.hashing import equal, labelled_hash, sha256
from strongroom.crypto.kdf import KEY_BYTES, derive, expand_each, hkdf, keyed_hash

PARTS = st.lists(st.binary(max_size=20), max_size=4)


@pytest.mark.parametrize(
    ("secret", "salt", "info", "expected"),
    [  # RFC 5869 appendix A.1 to A.3
        (
            b"\x0b" * 22,
            bytes(range(13)),
            bytes(range(0xF0, 0xFA)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            (
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
                "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            ),
        ),
        (
            b"\x0b" * 22,
            None,
            b"",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_hkdf_is_the_rfcs(secret, salt, info, expected):
    assert hkdf(secret, info, length=len(expected) // 2, salt=salt).hex() == expected


def test_derivation_is_hkdf_over_length_prefixed_parts():
    info = b"\x00\x00\x00\x05label" + b"\x00\x00\x00\x02ab" + b"\x00\x00\x00\x00"
    assert derive(b"secret", "label", b"ab", b"") == hkdf(b"secret", info)
    assert len(derive(b"secret", "label")) == KEY_BYTES == 32
    assert len(derive(b"secret", "label", length=64)) == 64


@given(PARTS, PARTS)
def test_other_parts_give_another_key_and_another_hash(left, right):
    same = left == right
    assert (derive(b"k", "l", *left) == derive(b"k", "l", *right)) is same
    assert (keyed_hash(b"k", "l", *left) == keyed_hash(b"k", "l", *right)) is same
    assert (labelled_hash("l", *left) == labelled_hash("l", *right)) is same


def test_label_and_secret_matter():
    assert len({derive(b"k", "a"), derive(b"k", "b"), derive(b"l", "a"), derive(b"k", "", b"a")}) == 4
    assert len({keyed_hash(b"k", "a"), keyed_hash(b"k", "b"), keyed_hash(b"l", "a"), labelled_hash("a")}) == 4


def test_the_keyed_hash_is_hmac_over_length_prefixed_parts():
    framed = (5).to_bytes(8, "big") + b"label" + (2).to_bytes(8, "big") + b"ab"
    assert keyed_hash(b"key", "label", b"ab") == hmac.digest(b"key", framed, "sha256")
    assert labelled_hash("label", b"ab") == hashlib.sha256(framed).digest()


def test_sha256_and_equality():
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert equal(b"ab", b"ab")
    assert not equal(b"ab", b"ac")
    assert not equal(b"ab", b"abc")


@given(st.binary(min_size=1, max_size=64), st.lists(st.binary(max_size=80), max_size=8))
def test_what_is_expanded_together_is_what_each_would_be_alone(secret, infos):
    assert expand_each(secret, infos) == [hkdf(secret, info) for info in infos]
