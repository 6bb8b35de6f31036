"""The cursor: bounded reads, little-endian numbers, errors that say where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import Malformed, MalformedQuote


def cursor(data: bytes) -> ByteCursor:
    return ByteCursor(data, path="thing", error=MalformedQuote)


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=20))
def test_numbers_are_little_endian_and_the_rest_follows(u16, u32, u64, rest):
    reader = cursor(u16.to_bytes(2, "little") + u32.to_bytes(4, "little") + u64.to_bytes(8, "little") + rest)
    assert (reader.u16("a"), reader.u32("b"), reader.u64("c")) == (u16, u32, u64)
    assert reader.remaining == len(rest)
    assert reader.rest() == rest
    assert reader.remaining == 0
    reader.expect_end()


@given(st.binary(max_size=40), st.lists(st.integers(0, 20), max_size=10))
def test_no_read_passes_the_end(data, lengths):
    reader, taken = cursor(data), b""
    for length in lengths:
        left = len(data) - len(taken)
        if length > left:
            with pytest.raises(MalformedQuote, match=f"field needs {length} bytes, {left} are left"):
                reader.take(length, "field")
            assert reader.offset == len(taken)
        else:
            taken += reader.take(length, "field")
    assert data.startswith(taken)


@pytest.mark.parametrize(("read", "width"), [("u16", 2), ("u32", 4), ("u64", 8)])
def test_a_number_cut_short_is_malformed(read, width):
    with pytest.raises(MalformedQuote, match=f"size needs {width} bytes"):
        getattr(cursor(bytes(width - 1)), read)("size")


def test_bytes_after_the_last_field_are_malformed():
    reader = cursor(b"abc")
    reader.take(1, "first")
    with pytest.raises(MalformedQuote, match="2 bytes after the last field") as caught:
        reader.expect_end()
    assert caught.value.offset == 1


def test_an_error_names_path_offset_and_family():
    reader = cursor(b"abc")
    reader.take(2, "first")
    error = reader.fail("a rule")
    assert isinstance(error, MalformedQuote)
    assert isinstance(error, Malformed)
    assert (error.path, error.offset, str(error)) == ("thing", 2, "thing: a rule (at byte 2)")
