"""How items look: nothing hidden is shown unless somebody asks."""

from typing import Any

import pytest

from strongroom.cli.items import generated_password, item_json, item_text, uris
from strongroom.client.vault import VaultItem
from strongroom.records.item import CustomField, Item, ItemType, PastValue, Uri

SECRETS = ("hunter2", "hidden pin", "old password", "old pin", "old field")


def entry(**changes: Any) -> VaultItem:
    content: dict[str, Any] = {
        "item_type": ItemType.LOGIN,
        "fields": {"title": "Mail", "username": "me", "password": "hunter2", "notes": "two\nlines"},
        "uris": (Uri(value="https://mail.example"),),
        "custom": (
            CustomField(name="colour", value="blue"),
            CustomField(name="pin", value="hidden pin", hidden=True),
        ),
        "folder": "Work",
        "tags": ("a", "b"),
        "favourite": True,
        "history": (
            PastValue(field="username", value="old name", changed_at=1),
            PastValue(field="password", value="old password", changed_at=2),
            PastValue(field="custom:pin", value="old pin", changed_at=3),
            PastValue(field="gone", value="old field", changed_at=4),
        ),
        "created_at": 1,
        "changed_at": 1_700_000_000_000,
    }
    return VaultItem(record=bytes(16), item=Item(**(content | changes)), pending=True)


def test_hidden_values_are_shown_only_when_asked_for() -> None:
    shown = item_text(entry(), show=False, history=True)
    assert not any(secret in shown for secret in SECRETS)
    assert shown.count("********") == 5
    assert "username was old name" in shown
    everything = item_text(entry(), show=True, history=True)
    assert all(secret in everything for secret in SECRETS)


def test_a_text_has_every_part_in_its_line() -> None:
    lines = item_text(entry(), show=False, history=False).splitlines()
    assert lines == [
        "id             00000000000000000000000000000000",
        "type           login",
        "title          Mail",
        "username       me",
        "password       ********",
        "notes          two",
        "               lines",
        "address        https://mail.example (domain)",
        "colour         blue",
        "pin            ********",
        "folder         Work",
        "tags           a, b",
        "changed        2023-11-14 22:13:20Z  (not synced yet)",
    ]
    assert "folder" not in item_text(entry(folder="", tags=()), show=False, history=False)


@pytest.mark.parametrize("show", [False, True])
def test_json_has_the_same_and_null_for_what_is_hidden(show: bool) -> None:
    shown = item_json(entry(), show=show, history=True)
    assert shown["fields"]["password"] == ("hunter2" if show else None)
    assert shown["custom"][1] == {"name": "pin", "value": "hidden pin" if show else None}
    assert shown["history"][0]["value"] == "old name"
    assert [past["value"] for past in shown["history"][1:]] == (
        ["old password", "old pin", "old field"] if show else [None] * 3
    )
    assert (shown["folder"], shown["tags"], shown["favourite"], shown["pending"]) == ("Work", ["a", "b"], True, True)
    assert "history" not in item_json(entry(), show=show, history=False)


def test_generated_passwords_differ_and_addresses_may_be_none() -> None:
    assert len({generated_password() for _ in range(100)}) == 100
    assert uris(None) is None
    assert uris([]) is None
    assert uris(["a", "b"]) == (Uri(value="a"), Uri(value="b"))
