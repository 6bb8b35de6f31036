"""Foreign CBOR: what the specification allows is read and written back, anything else has a place and a rule."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedQuote
from strongroom.formats.tagged_evidence import EvidenceClaims, HashEntry, TaggedEvidence

names = st.text(max_size=16)
values = st.binary(max_size=300)
claims = st.lists(st.tuples(names, values), max_size=8).map(lambda entries: EvidenceClaims(entries=tuple(entries)))
evidence = st.builds(TaggedEvidence, quote=st.binary(max_size=9000), claims=st.binary(max_size=4096))
entries = st.builds(HashEntry, algorithm=st.integers(0, (1 << 64) - 1), value=st.binary(max_size=64))
anything = st.one_of(
    st.binary(max_size=64),
    st.recursive(
        st.one_of(st.binary(max_size=8), st.integers(), st.text(max_size=8), st.none(), st.booleans(), st.floats()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.text(max_size=11), inner, max_size=3),
            inner.map(lambda value: cbor2.CBORTag(60000, value)),
        ),
        max_leaves=6,
    ).map(cbor2.dumps),
)
READERS = (TaggedEvidence.from_bytes, EvidenceClaims.from_bytes, HashEntry.from_bytes)


@given(evidence)
def test_evidence_comes_back(value: TaggedEvidence) -> None:
    assert TaggedEvidence.from_bytes(value.to_bytes()) == value


@given(claims)
def test_claims_come_back_in_their_order_and_as_often_as_they_stand_there(value: EvidenceClaims) -> None:
    assert EvidenceClaims.from_bytes(value.to_bytes()) == value


@given(entries)
def test_a_hash_entry_comes_back(value: HashEntry) -> None:
    assert HashEntry.from_bytes(value.to_bytes()) == value


@given(evidence)
def test_another_encoder_writes_the_same(value: TaggedEvidence) -> None:
    assert value.to_bytes() == cbor2.dumps(cbor2.CBORTag(60000, [value.quote, value.claims]))


@given(anything, st.sampled_from(READERS))
def test_any_bytes_are_a_value_that_writes_the_same_bytes_or_malformed(data: bytes, reader: object) -> None:
    try:
        value = reader(data)  # type: ignore[operator]
    except MalformedQuote:
        return
    assert value.to_bytes() == data


@given(evidence, st.data())
def test_whatever_is_cut_short_is_malformed(value: TaggedEvidence, data: st.DataObject) -> None:
    encoded = value.to_bytes()
    with pytest.raises(MalformedQuote):
        TaggedEvidence.from_bytes(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


RIGHT = cbor2.dumps(cbor2.CBORTag(60000, [b"q" * 300, b"\xa0"]))


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (cbor2.dumps([b"q", b"\xa0"]), "not the tag"),
        (cbor2.dumps(cbor2.CBORTag(60001, [b"q", b"\xa0"])), "not the tag"),
        (cbor2.dumps(cbor2.CBORTag(60000, b"q")), "not an array"),
        (cbor2.dumps(cbor2.CBORTag(60000, [b"q"])), "not an array"),
        (cbor2.dumps(cbor2.CBORTag(60000, [b"q", b"\xa0", b""])), "not an array"),
        (cbor2.dumps(cbor2.CBORTag(60000, ["q", b"\xa0"])), "not a string for quote"),
        (cbor2.dumps(cbor2.CBORTag(60000, [b"q", {}])), "not a string for claims"),
        (RIGHT + b"\0", "after the value"),
        (RIGHT.replace(b"\xd9\xea\x60", b"\xda\x00\x00\xea\x60"), "shortest form"),
        (b"\xd9\xea\x60\x9f\x41q\x41\xa0\xff", "not an array"),
        (b"\xd9\xea\x60\x82\x5f\x41q\xff\x41\xa0", "not a string for quote"),
        (b"\xd9\xea\x60\x82\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "at most"),
        (bytes(48 * 1024 + 1), "at most"),
        (cbor2.dumps(cbor2.CBORTag(60000, [b"q", bytes(4097)])), "at most"),
        (b"", "ends early"),
    ],
)
def test_what_the_specification_does_not_allow_is_malformed_by_name(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedQuote, match=rule):
        TaggedEvidence.from_bytes(data)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (cbor2.dumps({1: b""}), "claim name"),
        (cbor2.dumps({"a": 1}), "string for claim"),
        (cbor2.dumps({str(number): b"" for number in range(17)}), "17 claims"),
        (b"\xbb" + b"\xff" * 8, "claims, at most"),
        (b"\xbf\xff", "not a map"),
        (b"\xa1\x61\xff\x40", "not UTF-8"),
        (cbor2.dumps({"n" * 65: b""}), "at most 64"),
    ],
)
def test_claims_out_of_bounds_are_malformed_by_name(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedQuote, match=rule):
        EvidenceClaims.from_bytes(data)


def test_a_negative_hash_function_is_malformed() -> None:
    with pytest.raises(MalformedQuote, match="hash function"):
        HashEntry.from_bytes(cbor2.dumps([-1, b"h"]))
