"""Ed25519 with labels: RFC 8032's keys, the framing, and everything that must not verify."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES, SigningKey, verify

KEY = SigningKey.from_seed(bytes(range(32)))


@pytest.mark.parametrize(
    ("seed", "public"),
    [  # RFC 8032 section 7.1, tests 1 to 3
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        ),
    ],
)
def test_a_seed_gives_the_rfcs_key_and_comes_back(seed, public):
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.seed.hex() == seed


def test_the_label_is_framed_before_the_message():
    signature = KEY.sign("label", b"message")
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(signature, b"\x00\x05label" + b"message")


@given(st.text(max_size=40), st.binary(max_size=200))
def test_a_signature_verifies_for_its_label_and_message_only(label, message):
    signature = KEY.sign(label, message)
    assert len(signature) == SIGNATURE_BYTES
    assert verify(KEY.public, label, message, signature)
    assert not verify(KEY.public, label + "x", message, signature)
    assert not verify(KEY.public, label, message + b"x", signature)
    assert not verify(SigningKey.generate().public, label, message, signature)


def test_a_boundary_moved_between_label_and_message_does_not_verify():
    assert not verify(KEY.public, "a", b"bc", KEY.sign("ab", b"c"))


@given(st.integers(0, SIGNATURE_BYTES * 8 - 1))
def test_a_changed_signature_does_not_verify(bit):
    changed = bytearray(KEY.sign("label", b"message"))
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY.public, "label", b"message", bytes(changed))


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_any_bytes_are_no_key_and_no_signature(public, signature):
    assert not verify(public, "label", b"message", KEY.sign("label", b"message")) or public == KEY.public
    assert not verify(KEY.public, "label", b"message", signature)


def test_new_keys_differ_and_show_nothing():
    first, second = SigningKey.generate(), SigningKey.generate()
    assert first.seed != second.seed
    assert (len(first.seed), len(first.public)) == (SEED_BYTES, PUBLIC_KEY_BYTES)
    assert first.seed.hex() not in repr(first)
    assert "object at" in repr(first)
