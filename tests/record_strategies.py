"""Hypothesis strategies for items, shared by the tests of records and of sync."""

from __future__ import annotations

from hypothesis import strategies as st

from strongroom.records.item import CustomField, Item, ItemType, PastValue, Uri, UriMatch

texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)
times = st.integers(0, 1 << 40)

items = st.builds(
    Item,
    item_type=st.sampled_from(ItemType),
    fields=st.dictionaries(names, texts, max_size=6),
    uris=st.lists(st.builds(Uri, value=texts, match=st.sampled_from(UriMatch)), max_size=4).map(tuple),
    custom=st.lists(st.builds(CustomField, name=texts, value=texts, hidden=st.booleans()), max_size=4).map(tuple),
    folder=texts,
    tags=st.lists(texts, max_size=4).map(tuple),
    favourite=st.booleans(),
    history=st.lists(st.builds(PastValue, field=texts, value=texts, changed_at=times), max_size=4).map(tuple),
    created_at=times,
    changed_at=times,
    deleted=st.booleans(),
)

few = st.sampled_from("xyz")
alike = st.builds(
    Item,
    item_type=st.sampled_from([ItemType.LOGIN, ItemType.NOTE]),
    fields=st.dictionaries(st.sampled_from(["title", "password"]), few),
    uris=st.lists(st.builds(Uri, value=few, match=st.sampled_from([UriMatch.HOST, UriMatch.EXACT])), max_size=3).map(
        tuple
    ),
    custom=st.lists(st.builds(CustomField, name=few, value=few), max_size=3).map(tuple),
    folder=st.sampled_from(["", "f", "g"]),
    tags=st.lists(few, max_size=3).map(tuple),
    favourite=st.booleans(),
    history=st.lists(st.builds(PastValue, field=few, value=few, changed_at=st.integers(0, 3)), max_size=2).map(tuple),
    created_at=st.integers(0, 2),
    changed_at=st.integers(0, 2),
    deleted=st.booleans(),
)
"""Items that often have something in common, for merging."""
