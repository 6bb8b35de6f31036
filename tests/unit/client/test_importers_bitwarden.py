"""Bitwarden's JSON export: every field has a place or is kept and reported."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.base.errors import MalformedRecord
from strongroom.client.importers import bitwarden, detect
from strongroom.client.importers.result import ImportResult
from strongroom.records.item import Item, ItemType, UriMatch

AT = 1_700_000_000_000
DEMO = Path(__file__).resolve().parents[3] / "demo" / "data" / "bitwarden-export.json"


def login(**changes: Any) -> dict[str, Any]:
    return {
        "passwordHistory": None,
        "revisionDate": "2024-05-06T07:08:09.123Z",
        "creationDate": "2020-01-02T03:04:05.000Z",
        "deletedDate": None,
        "id": "0b5c",
        "organizationId": None,
        "folderId": None,
        "type": 1,
        "reprompt": 0,
        "name": "Example",
        "notes": None,
        "favorite": False,
        "login": {
            "fido2Credentials": [],
            "uris": [{"match": None, "uri": "https://example.com"}],
            "username": "user+shop@example.com",
            "password": "pass word",
            "totp": None,
        },
        "collectionIds": None,
        **changes,
    }


def export(*items: Any, **top: Any) -> bytes:
    return json.dumps({"encrypted": False, "folders": [], "items": list(items), **top}).encode()


def read(*items: Any, **top: Any) -> ImportResult:
    return bitwarden.read(export(*items, **top), at=AT)


def only(*items: Any, **top: Any) -> Item:
    result = read(*items, **top)
    assert result.skipped == ()
    (item,) = result.items
    return item


def custom(item: Item) -> list[tuple[str, str, bool]]:
    return [(field.name, field.value, field.hidden) for field in item.custom]


# Places


def test_a_login_has_its_fields_and_its_times() -> None:
    item = only(login(notes="line one\nline two ☕", favorite=True, login={**login()["login"], "totp": "JBSWY3DP"}))
    assert item.item_type is ItemType.LOGIN
    assert dict(item.fields) == {
        "title": "Example",
        "username": "user+shop@example.com",
        "password": "pass word",
        "totp": "JBSWY3DP",
        "notes": "line one\nline two ☕",
    }
    assert item.favourite
    assert not item.deleted
    assert (item.created_at, item.changed_at) == (1_577_934_245_000, 1_714_979_289_123)
    assert custom(item) == []


def test_several_uris_keep_their_order_and_their_ways_to_match() -> None:
    uris = [
        {"match": match, "uri": f"https://{number}.example"} for number, match in enumerate((None, 0, 1, 2, 3, 4, 5))
    ]
    item = only(login(login={"uris": uris}))
    assert [(uri.value, uri.match) for uri in item.uris] == [
        ("https://0.example", UriMatch.DOMAIN),
        ("https://1.example", UriMatch.DOMAIN),
        ("https://2.example", UriMatch.HOST),
        ("https://3.example", UriMatch.STARTS_WITH),
        ("https://4.example", UriMatch.EXACT),
        ("https://5.example", UriMatch.PATTERN),
        ("https://6.example", UriMatch.NEVER),
    ]


@pytest.mark.parametrize("match", [9, -1, True, 1.5, "host", [1]])
def test_an_unknown_way_to_match_is_kept_and_reported(match: object) -> None:
    result = read(login(login={"uris": [{"match": match, "uri": "https://example.com"}]}))
    (item,) = result.items
    assert [(uri.value, uri.match) for uri in item.uris] == [("https://example.com", UriMatch.DOMAIN)]
    text = match if isinstance(match, str) else json.dumps(match, separators=(",", ":"))
    assert custom(item) == [("login.uris.match", text, True)]
    assert result.kept_as_custom == {"login.uris.match": 1}


def test_own_fields_of_all_four_kinds() -> None:
    item = only(
        login(
            fields=[
                {"name": "Customer", "value": "1234", "type": 0, "linkedId": None},
                {"name": "PIN", "value": "0000", "type": 1, "linkedId": None},
                {"name": "Newsletter", "value": "true", "type": 2, "linkedId": None},
                {"name": "Login name", "value": None, "type": 3, "linkedId": 100},
                {"name": None, "value": None, "type": 0},
            ]
        )
    )
    assert custom(item) == [
        ("Customer", "1234", False),
        ("PIN", "0000", True),
        ("Newsletter", "true", False),
        ("Login name", "linked:username", False),
        ("", "", False),
    ]


def test_an_own_field_of_an_unknown_kind_is_hidden_and_the_kind_is_kept() -> None:
    result = read(
        login(fields=[{"name": "New", "value": "v", "type": 7}, {"name": "Odd", "value": "w", "type": 0, "x": 1}])
    )
    assert custom(result.items[0]) == [
        ("New", "v", True),
        ("fields.type", "7", True),
        ("Odd", "w", False),
        ("fields.x", "1", True),
    ]
    assert dict(result.kept_as_custom) == {"fields.type": 1, "fields.x": 1}


def test_password_history_is_kept_by_time() -> None:
    item = only(
        login(
            passwordHistory=[
                {"lastUsedDate": "2022-01-01T00:00:00.000Z", "password": "newer"},
                {"lastUsedDate": "2021-01-01T00:00:00.000Z", "password": "older"},
            ]
        )
    )
    assert [(past.field, past.value, past.changed_at) for past in item.history] == [
        ("password", "older", 1_609_459_200_000),
        ("password", "newer", 1_640_995_200_000),
    ]


def test_history_beyond_the_limit_is_reported() -> None:
    past = [{"lastUsedDate": f"20{year}-01-01T00:00:00Z", "password": f"p{year}"} for year in range(10, 80)]
    result = read(login(passwordHistory=past))
    assert len(result.items[0].history) == 64
    (skipped,) = result.skipped
    assert (skipped.where, skipped.reason) == ("item 1, password history", "the 6 oldest of its values")


def test_a_past_password_without_a_readable_time_is_kept_with_what_was_there() -> None:
    result = read(login(passwordHistory=[{"lastUsedDate": "yesterday", "password": "old", "why": "leak"}]))
    (item,) = result.items
    assert [(past.value, past.changed_at) for past in item.history] == [("old", 0)]
    assert custom(item) == [
        ("passwordHistory.lastUsedDate", "yesterday", True),
        ("passwordHistory.why", "leak", True),
    ]


def test_folders_by_name() -> None:
    item = only(login(folderId="f2"), folders=[{"id": "f1", "name": "Home"}, {"id": "f2", "name": "Servers/Test"}])
    assert item.folder == "Servers/Test"
    assert custom(item) == []


def test_a_folder_that_is_not_in_the_file_is_kept() -> None:
    result = read(login(folderId="f9"))
    assert result.items[0].folder == ""
    assert dict(result.kept_as_custom) == {"folderId": 1}


def test_an_organisations_collections_become_tags() -> None:
    result = read(
        login(collectionIds=["c1", "c2", "gone"]),
        collections=[{"id": "c1", "name": "Ops"}, {"id": "c2", "name": "All"}],
    )
    (item,) = result.items
    assert item.tags == ("All", "Ops")
    assert custom(item) == [("collectionIds", '["gone"]', True)]


def test_notes_cards_identities_and_ssh_keys() -> None:
    base = login()
    del base["login"]
    result = read(
        {**base, "type": 2, "notes": "text", "secureNote": {"type": 0}},
        {
            **base,
            "type": 3,
            "card": {
                "cardholderName": "A", "brand": "Visa", "number": "4000", "expMonth": "4", "expYear": "2030",
                "code": "1",
            },
        },
        {
            **base,
            "type": 4,
            "identity": {
                "title": "Mx", "firstName": "1", "middleName": "2", "lastName": "3", "address1": "4", "address2": "5",
                "address3": "6", "city": "7", "state": "8", "postalCode": "9", "country": "10", "company": "11",
                "email": "12", "phone": "13", "ssn": "14", "username": "15", "passportNumber": "16",
                "licenseNumber": "17",
            },
        },
        {**base, "type": 5, "sshKey": {"privateKey": "a", "publicKey": "b", "keyFingerprint": "c"}},
    )  # fmt: skip
    assert result.skipped == ()
    assert dict(result.kept_as_custom) == {}
    note, card, identity, key = result.items
    assert [item.item_type.value for item in result.items] == ["note", "card", "identity", "ssh-key"]
    assert dict(note.fields) == {"title": "Example", "notes": "text"}
    assert dict(card.fields) == {
        "title": "Example", "cardholder": "A", "brand": "Visa", "number": "4000", "expiry_month": "4",
        "expiry_year": "2030", "security_code": "1",
    }  # fmt: skip
    assert dict(identity.fields) == {
        "title": "Example", "honorific": "Mx", "first_name": "1", "middle_name": "2", "last_name": "3",
        "address1": "4", "address2": "5", "address3": "6", "city": "7", "state": "8", "postal_code": "9",
        "country": "10", "company": "11", "email": "12", "phone": "13", "national_id": "14", "username": "15",
        "passport_number": "16", "licence_number": "17",
    }  # fmt: skip
    assert dict(key.fields) == {"title": "Example", "private_key": "a", "public_key": "b", "fingerprint": "c"}


# What has no place


def test_unknown_fields_at_every_level_are_kept_hidden_and_counted() -> None:
    item = login(reprompt=1, archivedDate="2026-01-01T00:00:00Z", brandNew={"a": [1, "ü"]}, empty={}, nothing=None)
    item["login"]["passwordRevisionDate"] = "2023-01-01T00:00:00Z"
    item["login"]["fido2Credentials"] = [{"keyValue": "secret"}]
    item["login"]["uris"][0]["note"] = "x"
    result = read(item, item)
    assert sorted(custom(result.items[0])) == [
        ("archivedDate", "2026-01-01T00:00:00Z", True),
        ("brandNew", '{"a":[1,"ü"]}', True),
        ("login.fido2Credentials", '[{"keyValue":"secret"}]', True),
        ("login.passwordRevisionDate", "2023-01-01T00:00:00Z", True),
        ("login.uris.note", "x", True),
        ("reprompt", "1", True),
    ]
    assert dict(result.kept_as_custom) == {
        "archivedDate": 2,
        "brandNew": 2,
        "login.fido2Credentials": 2,
        "login.passwordRevisionDate": 2,
        "login.uris.note": 2,
        "reprompt": 2,
    }


@pytest.mark.parametrize("kind", [0, 6, "1", None, True])
def test_a_type_that_came_later_becomes_a_note_that_holds_everything(kind: object) -> None:
    base = login(type=kind, bankAccount={"iban": "XX00"})
    if kind is True:  # JSON's true equals 1 in Python and is a login all the same
        assert only({**base, "bankAccount": None}).item_type is ItemType.LOGIN
        return
    (item,) = read(base).items
    assert item.item_type is ItemType.NOTE
    kept = {name: value for name, value, _ in custom(item)}
    assert kept["bankAccount"] == '{"iban":"XX00"}'
    assert json.loads(kept["login"])["password"] == "pass word"
    assert kept.get("type", "None") == str(kind)


def test_a_trashed_item_stays_in_the_trash() -> None:
    assert only(login(deletedDate="2025-01-01T00:00:00Z")).deleted


def test_an_item_without_times_has_that_of_the_import() -> None:
    item = only(login(revisionDate=None, creationDate=None))
    assert (item.created_at, item.changed_at) == (AT, AT)


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert only(login(revisionDate="2024-05-06T07:08:09.123")).changed_at == 1_714_979_289_123


def test_times_that_cannot_be_read_are_kept() -> None:
    result = read(login(revisionDate="soon", creationDate=17))
    assert sorted(custom(result.items[0])) == [("creationDate", "17", True), ("revisionDate", "soon", True)]
    assert result.items[0].changed_at == AT


def test_a_long_name_from_the_file_is_shortened_in_the_report() -> None:
    result = read(login(**{"n" * 5000: "v", "esc\x1b[2J": "w"}))
    assert sorted(result.kept_as_custom) == ["esc�[2J", "n" * 60 + "…"]


# Refusals


def test_one_bad_item_is_reported_by_its_place_and_the_others_come_in() -> None:
    bad = login(name={"secret": "s3cret"})
    result = read(login(), "s3cret", bad, login(notes="x" * 200_000), login(name="\ud800"), login())
    assert len(result.items) == 2
    assert [skipped.where for skipped in result.skipped] == ["item 2", "item 3", "item 4", "item 5"]
    assert [skipped.reason for skipped in result.skipped[:2]] == ["not an object", "name is not a text"]
    assert "s3cret" not in repr(result.skipped)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"login": "x"}, "login is not an object"),
        ({"login": {"uris": "x"}}, "login.uris is not a list of objects"),
        ({"login": {"uris": ["x"]}}, "login.uris is not a list of objects"),
        ({"login": {"password": ["x"]}}, "login.password is not a text"),
        ({"fields": {}}, "fields is not a list of objects"),
        ({"passwordHistory": [1]}, "passwordHistory is not a list of objects"),
    ],
)
def test_an_item_of_another_shape_is_reported(change: dict[str, Any], reason: str) -> None:
    result = read(login(**change))
    assert result.items == ()
    assert [(skipped.where, skipped.reason) for skipped in result.skipped] == [("item 1", reason)]


def test_numbers_and_truth_values_that_a_tool_wrote_are_texts() -> None:
    base = login(type=3, card={"expMonth": 4, "expYear": 2030, "number": True})
    (item,) = read(base).items
    assert (item.get("expiry_month"), item.get("expiry_year"), item.get("number")) == ("4", "2030", "true")


def test_an_encrypted_export_is_refused_with_the_remedy() -> None:
    data = json.dumps({"encrypted": True, "passwordProtected": True, "salt": "s3cret", "data": "2.x"}).encode()
    assert detect(data).name == "bitwarden"
    with pytest.raises(MalformedRecord, match="the export is encrypted") as caught:
        bitwarden.read(data, at=AT)
    assert "export again" in caught.value.hint
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "line 1, column 1: not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "does not say that it is not encrypted"),
        (b'{"encrypted": 0, "items": []}', "does not say that it is not encrypted"),
        (b'{"encrypted": false}', "'items' is not a list"),
        (b'{"encrypted": false, "items": {}}', "'items' is not a list"),
        (b'{"encrypted": false, "items": [], "folders": 1}', "'folders' is not a list"),
        (b'{"encrypted": false,\n"items": s3cret}', "line 2, column 10: not JSON"),
        (b'{"encrypted": false,\n\n"items": "s3cret\xff"}', "line 3 is not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
    ],
)
def test_what_is_no_export_is_refused_with_the_line_and_without_contents(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        bitwarden.read(data, at=AT)
    assert rule in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None  # the library's exceptions hold the whole file


def test_an_export_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.client.importers.result.MAX_IMPORT_BYTES", 10)
    with pytest.raises(MalformedRecord, match="at most 10 are read"):
        bitwarden.read(export(), at=AT)


def test_an_unknown_field_of_the_whole_export_is_reported() -> None:
    result = read(login(), settings={"theme": "dark"}, note=None)
    assert [(skipped.where, skipped.reason) for skipped in result.skipped] == [
        ("field 'settings'", "the export as a whole has an unknown field")
    ]


def test_a_byte_order_mark_is_no_obstacle() -> None:
    data = b"\xef\xbb\xbf" + export(login())
    assert detect(data).name == "bitwarden"
    assert len(bitwarden.read(data, at=AT).items) == 1


# Any input

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from([*login(), "fields", "card", "identity", "sshKey", "secureNote", "other"])
inner_names = st.sampled_from(["uris", "username", "password", "totp", "match", "uri", "x", "type", "title", "ssn"])
wild_items = st.dictionaries(
    names,
    json_values
    | st.integers(1, 6)
    | st.dictionaries(inner_names, json_values, max_size=4)
    | st.lists(st.dictionaries(inner_names | st.just("value") | st.just("name"), json_values, max_size=4), max_size=3),
    max_size=8,
)


@given(data=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_a_result_or_the_error(data: bytes) -> None:
    with contextlib.suppress(MalformedRecord):
        bitwarden.read(data, at=AT)


@given(
    items=st.lists(wild_items | json_values, max_size=4),
    top=st.dictionaries(st.text(max_size=8), json_values, max_size=2),
)
@settings(deadline=None)
def test_any_items_come_in_or_are_reported_and_every_text_is_somewhere(items: list[Any], top: dict[str, Any]) -> None:
    result = bitwarden.read(json.dumps({**top, "encrypted": False, "items": items, "folders": []}).encode(), at=AT)
    assert len(result.items) + sum(
        "," not in skipped.where and "item" in skipped.where for skipped in result.skipped
    ) == len(items)
    for item in result.items:
        assert Item.from_bytes(item.to_bytes()) == item


@given(
    secret=st.text(alphabet="abcdefgh", min_size=30, max_size=40),
    path=st.sampled_from(
        [
            "name",
            "notes",
            "new",
            "login.password",
            "login.new",
            "login.totp",
            "fields.value",
            "fields.new",
            "history.password",
            "uris.uri",
            "uris.new",
        ]
    ),
)
def test_no_text_is_lost(secret: str, path: str) -> None:
    item = login(
        fields=[{"name": "n", "value": "v", "type": 0}], passwordHistory=[{"lastUsedDate": "2020-01-01T00:00:00Z"}]
    )
    where, _, name = path.rpartition(".")
    places = {
        "": item,
        "login": item["login"],
        "fields": item["fields"][0],
        "history": item["passwordHistory"][0],
        "uris": item["login"]["uris"][0],
    }
    places[where][name] = secret
    result = read(item)
    assert secret.encode() in result.items[0].to_bytes()


# The demonstration's file


def test_the_demonstration_export_comes_in_whole() -> None:
    result = bitwarden.read(DEMO.read_bytes(), at=AT)
    assert result.skipped == ()
    assert dict(result.kept_as_custom) == {}
    kinds = [item.item_type for item in result.items]
    assert kinds.count(ItemType.LOGIN) >= 200
    assert {*kinds} == {*ItemType} - {ItemType.PASSKEY}
    assert any(len(item.uris) > 2 for item in result.items)
    assert any(item.history for item in result.items)
    assert any("\n" in item.get("notes") and not item.get("notes").isascii() for item in result.items)
    assert {uri.match for item in result.items for uri in item.uris} == {*UriMatch}
    hosts = [uri.value.split("/")[2] for item in result.items for uri in item.uris if uri.match is not UriMatch.PATTERN]
    assert all(host.endswith((".example", ".example.com", ".example.net", ".example.org")) for host in hosts)
