from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto import der
from strongroom.crypto.der import DerReader


def reader(data: bytes) -> DerReader:
    return DerReader(data, path="x", error=MalformedCollateral)


@given(st.binary(max_size=70_000))
def test_what_is_written_is_read_back(body: bytes) -> None:
    written = der.element(der.OCTET_STRING, body)
    assert reader(written).take(der.OCTET_STRING, "x") == body
    assert reader(written).take_whole(der.OCTET_STRING, "x") == written


@given(st.integers(0, 2**64))
def test_numbers_are_read_back(value: int) -> None:
    assert reader(der.unsigned(value)).number("x", at_most=2**64) == value


@given(st.binary(max_size=12))
def test_any_bytes_give_an_element_or_malformed(data: bytes) -> None:
    one = reader(data)
    try:
        tag = one.next_tag()
        body = one.take(tag if tag is not None else der.SEQUENCE, "x")
    except MalformedCollateral:
        return
    assert tag is not None
    assert der.element(tag, body) == data[: one.offset]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        b"\x04\x01",
        b"\x04\x80",
        b"\x04\x81\x01x",
        b"\x04\x82\x00\x80" + bytes(128),
        b"\x04\x85\x00\x00\x00\x00\x01x",
        b"\x04\xff",
        b"\x04\x84\xff\xff\xff\xff",
        b"\x05\x00",
    ],
)
def test_other_lengths_and_tags_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        reader(data).take(der.OCTET_STRING, "x")


@pytest.mark.parametrize("data", [b"\x02\x00", b"\x02\x01\x80", b"\x02\x02\x00\x01", b"\x02\x02\x01\x00"])
def test_other_numbers_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        reader(data).number("x", at_most=255)


def test_booleans_have_two_forms() -> None:
    assert reader(b"\x01\x01\xff").boolean("x") is True
    assert reader(b"\x01\x01\x00").boolean("x") is False
    for data in (b"\x01\x01\x01", b"\x01\x00", b"\x01\x02\xff\xff"):
        with pytest.raises(MalformedCollateral):
            reader(data).boolean("x")


def test_the_end_can_be_demanded() -> None:
    one = reader(b"\x04\x00\x04\x00")
    one.take(der.OCTET_STRING, "x")
    with pytest.raises(MalformedCollateral, match="after the last element"):
        one.expect_end()
    one.take(der.OCTET_STRING, "x")
    one.expect_end()
    assert one.next_tag() is None


def test_object_identifiers_are_those_of_the_standard() -> None:
    assert der.oid("1.2.840.113741.1.13.1") == bytes.fromhex("2a864886f84d010d01")
    assert der.oid("2.5.29.19") == bytes.fromhex("551d13")
