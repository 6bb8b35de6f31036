"""Deterministic CBOR: one value, one encoding; cbor2's canonical mode is the oracle."""

from __future__ import annotations

import io

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import Malformed, MalformedEntry

INTEGERS = st.integers(-(2**64), 2**64 - 1)
KEYS = st.one_of(INTEGERS, st.text(max_size=30), st.binary(max_size=30))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, st.binary(max_size=300), st.text(max_size=300)),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=25,
)


def decode(data: bytes, max_bytes: int = 1 << 20) -> canonical.Value:
    return canonical.decode(data, path="test", error=Malformed, max_bytes=max_bytes)


def same(left: object, right: object) -> bool:
    """Compare with types, since False == 0 and True == 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


@given(VALUES)
def test_what_is_encoded_decodes_to_the_same_value(value):
    assert same(decode(canonical.encode(value)), value)


@given(VALUES)
def test_another_decoder_reads_the_same_value(value):
    assert same(cbor2.loads(canonical.encode(value)), value)


def core_deterministic(value: object) -> bytes:
    """Encode with cbor2, but sort keys bytewise (RFC 8949 section 4.2.1) and not by length first (section 4.2.3)."""
    if isinstance(value, dict):
        head = io.BytesIO()
        cbor2.CBOREncoder(head).encode_length(5, len(value))
        pairs = sorted((cbor2.dumps(key), core_deterministic(item)) for key, item in value.items())
        return head.getvalue() + b"".join(key + item for key, item in pairs)
    if isinstance(value, list):
        head = io.BytesIO()
        cbor2.CBOREncoder(head).encode_length(4, len(value))
        return head.getvalue() + b"".join(map(core_deterministic, value))
    return cbor2.dumps(value, canonical=True)


@given(VALUES)
def test_another_encoder_writes_the_same_bytes(value):
    assert canonical.encode(value) == core_deterministic(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_one_value_with_these_bytes_or_malformed(data):
    try:
        value = decode(data)
    except Malformed:
        return
    assert canonical.encode(value) == data


@given(VALUES, st.data())
def test_a_changed_encoding_is_another_value_or_malformed(value, data):
    encoded = bytearray(canonical.encode(value))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(encoded))
    except Malformed:
        return
    assert not same(changed, value)
    assert canonical.encode(changed) == encoded


@given(VALUES, st.data())
def test_a_value_cut_short_or_continued_is_malformed(value, data):
    encoded = canonical.encode(value)
    with pytest.raises(Malformed):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(Malformed, match="after the value"):
        decode(encoded + b"\x00")


@pytest.mark.parametrize(
    ("encoding", "rule"),
    [
        ("", "1 bytes wanted"),
        ("a2 61 61 01 61 61 02", "out of order or repeated"),
        ("a2 61 62 01 61 61 02", "out of order or repeated"),
        ("a2 61 61 01 01 02", "out of order or repeated"),
        ("a1 f5 01", "map keys"),
        ("a1 f6 01", "map keys"),
        ("a1 80 01", "map keys"),
        ("5f 41 00 ff", "indefinite"),
        ("7f 61 61 ff", "indefinite"),
        ("9f 01 ff", "indefinite"),
        ("bf 01 02 ff", "indefinite"),
        ("1c", "indefinite"),
        ("18 17", "shortest"),
        ("19 00 ff", "shortest"),
        ("1a 00 00 ff ff", "shortest"),
        ("1b 00 00 00 00 ff ff ff ff", "shortest"),
        ("38 00", "shortest"),
        ("58 01 61", "shortest"),
        ("c0 00", "tags"),
        ("d8 18 00", "tags"),
        ("f9 00 00", "floats"),
        ("fa 00 00 00 00", "floats"),
        ("fb 00 00 00 00 00 00 00 00", "floats"),
        ("f7", "floats and unknown simple"),
        ("f8 20", "floats and unknown simple"),
        ("ff", "floats and unknown simple"),
        ("62 c3 28", "UTF-8"),
        ("63 ed a0 80", "UTF-8"),  # a surrogate
        ("9b ff ff ff ff ff ff ff ff", "more elements announced"),
        ("9a 7f ff ff ff", "more elements announced"),
        ("bb ff ff ff ff ff ff ff ff", "more elements announced"),
        ("5b ff ff ff ff ff ff ff ff", "bytes wanted"),
        ("7b ff ff ff ff ff ff ff ff", "bytes wanted"),
        ("5a 7f ff ff ff 00", "bytes wanted"),
    ],
)
def test_what_could_be_read_in_two_ways_or_lies_is_malformed(encoding, rule):
    with pytest.raises(Malformed, match=rule):
        decode(bytes.fromhex(encoding))


def test_nesting_has_a_limit_for_arrays_and_maps():
    deepest = b"\x81" * canonical.MAX_DEPTH + b"\x00"
    assert canonical.encode(decode(deepest)) == deepest
    for opening in (b"\x81", b"\xa1\x00"):
        with pytest.raises(Malformed, match="nested deeper"):
            decode(opening * (canonical.MAX_DEPTH + 1) + b"\x00")
        with pytest.raises(Malformed, match="nested deeper"):
            decode(opening * 500_000 + b"\x00")


def test_the_size_is_looked_at_first():
    with pytest.raises(Malformed, match="6 bytes, at most 5"):
        decode(b"\xff" * 6, max_bytes=5)
    assert decode(b"\x44\x00\x00\x00\x00", max_bytes=5) == bytes(4)


def test_the_error_is_the_callers_and_says_where():
    with pytest.raises(MalformedEntry) as caught:
        canonical.decode(b"\x82\x01\xf9\x00\x00", path="entry", error=MalformedEntry, max_bytes=100)
    assert (caught.value.path, caught.value.offset) == ("entry", 3)
    assert str(caught.value).startswith("entry: ")


@pytest.mark.parametrize("value", [1.5, object(), {1, 2}, {None: 1}, {True: 1}, {(1,): 1}, [b"", 1.0]])
def test_what_is_outside_the_subset_cannot_be_encoded(value):
    with pytest.raises(TypeError):
        canonical.encode(value)


@pytest.mark.parametrize("number", [2**64, -(2**64) - 1])
def test_an_integer_of_more_than_64_bits_cannot_be_encoded(number):
    with pytest.raises(ValueError, match="64 bits"):
        canonical.encode(number)


def test_a_tuple_is_a_list():
    assert canonical.encode((1, "a")) == canonical.encode([1, "a"])
