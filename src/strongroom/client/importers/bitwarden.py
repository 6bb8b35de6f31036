"""Bitwarden's unencrypted JSON export, of a person's vault or of an organisation's.

Identifiers of the other database (``id``, ``organizationId``, resolved ``folderId`` and ``collectionIds``) name rows
there and are let go. Everything else that says something has a place or becomes a custom field, and is reported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import MalformedRecord
from strongroom.client.importers.result import Collector, ImportResult, decode_text, parse_time
from strongroom.records.item import CustomField, Item, ItemType, PastValue, Uri, UriMatch, bounded_history

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read", "recognises"]

_PATH: Final = "bitwarden export"
_MAX_NAME: Final = 200

# Numbers as the clients define them: cipher-type.ts, field-type.enum.ts and linked-id-type.enum.ts in
# libs/common/src/vault/enums of github.com/bitwarden/clients, and UriMatchStrategy there.
_SECTIONS: Final[dict[int, tuple[ItemType, str]]] = {
    1: (ItemType.LOGIN, "login"),
    2: (ItemType.NOTE, "secureNote"),
    3: (ItemType.CARD, "card"),
    4: (ItemType.IDENTITY, "identity"),
    5: (ItemType.SSH_KEY, "sshKey"),
}
_MATCHES: Final[dict[object, UriMatch]] = {
    None: UriMatch.DOMAIN,
    0: UriMatch.DOMAIN,
    1: UriMatch.HOST,
    2: UriMatch.STARTS_WITH,
    3: UriMatch.EXACT,
    4: UriMatch.PATTERN,
    5: UriMatch.NEVER,
}
_TEXT, _HIDDEN, _BOOLEAN, _LINKED = range(4)
_FIELDS: Final[dict[ItemType, dict[str, str]]] = {
    ItemType.LOGIN: {"username": "username", "password": "password", "totp": "totp"},
    ItemType.NOTE: {},
    ItemType.CARD: {
        "cardholderName": "cardholder",
        "brand": "brand",
        "number": "number",
        "expMonth": "expiry_month",
        "expYear": "expiry_year",
        "code": "security_code",
    },
    ItemType.IDENTITY: {
        "title": "honorific",
        "firstName": "first_name",
        "middleName": "middle_name",
        "lastName": "last_name",
        "username": "username",
        "company": "company",
        "email": "email",
        "phone": "phone",
        "address1": "address1",
        "address2": "address2",
        "address3": "address3",
        "city": "city",
        "state": "state",
        "postalCode": "postal_code",
        "country": "country",
        "ssn": "national_id",
        "passportNumber": "passport_number",
        "licenseNumber": "licence_number",
    },
    ItemType.SSH_KEY: {
        "privateKey": "private_key",
        "publicKey": "public_key",
        "keyFingerprint": "fingerprint",
    },
}
_LINKED_FIELDS: Final[dict[object, str]] = {
    100: "username", 101: "password",
    300: "cardholder", 301: "expiry_month", 302: "expiry_year", 303: "security_code", 304: "brand", 305: "number",
    400: "honorific", 401: "middle_name", 402: "address1", 403: "address2", 404: "address3", 405: "city",
    406: "state", 407: "postal_code", 408: "country", 409: "company", 410: "email", 411: "phone",
    412: "national_id", 413: "username", 414: "passport_number", 415: "licence_number", 416: "first_name",
    417: "last_name", 418: "full_name",
}  # fmt: skip
_IDENTIFIERS: Final = frozenset({"id", "organizationId"})


def recognises(data: bytes) -> bool:
    """Tell whether a file begins as a JSON object does."""
    return data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def read(data: bytes, *, at: int) -> ImportResult:
    """Read an export; ``at`` (unix milliseconds) is the time of items that tell none.

    Raises ``MalformedRecord`` when it is not such an export, or an encrypted one.
    """
    export = _decode(data)
    if export.get("encrypted") is not False:
        if export.get("encrypted") is True:
            raise MalformedRecord(
                "the export is encrypted", path=_PATH, hint="export again as .json, not as .json (Encrypted)"
            )
        raise MalformedRecord("it does not say that it is not encrypted", path=_PATH)
    items = export.get("items")
    if not isinstance(items, list):
        raise MalformedRecord("field 'items' is not a list", path=_PATH)
    places = _Places(folders=_names(export, "folders"), collections=_names(export, "collections"))
    found = Collector()
    for name, value in export.items():
        if name not in {"encrypted", "items", "folders", "collections"} and not _says_nothing(value):
            found.skip(f"field {name[:_MAX_NAME]!r}", "the export as a whole has an unknown field")
    for number, entry in enumerate(items, 1):
        where = f"item {number}"
        try:
            reader = _ItemReader(entry, places, at)
            found.add(reader.item(), reader.kept)
            if reader.dropped_history:
                found.skip(f"{where}, password history", f"the {reader.dropped_history} oldest of its values")
        except MalformedRecord as refused:
            found.skip(where, refused.message)
    return found.result()


def _decode(data: bytes) -> dict[str, Any]:
    text = decode_text(data, path=_PATH)
    rule = "not a JSON object"
    try:
        export = json.loads(text)
        if isinstance(export, dict):
            return export
    except json.JSONDecodeError as cause:
        rule = f"line {cause.lineno}, column {cause.colno}: not JSON"
    except ValueError:
        rule = "a number with too many digits"
    except RecursionError:
        rule = "nested too deep"
    # raised outside the handler, since the library's exception holds the whole file
    raise MalformedRecord(rule, path=_PATH)


def _names(export: Mapping[str, Any], name: str) -> dict[str, str]:
    entries = export.get(name) or []
    if not isinstance(entries, list):
        raise MalformedRecord(f"field {name!r} is not a list", path=_PATH)
    return {
        entry["id"]: entry["name"]
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and isinstance(entry.get("name"), str)
    }


def _says_nothing(value: object) -> bool:
    return value is None or value in ("", [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    folders: Mapping[str, str]
    collections: Mapping[str, str]


@dataclass(slots=True)
class _ItemReader:
    """Takes one item's JSON apart; what nobody took is kept as custom fields."""

    entry: object
    places: _Places
    at: int
    kept: set[str] = field(default_factory=set)
    custom: list[CustomField] = field(default_factory=list)
    dropped_history: int = 0

    def item(self) -> Item:
        if not isinstance(self.entry, dict):
            raise MalformedRecord("not an object")
        left = {name: value for name, value in self.entry.items() if name not in _IDENTIFIERS}
        kind = left.pop("type", None)
        item_type, section_name = _SECTIONS.get(kind if isinstance(kind, int) else 0, (ItemType.NOTE, ""))
        if not section_name:  # a type that came later: a note that holds whatever there is
            self.keep("type", kind)
        section = self.section(left, section_name)
        fields = {"title": _text(left.pop("name", None), "name"), "notes": _text(left.pop("notes", None), "notes")}
        uris = self.uris(section.pop("uris", None)) if item_type is ItemType.LOGIN else ()
        for theirs, ours in _FIELDS[item_type].items():
            fields[ours] = _text(section.pop(theirs, None), f"{section_name}.{theirs}")
        self.own_fields(left.pop("fields", None))
        folder = self.folder(left)
        tags = self.tags(left)
        history = self.history(left.pop("passwordHistory", None))
        changed_at = self.time(left, "revisionDate")
        created_at = self.time(left, "creationDate")
        deleted = self.time(left, "deletedDate") is not None
        if left.get("reprompt") == 0:
            del left["reprompt"]
        favourite = left.pop("favorite", None)
        if not isinstance(favourite, bool):
            self.keep("favorite", favourite)
        for name, value in section.items():
            self.keep(f"{section_name}.{name}", value)
        for name, value in left.items():
            self.keep(name, value)
        newest = next((moment for moment in (changed_at, created_at) if moment is not None), self.at)
        return Item(
            item_type=item_type,
            fields=fields,
            uris=uris,
            custom=tuple(self.custom),
            folder=folder,
            tags=tags,
            favourite=favourite is True,
            history=history,
            created_at=newest if created_at is None else created_at,
            changed_at=newest,
            deleted=deleted,
        )

    def keep(self, name: str, value: object) -> None:
        """Keep a value without a place as a custom field, hidden, since it may be anything (a passkey's key)."""
        if _says_nothing(value):
            return
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        short = name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "…"
        self.kept.add(short)
        self.custom.append(CustomField(name=short, value=text, hidden=True))

    def section(self, left: dict[str, Any], name: str) -> dict[str, Any]:
        section = left.pop(name, None)
        if section is None:
            return {}
        if not isinstance(section, dict):
            raise MalformedRecord(f"{name} is not an object")
        taken = dict(section)
        if name == "secureNote" and taken.get("type") == 0:  # the only type of note there is
            del taken["type"]
        return taken

    def uris(self, value: object) -> tuple[Uri, ...]:
        uris = []
        for entry in _objects(value, "login.uris"):
            match = entry.pop("match", None)
            uris.append(
                Uri(value=_text(entry.pop("uri", None), "login.uris.uri"), match=_matching(match) or UriMatch.DOMAIN)
            )
            if _matching(match) is None:
                self.keep("login.uris.match", match)
            entry.pop("uriChecksum", None)  # a hash of the address itself
            for name, rest in entry.items():
                self.keep(f"login.uris.{name}", rest)
        return tuple(uri for uri in uris if uri.value)

    def own_fields(self, value: object) -> None:
        for entry in _objects(value, "fields"):
            name = _text(entry.pop("name", None), "fields.name")
            text = _text(entry.pop("value", None), "fields.value")
            kind = entry.pop("type", _TEXT)
            linked = entry.pop("linkedId", None)
            if kind == _LINKED:
                text = f"linked:{_LINKED_FIELDS.get(linked if isinstance(linked, int) else None, linked)}"
            self.custom.append(CustomField(name=name, value=text, hidden=kind not in (_TEXT, _BOOLEAN, _LINKED)))
            if kind not in (_TEXT, _HIDDEN, _BOOLEAN, _LINKED):
                self.keep("fields.type", kind)
            for rest, content in entry.items():
                self.keep(f"fields.{rest}", content)

    def folder(self, left: dict[str, Any]) -> str:
        identifier = left.get("folderId")
        if isinstance(identifier, str) and identifier in self.places.folders:
            del left["folderId"]
            return self.places.folders[identifier]
        return ""

    def tags(self, left: dict[str, Any]) -> tuple[str, ...]:
        identifiers = left.get("collectionIds")
        if not isinstance(identifiers, list):
            return ()
        names = [self.places.collections.get(each) if isinstance(each, str) else None for each in identifiers]
        left["collectionIds"] = [each for each, name in zip(identifiers, names, strict=True) if name is None]
        return tuple(name for name in names if name)

    def history(self, value: object) -> tuple[PastValue, ...]:
        past = []
        for entry in _objects(value, "passwordHistory"):
            when = entry.pop("lastUsedDate", None)
            moment = parse_time(when) if isinstance(when, str) else None
            if moment is None:
                self.keep("passwordHistory.lastUsedDate", when)
            password = _text(entry.pop("password", None), "passwordHistory.password")
            past.append(PastValue(field="password", value=password, changed_at=0 if moment is None else moment))
            for name, rest in entry.items():
                self.keep(f"passwordHistory.{name}", rest)
        kept = bounded_history(tuple(past))
        self.dropped_history = len(set(past)) - len(kept)
        return kept

    def time(self, left: dict[str, Any], name: str) -> int | None:
        value = left.get(name)
        moment = parse_time(value) if isinstance(value, str) else None
        if moment is not None:
            del left[name]
        return moment


def _matching(value: object) -> UriMatch | None:
    return _MATCHES.get(value) if value is None or type(value) is int else None


def _objects(value: object, name: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise MalformedRecord(f"{name} is not a list of objects")
    return [dict(entry) for entry in value]


def _text(value: object, name: str) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():  # a year or a month that some tool wrote as a number
            return str(value)
        case _:
            raise MalformedRecord(f"{name} is not a text")
