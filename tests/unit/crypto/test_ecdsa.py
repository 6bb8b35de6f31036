"""ECDSA over P-256 in raw form: RFC 6979's key and signature, ranges, points."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.ecdsa import POINT_BYTES, SIGNATURE_BYTES, EcdsaPrivateKey, public_key, verify_raw

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# RFC 6979 appendix A.2.5, SHA-256, message "sample"
SCALAR = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
POINT = bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
R = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
S = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
KEY = EcdsaPrivateKey.from_scalar((SCALAR - 1).to_bytes(32, "big"))  # from_scalar maps 0…n-2 to 1…n-1
PUBLIC = public_key(POINT)


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_the_rfcs_key_and_signature():
    assert KEY.point == POINT
    assert verify_raw(PUBLIC, b"sample", raw(R, S))
    assert not verify_raw(PUBLIC, b"test", raw(R, S))


@pytest.mark.parametrize("wrong", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_numbers_out_of_range_do_not_verify(wrong):
    assert not verify_raw(PUBLIC, b"sample", raw(wrong, S))
    assert not verify_raw(PUBLIC, b"sample", raw(R, wrong))


@given(st.binary(max_size=100))
def test_a_signature_verifies_and_a_changed_message_does_not(message):
    signature = KEY.sign_raw(message)
    assert len(signature) == SIGNATURE_BYTES
    assert verify_raw(PUBLIC, message, signature)
    assert not verify_raw(PUBLIC, message + b"x", signature)
    assert not verify_raw(public_key(EcdsaPrivateKey.generate().point), message, signature)


@given(st.integers(0, SIGNATURE_BYTES * 8 - 1))
def test_a_changed_signature_does_not_verify(bit):
    changed = bytearray(raw(R, S))
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify_raw(PUBLIC, b"sample", bytes(changed))


@given(st.binary(max_size=80))
def test_any_bytes_are_no_signature(signature):
    assert not verify_raw(PUBLIC, b"sample", signature)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_point_on_the_curve_or_none(data):
    key = public_key(data)
    assert key is None or len(data) == POINT_BYTES


def test_a_point_off_the_curve_or_of_another_length_is_none():
    assert public_key(POINT) is not None
    assert public_key(bytes(64)) is None
    assert public_key(POINT[:-1] + bytes((POINT[-1] ^ 1,))) is None
    assert public_key(b"\x04" + POINT) is None
    assert public_key(POINT[:-1]) is None


def test_a_key_survives_pem():
    again = EcdsaPrivateKey.from_pem(KEY.to_pem())
    assert again.point == KEY.point


def test_a_key_of_another_curve_or_kind_is_refused():
    p384 = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (p384, b"", b"not PEM"):
        with pytest.raises(ValueError, match=r".+"):
            EcdsaPrivateKey.from_pem(pem)


@pytest.mark.parametrize(
    "scalar", [bytes(32), b"\xff" * 32, ORDER.to_bytes(32, "big"), (ORDER - 1).to_bytes(32, "big")]
)
def test_any_32_bytes_make_a_key(scalar):
    assert public_key(EcdsaPrivateKey.from_scalar(scalar).point) is not None


def test_a_private_key_shows_nothing():
    assert "object at" in repr(KEY)
