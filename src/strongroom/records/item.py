"""One record in clear: a login, a note, a card, an identity, an SSH key, a passkey (docs/spec/sealed-record.md 2).

An item that exists can be written: every limit is checked when it is made, by whoever makes it. Nothing here shows
a value: not a representation, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedRecord
from strongroom.base.fields import Fields

__all__ = [
    "FIELD_NAMES",
    "HIDDEN_FIELDS",
    "MAX_HISTORY",
    "MAX_ITEM_BYTES",
    "MAX_TEXT",
    "CustomField",
    "Item",
    "ItemType",
    "PastValue",
    "Uri",
    "UriMatch",
    "bounded_history",
]

MAX_ITEM_BYTES: Final = 512 * 1024  # an encoded item; one longest note with a full history fits
MAX_TEXT: Final = 100_000  # characters of one value; the longest notes of known exporters have 10,000
MAX_NAME: Final = 256  # characters of a field's, folder's or tag's name
MAX_URI: Final = 8_192  # characters; browsers stop earlier
MAX_ENTRIES: Final = 256  # fields, URIs, custom fields and tags, each
MAX_HISTORY: Final = 64  # past values; the oldest go first
_MAX_HISTORY_TEXT: Final = 100_000  # characters of all past values together
_MAX_TIME: Final = (1 << 53) - 1  # unix milliseconds that every language holds exactly
_PATH: Final = "item"
_FORMAT: Final = "strongroom item"
_VERSION: Final = 1


class ItemType(StrEnum):
    """What an item is."""

    LOGIN = "login"
    NOTE = "note"
    CARD = "card"
    IDENTITY = "identity"
    SSH_KEY = "ssh-key"
    PASSKEY = "passkey"


FIELD_NAMES: Final[Mapping[ItemType, tuple[str, ...]]] = MappingProxyType(
    {
        ItemType.LOGIN: ("title", "username", "password", "totp", "notes"),
        ItemType.NOTE: ("title", "notes"),
        ItemType.CARD: (
            "title",
            "cardholder",
            "brand",
            "number",
            "expiry_month",
            "expiry_year",
            "security_code",
            "notes",
        ),
        ItemType.IDENTITY: (
            "title",
            "honorific",
            "first_name",
            "middle_name",
            "last_name",
            "username",
            "company",
            "email",
            "phone",
            "address1",
            "address2",
            "address3",
            "city",
            "state",
            "postal_code",
            "country",
            "national_id",
            "passport_number",
            "licence_number",
            "notes",
        ),
        ItemType.SSH_KEY: ("title", "private_key", "public_key", "fingerprint", "notes"),
        # as the FIDO Credential Exchange Format has them (passkey credential), with binary values in base64url
        ItemType.PASSKEY: (
            "title",
            "relying_party",
            "username",
            "display_name",
            "user_handle",
            "credential_id",
            "private_key",
            "notes",
        ),
    }
)
"""The fields of each type, in the order in which people expect them.

An item may hold others: a field that a newer device wrote survives an older one's edit.
"""

HIDDEN_FIELDS: Final = frozenset(
    {"password", "totp", "number", "security_code", "national_id", "passport_number", "licence_number", "private_key"}
)
"""Fields that are shown only when somebody asks for them."""


class UriMatch(StrEnum):
    """When a login is offered for a page: same registrable domain, same host, and so on."""

    DOMAIN = "domain"
    HOST = "host"
    STARTS_WITH = "starts-with"
    EXACT = "exact"
    PATTERN = "pattern"
    NEVER = "never"


_URI_MATCHES: Final = {match.value: match for match in UriMatch}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Uri:
    """An address that an item belongs to. It has no representation: it is part of the contents."""

    value: str
    match: UriMatch = UriMatch.DOMAIN

    def __post_init__(self) -> None:
        _check_text(self.value, "a URI", MAX_URI)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CustomField:
    """A field that its owner named. Two of one name may exist."""

    name: str
    value: str
    hidden: bool = False

    def __post_init__(self) -> None:
        _check_text(self.name, "a custom field's name", MAX_NAME)
        _check_text(self.value, "a custom field's value", MAX_TEXT)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PastValue:
    """A value that was replaced, at ``changed_at`` in unix milliseconds."""

    field: str
    value: str
    changed_at: int

    def __post_init__(self) -> None:
        _check_text(self.field, "a past value's field", MAX_NAME + len("custom:"))
        _check_text(self.value, "a past value", MAX_TEXT)
        _check_time(self.changed_at, "a past value's time")

    @property
    def order(self) -> tuple[int, str, str]:
        """How past values are ordered: by time, then by field and value so that every device agrees."""
        return (self.changed_at, self.field, self.value)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Item:
    """One record in clear.

    Times are unix milliseconds. Fields of empty text do not exist: they are dropped when the item is made. Tags are
    kept sorted and each once, the history by time. ``deleted`` marks an item in the trash; its contents stay until
    ``purged``. ``MalformedRecord`` when a limit is broken.
    """

    item_type: ItemType
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    uris: tuple[Uri, ...] = ()
    custom: tuple[CustomField, ...] = ()
    folder: str = ""
    tags: tuple[str, ...] = ()
    favourite: bool = False
    history: tuple[PastValue, ...] = ()
    created_at: int
    changed_at: int
    deleted: bool = False

    def __post_init__(self) -> None:
        kept = MappingProxyType({name: value for name, value in self.fields.items() if value})
        object.__setattr__(self, "fields", kept)
        object.__setattr__(self, "tags", tuple(sorted(set(self.tags))))
        object.__setattr__(self, "history", tuple(sorted(self.history, key=lambda past: past.order)))
        for name, value in kept.items():
            if not name:
                raise MalformedRecord("a field has no name", path=_PATH)
            _check_text(name, "a field's name", MAX_NAME)
            _check_text(value, "a field's value", MAX_TEXT)
        _check_text(self.folder, "the folder", MAX_NAME)
        for tag in self.tags:
            _check_text(tag, "a tag", MAX_NAME)
        for name, entries in (
            ("fields", kept),
            ("URIs", self.uris),
            ("custom fields", self.custom),
            ("tags", self.tags),
        ):
            if len(entries) > MAX_ENTRIES:
                raise MalformedRecord(f"{len(entries)} {name}, at most {MAX_ENTRIES}", path=_PATH)
        if len(self.history) > MAX_HISTORY:
            raise MalformedRecord(f"{len(self.history)} past values, at most {MAX_HISTORY}", path=_PATH)
        _check_time(self.created_at, "created_at")
        _check_time(self.changed_at, "changed_at")
        if self._text_length() * 4 > MAX_ITEM_BYTES and len(self.to_bytes()) > MAX_ITEM_BYTES:
            raise MalformedRecord(f"the item is larger than {MAX_ITEM_BYTES} bytes", path=_PATH)

    def __repr__(self) -> str:
        return f"<Item {self.item_type.value}, {len(self.fields)} fields>"

    @property
    def title(self) -> str:
        """The item's name for people, possibly empty."""
        return self.fields.get("title", "")

    def get(self, name: str) -> str:
        """Give a field's value, or the empty text."""
        return self.fields.get(name, "")

    def edited(
        self,
        *,
        at: int,
        fields: Mapping[str, str] | None = None,
        uris: tuple[Uri, ...] | None = None,
        custom: tuple[CustomField, ...] | None = None,
        folder: str | None = None,
        tags: tuple[str, ...] | None = None,
        favourite: bool | None = None,
    ) -> Item:
        """Give the item as somebody changed it at ``at`` (unix milliseconds); what is ``None`` stays.

        ``fields`` names only those that change; an empty text removes one. Replaced values of fields go into the
        history. The new ``changed_at`` is later than the old one even where the clock went backwards, so that an
        edit never loses against the version that it started from.
        """
        when = max(at, self.changed_at + 1)
        changes = fields or {}
        replaced = tuple(
            PastValue(field=name, value=self.fields[name], changed_at=when)
            for name, value in changes.items()
            if name in self.fields and self.fields[name] != value
        )
        return replace(
            self,
            fields={**self.fields, **changes},
            uris=self.uris if uris is None else uris,
            custom=self.custom if custom is None else custom,
            folder=self.folder if folder is None else folder,
            tags=self.tags if tags is None else tags,
            favourite=self.favourite if favourite is None else favourite,
            history=bounded_history((*self.history, *replaced)),
            changed_at=when,
        )

    def trashed(self, *, at: int) -> Item:
        """Give the item as it lies in the trash since ``at``."""
        return replace(self, deleted=True, changed_at=max(at, self.changed_at + 1))

    def restored(self, *, at: int) -> Item:
        """Give the item as it was taken out of the trash at ``at``."""
        return replace(self, deleted=False, changed_at=max(at, self.changed_at + 1))

    def purged(self, *, at: int) -> Item:
        """Give what is left of the item when its contents are gone for good: a tombstone."""
        return Item(
            item_type=self.item_type,
            created_at=self.created_at,
            changed_at=max(at, self.changed_at + 1),
            deleted=True,
        )

    def to_bytes(self) -> bytes:
        """Encode as canonical CBOR, the plaintext of a sealed record."""
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "type": str(self.item_type),
                "fields": dict(self.fields),
                "uris": [[uri.value, str(uri.match)] for uri in self.uris],
                "custom": [[entry.name, entry.value, entry.hidden] for entry in self.custom],
                "folder": self.folder,
                "tags": list(self.tags),
                "favourite": self.favourite,
                "history": [[past.field, past.value, past.changed_at] for past in self.history],
                "created_at": self.created_at,
                "changed_at": self.changed_at,
                "deleted": self.deleted,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Item:
        """Decode, or raise ``MalformedRecord``. Only what ``to_bytes`` writes is read."""
        decoded = canonical.decode(data, path=_PATH, error=MalformedRecord, max_bytes=MAX_ITEM_BYTES)
        if not isinstance(decoded, dict):
            raise MalformedRecord("not a map", path=_PATH)
        lists = {name: decoded.pop(name, None) for name in ("fields", "uris", "custom", "history")}
        flags = {name: decoded.pop(name, None) for name in ("favourite", "deleted")}
        rest = Fields(decoded, path=_PATH, error=MalformedRecord)
        rest.exactly("format", _FORMAT)
        rest.exactly("version", _VERSION)
        fields = _read_fields(lists["fields"])
        tags = rest.texts("tags", at_most=MAX_ENTRIES)
        history = tuple(_read_past(entry) for entry in _rows(lists["history"], "history", MAX_HISTORY))
        item = cls(
            item_type=_item_type(rest.text("type", at_most=32)),
            fields=fields,
            uris=tuple(_read_uri(entry) for entry in _rows(lists["uris"], "uris", MAX_ENTRIES)),
            custom=tuple(_read_custom(entry) for entry in _rows(lists["custom"], "custom", MAX_ENTRIES)),
            folder=rest.text("folder", at_most=MAX_NAME),
            tags=tags,
            favourite=_flag(flags["favourite"], "favourite"),
            history=history,
            created_at=rest.number("created_at", at_most=_MAX_TIME),
            changed_at=rest.number("changed_at", at_most=_MAX_TIME),
            deleted=_flag(flags["deleted"], "deleted"),
        )
        rest.done()
        # what making an item puts in order was in order, so that one item has one encoding
        if (item.fields, item.tags, item.history) != (fields, tags, history):
            raise MalformedRecord("tags or history out of order, or an empty field", path=_PATH)
        return item

    def _text_length(self) -> int:
        return (
            sum(len(name) + len(value) for name, value in self.fields.items())
            + sum(len(uri.value) for uri in self.uris)
            + sum(len(entry.name) + len(entry.value) for entry in self.custom)
            + sum(len(past.field) + len(past.value) for past in self.history)
            + sum(map(len, self.tags))
            + 16 * MAX_ENTRIES
        )


def bounded_history(history: tuple[PastValue, ...]) -> tuple[PastValue, ...]:
    """Keep each past value once and the newest of them: at most 64, of at most 100,000 characters together."""
    newest_first = sorted(set(history), key=lambda past: past.order, reverse=True)[:MAX_HISTORY]
    kept: list[PastValue] = []
    room = _MAX_HISTORY_TEXT
    for past in newest_first:
        room -= len(past.value)
        if room < 0:
            break
        kept.append(past)
    return tuple(reversed(kept))


def _check_text(text: str, what: str, at_most: int) -> None:
    if len(text) > at_most:
        raise MalformedRecord(f"{what} has {len(text)} characters, at most {at_most}", path=_PATH)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedRecord(f"{what} is not a text that UTF-8 can hold", path=_PATH) from None


def _check_time(value: int, what: str) -> None:
    if not 0 <= value <= _MAX_TIME:
        raise MalformedRecord(f"{what} is not a time in unix milliseconds", path=_PATH)


def _item_type(name: str) -> ItemType:
    try:
        return ItemType(name)
    except ValueError:
        raise MalformedRecord("the item has an unknown type", path=_PATH) from None


def _flag(value: canonical.Value, name: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedRecord(f"field {name!r} is not true or false", path=_PATH)
    return value


def _read_fields(value: canonical.Value) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        raise MalformedRecord(f"field 'fields' is not a map of at most {MAX_ENTRIES}", path=_PATH)
    texts = {name: text for name, text in value.items() if isinstance(name, str) and isinstance(text, str)}
    if len(texts) != len(value):
        raise MalformedRecord("field 'fields' holds something else than texts", path=_PATH)
    return texts


def _rows(value: canonical.Value, name: str, at_most: int) -> list[list[canonical.Value]]:
    if not isinstance(value, list) or len(value) > at_most:
        raise MalformedRecord(f"field {name!r} is not a list of at most {at_most}", path=_PATH)
    rows = [row for row in value if isinstance(row, list)]
    if len(rows) != len(value):
        raise MalformedRecord(f"field {name!r} holds something else than rows", path=_PATH)
    return rows


def _read_uri(row: list[canonical.Value]) -> Uri:
    match row:
        case [str(value), str(name)] if (match := _URI_MATCHES.get(name)) is not None:
            return Uri(value=value, match=match)
        case _:
            raise MalformedRecord("a URI is not an address and a known way to match it", path=_PATH)


def _read_custom(row: list[canonical.Value]) -> CustomField:
    match row:
        case [str(name), str(value), bool(hidden)]:
            return CustomField(name=name, value=value, hidden=hidden)
        case _:
            raise MalformedRecord("a custom field is not a name, a value and a flag", path=_PATH)


def _read_past(row: list[canonical.Value]) -> PastValue:
    match row:
        case [str(name), str(value), int(changed_at)] if not isinstance(changed_at, bool):
            return PastValue(field=name, value=value, changed_at=changed_at)
        case _:
            raise MalformedRecord("a past value is not a field, a value and a time", path=_PATH)
