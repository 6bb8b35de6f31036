from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record_strategies import items
from strongroom.base import canonical
from strongroom.base.errors import MalformedRecord
from strongroom.records.item import (
    FIELD_NAMES,
    HIDDEN_FIELDS,
    MAX_HISTORY,
    MAX_ITEM_BYTES,
    MAX_TEXT,
    CustomField,
    Item,
    ItemType,
    PastValue,
    Uri,
    UriMatch,
    bounded_history,
)


def login(**changes) -> Item:
    settings = {"item_type": ItemType.LOGIN, "fields": {"title": "mail"}, "created_at": 5, "changed_at": 5, **changes}
    return Item(**settings)


@given(items)
def test_an_item_survives_being_written(item: Item):
    assert Item.from_bytes(item.to_bytes()) == item


@given(st.binary(max_size=200))
def test_any_bytes_are_an_item_or_malformed(data: bytes):
    with contextlib.suppress(MalformedRecord):
        assert Item.from_bytes(data).to_bytes() == data


@given(items, st.data())
def test_any_flipped_byte_gives_an_item_or_malformed(item: Item, data: st.DataObject):
    raw = bytearray(item.to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedRecord):
        assert Item.from_bytes(bytes(raw)).to_bytes() == raw


def changed(**changes: object) -> bytes:
    plain = login(
        uris=(Uri(value="https://a"),), custom=(CustomField(name="n", value="v"),), tags=("a", "b")
    ).to_bytes()
    value = canonical.decode(plain, path="", max_bytes=10_000)
    assert isinstance(value, dict)
    return canonical.encode({key: item for key, item in {**value, **changes}.items() if item is not ...})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": "x"}, "'format'"),
        ({"version": 2}, "'version'"),
        ({"type": "passport"}, "unknown type"),
        ({"type": ...}, "'type' is missing"),
        ({"more": 1}, "unknown field 'more'"),
        ({"fields": []}, "'fields' is not a map"),
        ({"fields": {"a": 1}}, "something else than texts"),
        ({"fields": {"a": ""}}, "empty field"),
        ({"fields": {"": "a"}}, "has no name"),
        ({"uris": {}}, "'uris' is not a list"),
        ({"uris": ["a"]}, "something else than rows"),
        ({"uris": [["a", "sometimes"]]}, "known way to match"),
        ({"uris": [["a"]]}, "known way to match"),
        ({"custom": [["a", "b", 1]]}, "a name, a value and a flag"),
        ({"history": [["a", "b", True]]}, "a field, a value and a time"),
        ({"history": [["a", "b", -1]]}, "unix milliseconds"),
        ({"history": [["a", "b", 2], ["a", "b", 1]]}, "out of order"),
        ({"tags": ["b", "a"]}, "out of order"),
        ({"tags": ["a", "a"]}, "out of order"),
        ({"favourite": 1}, "'favourite'"),
        ({"deleted": ...}, "'deleted'"),
        ({"changed_at": 1 << 60}, "'changed_at'"),
    ],
)
def test_what_is_wrong_with_an_item_is_named(changes, match):
    with pytest.raises(MalformedRecord, match=match):
        Item.from_bytes(changed(**changes))


def test_only_maps_are_items():
    with pytest.raises(MalformedRecord, match="not a map"):
        Item.from_bytes(canonical.encode([]))


def test_an_item_too_large_to_read_is_not_read():
    with pytest.raises(MalformedRecord, match="are read"):
        Item.from_bytes(bytes(MAX_ITEM_BYTES + 1))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"fields": {"notes": "x" * (MAX_TEXT + 1)}}, "100001 characters"),
        ({"fields": {"x" * 257: "a"}}, "field's name has 257"),
        ({"fields": {"a": "\ud800"}}, "UTF-8"),
        ({"fields": {str(number): "a" for number in range(257)}}, "257 fields"),
        ({"fields": {str(number): "x" * MAX_TEXT for number in range(6)}}, "larger than"),
        ({"folder": "x" * 257}, "the folder has"),
        ({"tags": ("x" * 257,)}, "a tag has"),
        ({"created_at": -1}, "created_at"),
        ({"history": tuple(PastValue(field="a", value="b", changed_at=n) for n in range(65))}, "65 past values"),
    ],
)
def test_an_item_beyond_a_limit_cannot_be_made(changes, match):
    with pytest.raises(MalformedRecord, match=match):
        login(**changes)


def test_the_largest_item_can_be_read_back():
    item = login(fields={str(number): "ä" * 50_000 for number in range(5)})
    assert Item.from_bytes(item.to_bytes()) == item


def test_nothing_of_an_item_is_shown():
    secret = "hunter2"
    item = login(
        fields={"password": secret},
        uris=(Uri(value=secret),),
        custom=(CustomField(name=secret, value=secret),),
        folder=secret,
        tags=(secret,),
        history=(PastValue(field="password", value=secret, changed_at=1),),
    )
    assert repr(item) == "<Item login, 1 fields>"
    assert secret not in repr([item, *item.uris, *item.custom, *item.history])


def test_fields_of_empty_text_do_not_exist():
    assert login(fields={"title": "", "password": "p"}) == login(fields={"password": "p"})


def test_an_edit_keeps_what_it_replaces():
    item = login(fields={"title": "mail", "password": "one"}).edited(at=10, fields={"password": "two", "totp": "t"})
    assert dict(item.fields) == {"title": "mail", "password": "two", "totp": "t"}
    assert item.history == (PastValue(field="password", value="one", changed_at=10),)
    assert item.get("username") == ""
    assert item.title == "mail"


def test_an_edit_can_change_everything_else():
    uris = (Uri(value="https://a", match=UriMatch.HOST),)
    item = login().edited(at=10, uris=uris, custom=(), folder="f", tags=("b", "a"), favourite=True)
    assert (item.uris, item.folder, item.tags, item.favourite) == (uris, "f", ("a", "b"), True)


def test_an_edit_is_later_than_what_it_started_from_even_where_the_clock_went_back():
    assert login().edited(at=1, fields={}).changed_at == 6
    assert login().trashed(at=1).changed_at == 6


def test_the_trash_keeps_the_contents_and_purging_does_not():
    trashed = login().trashed(at=9)
    assert trashed.deleted
    assert trashed.restored(at=10) == replace(login(), changed_at=10)
    purged = trashed.purged(at=11)
    assert purged.deleted
    assert not purged.fields
    assert purged.created_at == 5


def test_the_oldest_history_goes_first():
    past = tuple(PastValue(field="a", value=str(number), changed_at=number) for number in range(100))
    assert bounded_history(past) == past[-MAX_HISTORY:]


def test_a_history_of_long_values_is_shorter():
    past = tuple(PastValue(field="a", value=str(number) * 40_000, changed_at=number) for number in range(5))
    assert bounded_history(past) == past[-2:]


def test_hidden_fields_are_fields_of_some_type():
    assert {name for names in FIELD_NAMES.values() for name in names} >= HIDDEN_FIELDS
    assert set(FIELD_NAMES) == set(ItemType)
