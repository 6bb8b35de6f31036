"""AES-256-GCM-SIV and AES-256-GCM: published vectors, and that nothing but the right box opens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.aead import OVERHEAD_BYTES, CounterBox, OpenFailed, open_sealed, seal

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("plaintext", "sealed"),
    [  # RFC 8452 appendix C.2: key 01 00…, nonce 03 00…, no associated data
        ("", "07f5f4169bbf55a8400cd47ea6fd400f"),
        ("0100000000000000", "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"),
    ],
)
def test_sealing_is_aes_256_gcm_siv(plaintext, sealed):
    key, nonce = b"\x01" + bytes(31), b"\x03" + bytes(11)
    assert open_sealed(key, nonce + bytes.fromhex(sealed), b"").hex() == plaintext


@pytest.mark.parametrize(
    ("plaintext", "sealed"),
    [  # McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14: zero key, zero nonce
        ("", "530f8afbc74536b9a963b4f1c4cb738b"),
        ("00" * 16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
    ],
)
def test_a_counter_box_is_aes_256_gcm_with_the_number_as_nonce(plaintext, sealed):
    box = CounterBox(bytes(32))
    assert box.seal(0, bytes.fromhex(plaintext), b"").hex() == sealed
    assert box.open(0, bytes.fromhex(sealed), b"").hex() == plaintext


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_is_sealed_opens(plaintext, associated):
    sealed = seal(KEY, plaintext, associated)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert open_sealed(KEY, sealed, associated) == plaintext


def test_the_same_plaintext_is_sealed_differently_each_time():
    assert len({seal(KEY, b"same", b"") for _ in range(10)}) == 10


@given(st.binary(max_size=40), st.data())
def test_a_changed_box_does_not_open(plaintext, data):
    sealed = bytearray(seal(KEY, plaintext, b"place"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(OpenFailed):
        open_sealed(KEY, bytes(sealed), b"place")


@given(st.binary(max_size=60))
def test_any_bytes_do_not_open(data):
    with pytest.raises(OpenFailed):
        open_sealed(KEY, data, b"")


def test_another_place_or_key_does_not_open():
    sealed = seal(KEY, b"secret", b"place")
    with pytest.raises(OpenFailed):
        open_sealed(KEY, sealed, b"another place")
    with pytest.raises(OpenFailed):
        open_sealed(bytes(32), sealed, b"place")
    for length in range(len(sealed)):
        with pytest.raises(OpenFailed):
            open_sealed(KEY, sealed[:length], b"place")


@given(st.binary(max_size=100), st.binary(max_size=20), st.integers(0, 2**64 - 1))
def test_a_message_opens_under_its_number_only(plaintext, associated, number):
    box = CounterBox(KEY)
    sealed = box.seal(number, plaintext, associated)
    assert box.open(number, sealed, associated) == plaintext
    for wrong in ((number ^ 1, sealed, associated), (number, sealed, associated + b"x"), (number, sealed[:-1], b"")):
        with pytest.raises(OpenFailed):
            box.open(*wrong)
    with pytest.raises(OpenFailed):
        CounterBox(bytes(32)).open(number, sealed, associated)


@given(st.binary(max_size=40))
def test_any_bytes_are_no_message(data):
    with pytest.raises(OpenFailed):
        CounterBox(KEY).open(1, data, b"")
