"""ristretto255: the RFC's encodings, what is refused, and what happens without libsodium."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import Misconfigured
from strongroom.crypto import ristretto255
from strongroom.crypto.ristretto255 import Element, InvalidEncoding, Scalar

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
ONE = (1).to_bytes(32, "little")

# RFC 9496 appendix A.1: multiples of the generator, from 1
MULTIPLES = (
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
)


def scalar(number: int) -> Scalar:
    return ristretto255.decode_scalar((number % ORDER).to_bytes(32, "little"))


@pytest.mark.parametrize(("number", "encoding"), list(enumerate(MULTIPLES, start=1)))
def test_multiples_of_the_generator_are_the_rfcs(number, encoding):
    assert ristretto255.multiply_base(scalar(number)).hex() == encoding


@given(st.integers(1, ORDER - 1), st.integers(1, ORDER - 1))
def test_multiplication_commutes_and_inverts(left, right):
    once = ristretto255.multiply_base(scalar(left))
    assert ristretto255.multiply(scalar(right), once) == ristretto255.multiply_base(scalar(left * right))
    assert ristretto255.multiply(ristretto255.invert(scalar(left)), once).hex() == MULTIPLES[0]


@pytest.mark.parametrize(
    "encoding",
    [
        bytes(32),  # the identity
        b"\x00" + b"\xff" * 31,  # RFC 9496 appendix A.2: non-canonical field encodings
        b"\xed" + b"\xff" * 30 + b"\x7f",
        b"\xf3" + b"\xff" * 30 + b"\x7f",
        b"\x01" + bytes(31),  # negative
        bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),  # not a square
        b"",
        bytes.fromhex(MULTIPLES[0])[:31],
        bytes.fromhex(MULTIPLES[0]) + b"\x00",
    ],
)
def test_what_is_no_element_is_refused(encoding):
    with pytest.raises(InvalidEncoding):
        ristretto255.decode_element(encoding)


@pytest.mark.parametrize(
    "encoding",
    [
        bytes(32),
        ORDER.to_bytes(32, "little"),
        (ORDER + 1).to_bytes(32, "little"),
        b"\xff" * 32,
        bytes(31),
        bytes(33),
        b"",
    ],
)
def test_what_is_no_scalar_is_refused(encoding):
    with pytest.raises(InvalidEncoding):
        ristretto255.decode_scalar(encoding)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_element_or_refused(data):
    try:
        element = ristretto255.decode_element(data)
    except InvalidEncoding:
        return
    assert element == data


@given(st.integers(0, 2**256 - 1))
def test_any_number_is_a_scalar_or_refused(number):
    encoding = number.to_bytes(32, "little")
    if 0 < number < ORDER:
        assert ristretto255.decode_scalar(encoding) == encoding
    else:
        with pytest.raises(InvalidEncoding):
            ristretto255.decode_scalar(encoding)


def test_short_values_never_reach_the_c_code():
    generator = Element(bytes.fromhex(MULTIPLES[0]))
    for call in (
        lambda: ristretto255.multiply(Scalar(b"\x01"), generator),
        lambda: ristretto255.multiply(Scalar(ONE), Element(b"")),
        lambda: ristretto255.multiply_base(Scalar(b"")),
        lambda: ristretto255.invert(Scalar(ONE[:31])),
    ):
        with pytest.raises(InvalidEncoding):
            call()


def test_values_that_were_not_decoded_are_still_refused():
    not_canonical = Element(FIELD.to_bytes(32, "little"))
    with pytest.raises(InvalidEncoding):
        ristretto255.multiply(Scalar(ONE), not_canonical)
    with pytest.raises(InvalidEncoding):
        ristretto255.multiply(Scalar(bytes(32)), Element(bytes.fromhex(MULTIPLES[0])))
    with pytest.raises(InvalidEncoding):
        ristretto255.multiply_base(Scalar(bytes(32)))
    with pytest.raises(InvalidEncoding):
        ristretto255.invert(Scalar(bytes(32)))


def test_a_random_scalar_of_zero_is_refused():
    with pytest.raises(InvalidEncoding):
        ristretto255.random_scalar(bytes)
    with pytest.raises(ValueError, match="64 bytes"):
        ristretto255.random_scalar(lambda _: b"short")
    assert ristretto255.random_scalar() != ristretto255.random_scalar()


@pytest.mark.parametrize(
    ("message", "expected"),
    [  # RFC 9380 appendix K.3
        (b"", "6b9a7312411d92f921c6f68ca0b6380730a1a4d982c507211a90964c394179ba"),
        (b"abc", "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc"),
    ],
)
def test_expansion_is_the_rfcs(message, expected):
    domain = b"QUUX-V01-CS02-with-expander-SHA512-256"
    assert ristretto255.expand_message_xmd(message, domain, 32).hex() == expected


def test_expansion_over_several_blocks_has_the_length_asked_for():
    long = ristretto255.expand_message_xmd(b"message", b"domain", 200)
    assert len(long) == 200
    assert len({long[:64], long[64:128], long[128:192]}) == 3


@pytest.mark.parametrize(("domain", "length"), [(b"", 64), (b"d" * 256, 64), (b"d", 0), (b"d", 255 * 64 + 1)])
def test_expansion_refuses_what_the_rfc_refuses(domain, length):
    with pytest.raises(ValueError, match="255"):
        ristretto255.expand_message_xmd(b"", domain, length)


class Missing:
    def __init__(self, *functions: str, start: int = 0) -> None:
        for name in functions:
            setattr(self, name, lambda *_: start)


@pytest.mark.parametrize(
    ("library", "fact"),
    [
        (None, "not installed"),
        (Missing("sodium_init", start=-1), "does not start"),
        (Missing("sodium_init"), "without ristretto255"),
    ],
)
def test_without_libsodium_the_command_to_install_it_is_named(monkeypatch, library, fact):
    def load(name: str) -> object:
        if library is None:
            raise OSError(name)
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    ristretto255._sodium.cache_clear()
    try:
        with pytest.raises(Misconfigured, match=fact) as caught:
            ristretto255.multiply_base(Scalar(ONE))
        assert "apt-get install libsodium23" in caught.value.hint
    finally:
        ristretto255._sodium.cache_clear()
