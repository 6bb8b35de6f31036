from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import VECTORS, damaged, read
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import parse_pem_chain, public_key_from_spki
from strongroom.formats.signed_json import MAX_BODY_BYTES, JsonFields, SignedJson, parse_object, parse_texts

DOCUMENTS = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("*/_pcs/*.json"))
SIGNING = parse_pem_chain(read("sgx/_anchors/intel-sgx-tcb-signing-2025.pem"), path="")[0]


def name_of(path: str) -> str:
    return "tcbInfo" if "tcbinfo" in path else "enclaveIdentity"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_intels_signatures_are_over_the_bytes_that_are_sliced_out(path: str) -> None:
    document = SignedJson.from_bytes(read(path), name=name_of(path))
    key = public_key_from_spki(SIGNING.spki)
    assert key is not None
    assert document.verify(key)
    assert SignedJson.from_bytes(document.to_bytes(), name=document.name) == document
    changed = document.body.replace(b'"version":', b'"version": ')
    assert changed != document.body
    assert not SignedJson(name=document.name, body=changed, signature=document.signature).verify(key)


def wrapped(body: str, tail: str = "") -> bytes:
    return f'{{"tcbInfo":{body},"signature":"{"ab" * 64}"}}{tail}'.encode()


def test_white_space_inside_the_body_is_the_bodys() -> None:
    document = SignedJson.from_bytes(wrapped('{ "a" : 1 }'), name="tcbInfo")
    assert document.body == b'{ "a" : 1 }'


@pytest.mark.parametrize(
    "data",
    [
        wrapped('{"a":1}', "x"),
        wrapped('{"a":1}', "{}"),
        wrapped('{"a":1,"a":2}'),
        wrapped('{"a":NaN}'),
        wrapped('{"a":Infinity}'),
        wrapped('{"a":1.0}'),
        wrapped('{"a":1e5}'),
        wrapped('{"a":123456789012345678901}'),
        wrapped("{" + '"a":{' * 40 + "}" * 41),
        wrapped('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
        wrapped('{"a":' + "9" * 5000 + "}"),
        b"\xef\xbb\xbf" + wrapped("{}"),
        wrapped("{}").replace(b"abab", b"abax", 1),
        wrapped("{}").replace(b"abab", b"", 1),
        wrapped("{}").replace(b"signature", b"Signature"),
        b'{"signature":"' + b"ab" * 64 + b'","tcbInfo":{}}',
        b'{"tcbInfo":{},"signature":"' + b"ab" * 64 + b'","more":1}',
        wrapped('{"a":"\x01"}'),
        wrapped('{"a":"\udc80"}'.encode("utf-8", "surrogateescape").decode("latin-1")).replace(b"\xc2\x80", b"\x80"),
        b"[]",
        b"",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        SignedJson.from_bytes(data, name="tcbInfo")


def test_nesting_is_allowed_to_the_limit() -> None:
    parse_object(b'{"a":' * 31 + b"{}" + b"}" * 31, path="x")
    with pytest.raises(MalformedCollateral, match="deeper"):
        parse_object(b'{"a":' * 32 + b"{}" + b"}" * 32, path="x")


def test_too_much_is_not_read() -> None:
    with pytest.raises(MalformedCollateral, match="at most"):
        parse_object(b" " * (MAX_BODY_BYTES + 1), path="x")


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | damaged([read(path) for path in DOCUMENTS[:6]]))
def test_any_bytes_give_a_document_or_malformed(data: bytes) -> None:
    try:
        document = SignedJson.from_bytes(data, name="tcbInfo")
    except MalformedCollateral:
        return
    assert SignedJson.from_bytes(document.to_bytes(), name="tcbInfo") == document


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_ordinary_objects_are_read(value: dict[str, object]) -> None:
    parse_object(json.dumps(value).encode(), path="x")


@pytest.mark.parametrize(
    ("value", "read_it"),
    [
        (b'{"a":"x"}', lambda f: f.number("a", at_most=9)),
        (b'{"a":true}', lambda f: f.number("a", at_most=9)),
        (b'{"a":10}', lambda f: f.number("a", at_most=9)),
        (b'{"a":-1}', lambda f: f.number("a", at_most=9)),
        (b'{"a":1}', lambda f: f.text("a")),
        (b'{"a":"\\u0007"}', lambda f: f.text("a")),
        (b'{"a":"' + b"x" * 300 + b'"}', lambda f: f.text("a")),
        (b'{"a":"0g"}', lambda f: f.hexadecimal("a", 1)),
        (b'{"a":"0"}', lambda f: f.hexadecimal("a", 1)),
        (b'{"a":"2025-02-30T00:00:00Z"}', lambda f: f.date("a")),
        (b'{"a":"2025-02-03T00:00:00+00:00"}', lambda f: f.date("a")),
        (b'{"a":"2025-02-03"}', lambda f: f.date("a")),
        (b'{"a":"0000-02-03T00:00:00Z"}', lambda f: f.date("a")),
        (b'{"a":[1]}', lambda f: f.texts("a", at_most=3)),
        (b'{"a":["x","y"]}', lambda f: f.texts("a", at_most=1)),
        (b'{"a":{}}', lambda f: f.texts("a", at_most=1)),
        (b'{"a":[1]}', lambda f: f.objects("a", at_most=1)),
        (b'{"a":[{},{}]}', lambda f: f.objects("a", at_most=1)),
        (b'{"a":{}}', lambda f: f.objects("a", at_most=1)),
        (b'{"a":[]}', lambda f: f.object("a")),
        (b"{}", lambda f: f.text("a")),
    ],
)
def test_a_field_of_another_type_is_malformed(value: bytes, read_it: object) -> None:
    fields = parse_object(value, path="x")
    assert isinstance(fields, JsonFields)
    assert callable(read_it)
    with pytest.raises(MalformedCollateral):
        read_it(fields)


def test_an_object_of_texts_holds_texts_only() -> None:
    assert parse_texts(b'{"a":"b"}', path="x", max_bytes=100) == {"a": "b"}
    for data in (b'{"a":1}', b'{"a":null}', b"[]", b'{"a":"b","a":"c"}'):
        with pytest.raises(MalformedCollateral):
            parse_texts(data, path="x", max_bytes=100)
