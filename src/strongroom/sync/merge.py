"""Merging two edits of one record, field by field, against what both started from (docs/spec/sync.md section 3).

Deterministic and symmetric: which of the two is "mine" plays no part, so any two devices that merge the same three
items get the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from strongroom.base.errors import MalformedRecord
from strongroom.records.item import PastValue, bounded_history

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from strongroom.records.item import CustomField, Item, Uri

__all__ = ["Merged", "merge"]

_T = TypeVar("_T")
_K = TypeVar("_K", bound="Hashable")
_H = TypeVar("_H", bound="Hashable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The merged item, and how many values lost against a later one and went into its history."""

    item: Item
    conflicts: int


def merge(base: Item | None, left: Item, right: Item) -> Merged:
    """Merge two items that come from ``base`` (``None`` when both were made without knowing of each other).

    Rules: a change on one side only is taken; of two changes the later item's wins and the other value goes into
    the history; URIs, custom fields and tags merge one by one; an edit wins against a concurrent delete.
    """
    if right in (left, base):
        return Merged(item=left, conflicts=0)
    if left == base:
        return Merged(item=right, conflicts=0)
    # ties of time are broken by content, so that both devices break them alike
    earlier, later = sorted((left, right), key=lambda item: (item.changed_at, item.to_bytes()))
    live = _edit_against_delete(base, earlier, later)
    if live is not None and _is_purged(earlier if live is later else later):
        # the other side removed the contents for good; an edit wins against that as a whole
        return Merged(item=live, conflicts=0)
    deleted = live is None and (earlier.deleted or later.deleted)
    lost = _Lost()
    try:
        return Merged(item=_merge_contents(base, earlier, later, deleted, lost), conflicts=len(lost.values))
    except MalformedRecord:
        # two items near the limits need not fit into one; the later one fits, and a sync must never be stuck
        return Merged(item=replace(later, deleted=deleted), conflicts=len(lost.values))


class _Lost:
    """The values that a later change won against, by the name that the history gives them."""

    def __init__(self) -> None:
        self.values: list[tuple[str, str]] = []

    def field(self, name: str, value: str) -> None:
        self.values.append((name, value))

    def custom(self, key: tuple[str, int], entry: CustomField) -> None:
        self.values.append((f"custom:{key[0]}", entry.value))

    def uri(self, key: tuple[str, int], entry: Uri) -> None:
        """Forget a way to match an address; the address itself is the key and is kept."""


def _merge_contents(base: Item | None, earlier: Item, later: Item, deleted: bool, lost: _Lost) -> Item:
    # an item of its own kind with nothing in it stands for "did not exist"
    nothing = replace(later, fields={}, uris=(), custom=(), folder="", tags=(), favourite=False, history=())
    start = base or nothing
    folder = _choose(start.folder, earlier.folder, later.folder)
    if earlier.folder not in ("", start.folder, folder):
        lost.field("folder", earlier.folder)
    fields = _merge_maps(start.fields, earlier.fields, later.fields, lost.field, removal_may_win=True)
    custom = _merge_maps(
        _custom_by_name(start), _custom_by_name(earlier), _custom_by_name(later), lost.custom, removal_may_win=False
    )
    uris = _merge_maps(
        _uris_by_value(start), _uris_by_value(earlier), _uris_by_value(later), lost.uri, removal_may_win=False
    )
    past = [PastValue(field=name, value=value, changed_at=later.changed_at) for name, value in lost.values]
    return replace(
        later,
        item_type=later.item_type if base is None else _choose(base.item_type, earlier.item_type, later.item_type),
        fields=fields,
        uris=tuple(uris.values()),
        custom=tuple(custom.values()),
        folder=folder,
        tags=tuple(_merge_sets(start.tags, earlier.tags, later.tags)),
        favourite=_choose(start.favourite, earlier.favourite, later.favourite),
        history=bounded_history((*_merge_history(start, earlier, later), *past)),
        created_at=min(earlier.created_at, later.created_at),
        deleted=deleted,
    )


def _edit_against_delete(base: Item | None, earlier: Item, later: Item) -> Item | None:
    """Give the side that lives on when exactly one side is deleted and the other was edited or restored."""
    if earlier.deleted == later.deleted:
        return None
    live = later if earlier.deleted else earlier
    return live if base is None or _contents(live) != _contents(base) else None


def _contents(item: Item) -> Item:
    """Give an item without what changes when nothing did."""
    return replace(item, history=(), created_at=0, changed_at=0)


def _is_purged(item: Item) -> bool:
    return item.deleted and not (item.fields or item.uris or item.custom)


def _choose(base: _T, earlier: _T, later: _T) -> _T:
    return earlier if later == base else later


def _merge_maps(
    base: Mapping[_K, _T],
    earlier: Mapping[_K, _T],
    later: Mapping[_K, _T],
    lose: Callable[[_K, _T], None],
    *,
    removal_may_win: bool,
) -> dict[_K, _T]:
    """Merge key by key, in the later side's order and then the earlier's.

    With ``removal_may_win`` a later removal wins against a change, whose value is lost to the history; without it a
    change wins against a removal.
    """
    merged: dict[_K, _T] = {}
    for key in dict.fromkeys((*later, *earlier)):
        start, first, second = base.get(key), earlier.get(key), later.get(key)
        chosen = _choose(start, first, second)
        if first not in (start, second) and second != start:
            if second is None and not removal_may_win:
                chosen = first
            elif first is None:
                chosen = second
            else:
                lose(key, first)
        if chosen is not None:
            merged[key] = chosen
    return merged


def _merge_sets(base: Iterable[_H], earlier: Iterable[_H], later: Iterable[_H]) -> set[_H]:
    start, first, second = set(base), set(earlier), set(later)
    return (start & first & second) | (first - start) | (second - start)


def _merge_history(base: Item, earlier: Item, later: Item) -> set[PastValue]:
    # both sides put the value that they replaced into their history, each at its own time: once is enough
    news = {(past.field, past.value) for past in earlier.history if past not in base.history}
    second = [past for past in later.history if past in base.history or (past.field, past.value) not in news]
    return _merge_sets(base.history, earlier.history, second)


def _custom_by_name(item: Item) -> dict[tuple[str, int], CustomField]:
    return _numbered(item.custom, lambda entry: entry.name)


def _uris_by_value(item: Item) -> dict[tuple[str, int], Uri]:
    return _numbered(item.uris, lambda uri: uri.value)


def _numbered(entries: Sequence[_T], name_of: Callable[[_T], str]) -> dict[tuple[str, int], _T]:
    """Key entries by name and, since two may have one name, by their number among those."""
    seen: dict[str, int] = {}
    keyed: dict[tuple[str, int], _T] = {}
    for entry in entries:
        name = name_of(entry)
        keyed[name, seen.get(name, 0)] = entry
        seen[name] = seen.get(name, 0) + 1
    return keyed
