from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record_strategies import alike
from strongroom.records.item import CustomField, Item, ItemType, PastValue, Uri, UriMatch
from strongroom.sync.merge import merge

BASE = Item(
    item_type=ItemType.LOGIN,
    fields={"title": "mail", "username": "me", "password": "old"},
    uris=(Uri(value="https://a"), Uri(value="https://b")),
    custom=(CustomField(name="pin", value="1"),),
    tags=("home", "work"),
    created_at=1,
    changed_at=1,
)


@given(st.none() | alike, alike, alike)
def test_it_does_not_matter_which_side_is_mine(base, left, right):
    assert merge(base, left, right) == merge(base, right, left)


@given(st.none() | alike, alike)
def test_one_side_alone_is_taken_as_it_is(base, item):
    assert merge(base, item, item).item == item
    if base is not None:
        assert merge(base, base, item).item == merge(base, item, base).item == item


@given(st.none() | alike, alike, alike)
def test_no_value_that_a_side_wrote_is_lost(base, left, right):
    if base is not None and any(
        side.deleted and not (side.fields or side.uris or side.custom) for side in (left, right)
    ):
        return  # somebody removed the contents for good
    merged = merge(base, left, right).item
    start = set() if base is None else {(name, value) for name, value in base.fields.items()}
    kept = set(merged.fields.items()) | {(past.field, past.value) for past in merged.history}
    for side in (left, right):
        written = set(side.fields.items()) - start
        if side.deleted != merged.deleted and not (side.fields or side.custom or side.uris):
            continue
        assert written <= kept


def edit(at: int, **changes) -> Item:
    return BASE.edited(at=at, **changes)


def test_changes_of_different_fields_are_both_taken():
    merged = merge(BASE, edit(2, fields={"password": "new"}), edit(3, fields={"title": "Mail", "notes": "n"}))
    assert dict(merged.item.fields) == {"title": "Mail", "username": "me", "password": "new", "notes": "n"}
    assert merged.conflicts == 0
    assert merged.item.changed_at == 3


def test_the_later_change_wins_and_the_other_value_goes_into_the_history():
    merged = merge(BASE, edit(3, fields={"password": "later"}), edit(2, fields={"password": "earlier"}))
    assert merged.item.get("password") == "later"
    assert merged.conflicts == 1
    assert PastValue(field="password", value="earlier", changed_at=3) in merged.item.history
    # what both replaced is there once
    assert [past.value for past in merged.item.history].count("old") == 1


def test_a_removed_value_wins_when_it_is_later():
    merged = merge(BASE, edit(3, fields={"password": ""}), edit(2, fields={"password": "earlier"}))
    assert merged.item.get("password") == ""
    assert "earlier" in {past.value for past in merged.item.history}


def test_a_tie_is_broken_alike_on_both_sides():
    left, right = edit(2, fields={"password": "one"}), edit(2, fields={"password": "two"})
    assert merge(BASE, left, right).item == merge(BASE, right, left).item
    assert merge(BASE, left, right).conflicts == 1


def test_tags_merge_as_sets():
    merged = merge(BASE, edit(2, tags=("home", "new")), edit(3, tags=("home", "other", "work")))
    assert merged.item.tags == ("home", "new", "other")


def test_uris_merge_one_by_one():
    a, b = BASE.uris
    left = edit(2, uris=(a, b, Uri(value="https://c")))
    right = edit(3, uris=(Uri(value="https://a", match=UriMatch.HOST), Uri(value="https://d")))
    merged = merge(BASE, left, right)
    assert [(uri.value, uri.match) for uri in merged.item.uris] == [
        ("https://a", UriMatch.HOST),
        ("https://d", UriMatch.DOMAIN),
        ("https://c", UriMatch.DOMAIN),
    ]


def test_a_changed_uri_wins_against_its_removal():
    left = edit(2, uris=(Uri(value="https://a", match=UriMatch.NEVER), BASE.uris[1]))
    for at in (1, 3):
        merged = merge(BASE, left, edit(at, uris=BASE.uris[1:]))
        assert {(uri.value, uri.match) for uri in merged.item.uris} == {
            ("https://a", UriMatch.NEVER),
            ("https://b", UriMatch.DOMAIN),
        }


def test_of_two_ways_to_match_the_later_wins():
    left = edit(2, uris=(Uri(value="https://a", match=UriMatch.NEVER),))
    right = edit(3, uris=(Uri(value="https://a", match=UriMatch.HOST),))
    assert merge(BASE, left, right).item.uris == right.uris
    assert merge(BASE, left, right).conflicts == 0


def test_custom_fields_merge_by_name_and_keep_what_loses():
    left = edit(2, custom=(CustomField(name="pin", value="2"), CustomField(name="a", value="x")))
    right = edit(3, custom=(CustomField(name="pin", value="3", hidden=True),))
    merged = merge(BASE, left, right)
    assert [(field.name, field.value) for field in merged.item.custom] == [("pin", "3"), ("a", "x")]
    assert PastValue(field="custom:pin", value="2", changed_at=3) in merged.item.history


def test_two_custom_fields_of_one_name_stay_two():
    both = (CustomField(name="pin", value="1"), CustomField(name="pin", value="2"))
    merged = merge(BASE, edit(2, custom=both), edit(3, fields={"title": "x"}))
    assert merged.item.custom == both


def test_the_folder_the_type_and_the_star():
    left = replace(edit(2, folder="a", favourite=True), item_type=ItemType.NOTE)
    merged = merge(BASE, left, edit(3, folder="b"))
    assert merged.item.folder == "b"
    assert merged.item.favourite
    assert merged.item.item_type is ItemType.NOTE
    assert PastValue(field="folder", value="a", changed_at=3) in merged.item.history


def test_an_edit_wins_against_a_concurrent_delete():
    edited = edit(2, fields={"password": "new"})
    for at in (1, 3):
        merged = merge(BASE, edited, BASE.trashed(at=at)).item
        assert not merged.deleted
        assert merged.get("password") == "new"


def test_an_edit_wins_against_a_concurrent_purge_as_a_whole():
    edited = edit(2, fields={"password": "new"})
    assert merge(BASE, edited, BASE.purged(at=9)).item == edited


def test_a_delete_wins_against_no_edit():
    touched = replace(BASE, changed_at=7)
    merged = merge(BASE, touched, BASE.trashed(at=3)).item
    assert merged.deleted
    assert not merge(BASE, touched, BASE.purged(at=3)).item.fields


def test_a_restored_item_wins_against_a_purge():
    trashed = BASE.trashed(at=2)
    restored = trashed.restored(at=3)
    assert merge(trashed, restored, trashed.purged(at=4)).item == restored


def test_two_deletes_are_one():
    assert merge(BASE, BASE.trashed(at=2), BASE.trashed(at=3)).item == BASE.trashed(at=3)


def test_two_items_of_one_record_without_a_base():
    left = replace(BASE, fields={"title": "a"}, created_at=0, item_type=ItemType.NOTE)
    right = replace(BASE, fields={"title": "b"}, changed_at=2)
    merged = merge(None, left, right)
    assert merged.item.title == "b"
    assert merged.item.item_type is ItemType.LOGIN
    assert merged.item.created_at == 0
    assert "a" in {past.value for past in merged.item.history}


@pytest.mark.parametrize("deleted", [False, True])
def test_two_items_that_do_not_fit_into_one_give_the_later(deleted):
    def large(name: str) -> dict[str, str]:
        return {f"{name}{number}": "x" * 90_000 for number in range(5)}

    left = edit(2, fields=large("a"))
    right = edit(3, fields=large("b"))
    if deleted:
        right = right.trashed(at=4)
    merged = merge(BASE, left, right).item
    assert merged == replace(right, deleted=False)
