"""Typed fields: what is missing, surplus or ill-typed is malformed, by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields


def fields(**values: canonical.Value) -> Fields:
    return Fields(dict(values), path="message", error=MalformedMessage)


def test_every_accessor_gives_its_value_and_consumes_it():
    read = fields(
        data=b"abc", none=None, some=b"x", text="hello", number=7, kind="v1", chunks=[b"a", b"b"], counts=[1, 2],
        words=["a"],
    )  # fmt: skip
    assert read.byte_string("data", length=3) == b"abc"
    assert read.optional_byte_string("none") is None
    assert read.optional_byte_string("some") == b"x"
    assert read.text("text", at_most=5) == "hello"
    assert read.number("number", at_most=7) == 7
    read.exactly("kind", "v1")
    assert read.byte_strings("chunks", length=1, at_most=2) == (b"a", b"b")
    assert read.numbers("counts", at_most=2) == (1, 2)
    assert read.texts("words", at_most=1, allowed={"a", "b"}) == ("a",)
    read.done()


ACCESSORS = {
    "byte string": lambda read: read.byte_string("x", length=2),
    "short byte string": lambda read: read.byte_string("x", at_most=2),
    "optional byte string": lambda read: read.optional_byte_string("x", length=2),
    "text": lambda read: read.text("x", at_most=2),
    "number": lambda read: read.number("x", at_most=2),
    "constant number": lambda read: read.exactly("x", 1),
    "constant text": lambda read: read.exactly("x", "v1"),
    "byte strings": lambda read: read.byte_strings("x", length=2, at_most=2),
    "numbers": lambda read: read.numbers("x", at_most=2),
    "texts": lambda read: read.texts("x", at_most=2, allowed={"a"}),
}


@pytest.mark.parametrize("name", ACCESSORS)
def test_a_missing_field_is_named(name):
    with pytest.raises(MalformedMessage, match="field 'x' is missing"):
        ACCESSORS[name](fields(y=1))


GOOD = {
    "byte string": b"ab",
    "short byte string": b"ab",
    "optional byte string": None,
    "text": "ab",
    "number": 2,
    "constant number": 1,
    "constant text": "v1",
    "byte strings": [b"ab"],
    "numbers": [1, 2],
    "texts": ["a"],
}


@pytest.mark.parametrize("name", ACCESSORS)
def test_a_field_is_read_once(name):
    read = fields(x=GOOD[name])
    ACCESSORS[name](read)
    read.done()
    with pytest.raises(MalformedMessage, match="field 'x' is missing"):
        ACCESSORS[name](read)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("byte string", [b"", b"a", b"abc", "ab", 1, None, True, [b"ab"], {}]),
        ("short byte string", [b"abc", "ab", None]),
        ("optional byte string", [b"abc", "ab", False]),
        ("text", ["abc", b"ab", 1, None, True]),
        ("number", [-1, 3, True, False, "1", None, b"\x01"]),
        ("constant number", [True, 2, "1", None]),
        ("constant text", ["v2", b"v1", 1, None]),
        ("byte strings", [[b"ab"] * 3, [b"a"], [b"ab", "ab"], b"ab", {}, None]),
        ("numbers", [[1] * 3, [True], ["1"], 1, None]),
        ("texts", [["a"] * 3, ["b"], [b"a"], "a", None]),
    ],
)
def test_an_ill_typed_field_is_malformed(name, values):
    for value in values:
        with pytest.raises(MalformedMessage, match="'x'"):
            ACCESSORS[name](fields(x=value))


def test_a_surplus_field_is_malformed():
    read = fields(a=1, b=2, c=3)
    read.number("b")
    with pytest.raises(MalformedMessage, match="unknown field 'a'"):
        read.done()


@pytest.mark.parametrize("value", [None, 1, b"", "", [], True])
def test_what_is_no_map_is_malformed(value):
    with pytest.raises(MalformedMessage, match="not a map"):
        Fields(value, path="message", error=MalformedMessage)


def test_the_callers_map_is_left_alone():
    value = {"a": 1}
    Fields(value, path="message", error=MalformedMessage).number("a")
    assert value == {"a": 1}


def test_fields_decode_from_canonical_bytes():
    read = Fields.decode(canonical.encode({"a": 1}), path="m", error=MalformedMessage, max_bytes=10)
    assert read.number("a") == 1
    with pytest.raises(MalformedMessage, match="at most 2"):
        Fields.decode(canonical.encode({"a": 1}), path="m", error=MalformedMessage, max_bytes=2)


@given(st.binary(max_size=100), st.sampled_from(sorted(ACCESSORS)))
def test_any_bytes_give_a_value_or_malformed(data, name):
    try:
        read = Fields.decode(data, path="m", error=MalformedMessage, max_bytes=100)
        ACCESSORS[name](read)
        read.done()
    except MalformedMessage:
        pass


def test_an_error_built_by_the_caller_has_the_path():
    assert str(fields().fail("a rule")) == "message: a rule"
