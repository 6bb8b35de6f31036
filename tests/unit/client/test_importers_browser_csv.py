"""The CSV files of browsers, told apart by their header."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedRecord
from strongroom.client.importers import IMPORTERS, browser_csv, detect
from strongroom.records.item import Item, ItemType

AT = 1_700_000_000_000
CHROME = "name,url,username,password,note\n"
FIREFOX = (
    '"url","username","password","httpRealm","formActionOrigin","guid","timeCreated","timeLastUsed",'
    '"timePasswordChanged"\n'
)
SAFARI = "Title,URL,Username,Password,Notes,OTPAuth\n"
DEMO = Path(__file__).resolve().parents[3] / "demo" / "data" / "browser-passwords.csv"


def only(text: str) -> Item:
    result = browser_csv.read(text.encode(), at=AT)
    assert result.skipped == ()
    (item,) = result.items
    return item


def custom(item: Item) -> list[tuple[str, str]]:
    return [(field.name, field.value) for field in item.custom]


def test_chrome() -> None:
    item = only(CHROME + "Example,https://example.com/login,user+a@example.com,pw,a note\n")
    assert item.item_type is ItemType.LOGIN
    assert dict(item.fields) == {
        "title": "Example",
        "username": "user+a@example.com",
        "password": "pw",
        "notes": "a note",
    }
    assert [uri.value for uri in item.uris] == ["https://example.com/login"]
    assert (item.created_at, item.changed_at) == (AT, AT)
    assert custom(item) == []


def test_chrome_before_it_had_notes() -> None:
    assert only("name,url,username,password\nA,https://a.example,u,p\n").get("password") == "p"


def test_firefox() -> None:
    row = '"https://a.example","u","p",,"https://a.example","{guid}","1500000000000","1600000000000","1550000000000"\n'
    item = only(FIREFOX + row)
    assert dict(item.fields) == {"title": "a.example", "username": "u", "password": "p"}
    assert (item.created_at, item.changed_at) == (1_500_000_000_000, 1_550_000_000_000)
    assert custom(item) == [("timeLastUsed", "1600000000000")]


def test_firefox_keeps_a_realm_and_a_form_that_went_elsewhere() -> None:
    row = '"https://a.example/x","u","p","The realm","https://login.example","{guid}","x","","-5"\n'
    item = only(FIREFOX + row)
    assert custom(item) == [
        ("httpRealm", "The realm"),
        ("formActionOrigin", "https://login.example"),
        ("timeCreated", "x"),
        ("timePasswordChanged", "-5"),
    ]
    assert (item.created_at, item.changed_at) == (AT, AT)


def test_safari() -> None:
    item = only(SAFARI + "Example (u),https://a.example,u,p,note,otpauth://totp/x?secret=JBSWY3DP\n")
    assert dict(item.fields) == {
        "title": "Example (u)",
        "username": "u",
        "password": "p",
        "notes": "note",
        "totp": "otpauth://totp/x?secret=JBSWY3DP",
    }
    assert custom(item) == []


def test_quotes_commas_and_line_ends_in_fields_and_a_byte_order_mark() -> None:
    item = only("\ufeff" + CHROME.replace("\n", "\r\n") + '"A, ""B""",https://a.example,u," p,\n""q"" ","1\r\n2\n"\r\n')
    assert item.title == 'A, "B"'
    assert item.get("password") == ' p,\n"q" '
    assert item.get("notes") == "1\r\n2\n"


def test_other_columns_are_kept_and_reported() -> None:
    text = "name,url,username,password,note,Group,group\nA,https://a.example,u,p,,Work,x\nB,https://b.example,u,p,,,\n"
    result = browser_csv.read(text.encode(), at=AT)
    assert custom(result.items[0]) == [("Group", "Work"), ("group", "x")]
    assert custom(result.items[1]) == []
    assert dict(result.kept_as_custom) == {"Group": 1, "group": 1}


def test_a_column_that_comes_twice_loses_nothing() -> None:
    text = "name,title,url,username,password,password,note,notes\nA,B,https://a.example,u,p,q,n,m\n"
    item = only(text)
    assert (item.title, item.get("password"), item.get("notes")) == ("A", "p", "n")
    assert sorted(custom(item)) == [("notes", "m"), ("password", "q"), ("title", "B")]
    assert [field.hidden for field in item.custom if field.name == "password"] == [True]


@pytest.mark.parametrize("url", ["", "https://[broken", "no address", "android://hash@app.example/"])
def test_any_address_comes_in(url: str) -> None:
    item = only(CHROME + f",{url},u,p,\n")
    assert [uri.value for uri in item.uris] == ([url] if url else [])


def test_a_row_without_a_name_is_called_by_its_host() -> None:
    assert only(CHROME + ",https://a.example:8443/x,u,p,\n").title == "a.example"


def test_rows_that_do_not_fit_are_reported_by_their_line_and_the_others_come_in() -> None:
    text = (
        CHROME
        + '"A\nB",https://a.example,u,p,\n\nC,s3cret,u,p\n,,,,\nD,https://d.example,u,p,'
        + "n" * 110_000
        + "\nE,https://e.example,u,p,\n"
    )
    result = browser_csv.read(text.encode(), at=AT)
    assert [item.title for item in result.items] == ["A\nB", "E"]
    assert [(skipped.where, skipped.reason) for skipped in result.skipped[:2]] == [
        ("line 5", "4 columns, the header has 5"),
        ("line 6", "every column is empty"),
    ]
    assert result.skipped[2].where == "line 7"
    assert "110000 characters" in result.skipped[2].reason
    assert "s3cret" not in repr(result.skipped)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "line 1 is not a header"),
        ("\n\n", "line 1 is not a header"),
        ("url,username,password\nx,y,s3cret\n", "line 1 is not a header"),
        ("name;url;username;password\n", "line 1 is not a header"),
        (CHROME + 'A,https://a.example,u,p,\nB,https://b.example,u,"s3cret\n', "line 3: the quotes do not match"),
        (CHROME + 'A,https://a.example,u,"s3cret"x,\n', "line 2: the quotes do not match"),
        (CHROME + "A," + "s3cret" * 40_000, "line 2: the quotes do not match, or a field is too long"),
    ],
)
def test_what_is_no_export_is_refused_with_the_line_and_without_contents(text: str, rule: str) -> None:
    with pytest.raises(MalformedRecord) as caught:
        browser_csv.read(text.encode(), at=AT)
    assert rule in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_bytes_that_are_no_text_are_refused_with_the_line() -> None:
    with pytest.raises(MalformedRecord, match="line 2 is not UTF-8"):
        browser_csv.read(CHROME.encode() + b"A,\xff,u,p,\n", at=AT)


def test_the_right_importer_is_found() -> None:
    for header in (CHROME, FIREFOX, SAFARI, "\ufeff" + SAFARI.replace("\n", "\r\n")):
        assert detect(header.encode()).name == "browser-csv"
    assert detect(b' {"encrypted": false, "items": []}').name == "bitwarden"


@pytest.mark.parametrize("data", [b"", b"hello", b"a,b,c\n1,2,3\n", b"PK\x03\x04", b"\xff\xfe{"])
def test_no_importer_for_other_files_and_the_error_says_what_there_is(data: bytes) -> None:
    with pytest.raises(MalformedRecord, match="not a file that can be imported") as caught:
        detect(data)
    assert all(importer.label in caught.value.hint for importer in IMPORTERS)


@given(data=st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: CHROME.encode() + tail))
def test_any_bytes_give_a_result_or_the_error(data: bytes) -> None:
    try:
        result = browser_csv.read(data, at=AT)
    except MalformedRecord:
        return
    for item in result.items:
        assert Item.from_bytes(item.to_bytes()) == item


cells = st.text(st.characters(codec="utf-8"), max_size=20)


@given(rows=st.lists(st.lists(cells, min_size=6, max_size=6), max_size=5))
def test_every_cell_of_every_row_is_somewhere(rows: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["name", "url", "username", "password", "note", "other"])
    writer.writerows(rows)
    result = browser_csv.read(out.getvalue().encode(), at=AT)
    filled = [row for row in rows if any(row)]
    assert len(result.items) == len(filled)
    for item, row in zip(result.items, filled, strict=True):
        texts = {*item.fields.values(), *(uri.value for uri in item.uris), *(field.value for field in item.custom)}
        assert {cell for cell in row if cell} <= texts


def test_the_demonstration_export_comes_in_whole() -> None:
    result = browser_csv.read(DEMO.read_bytes(), at=AT)
    assert len(result.items) == 15
    assert result.skipped == ()
    assert dict(result.kept_as_custom) == {}
