"""The CSV files that browsers export their saved passwords to, told apart by their header.

| from | header |
| --- | --- |
| Chrome, Edge | name, url, username, password, note |
| Firefox | url, username, password, httpRealm, formActionOrigin, guid, timeCreated, timeLastUsed, timePasswordChanged |
| Safari | Title, URL, Username, Password, Notes, OTPAuth |

Other columns become custom fields and are reported. Firefox's ``guid`` names a row in its own database and is let go.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from strongroom.base.errors import MalformedRecord
from strongroom.client.importers.result import Collector, ImportResult, decode_text, parse_time
from strongroom.records.item import CustomField, Item, ItemType, Uri

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read", "recognises"]

_PATH: Final = "browser export"
_NEEDED: Final = frozenset({"url", "username", "password"})
_NAMING: Final = frozenset({"name", "title", "httprealm"})  # one of them is in every browser's header
_FIELDS: Final[dict[str, str]] = {
    "name": "title",
    "title": "title",
    "username": "username",
    "password": "password",
    "note": "notes",
    "notes": "notes",
    "otpauth": "totp",
}
_HANDLED: Final = frozenset({*_FIELDS, "url", "guid", "timecreated", "timepasswordchanged", "formactionorigin"})


def recognises(data: bytes) -> bool:
    """Tell whether the first line is a header that a browser writes."""
    line = data[:4096].removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    names = {name.strip().strip('"').lower() for name in line.decode("utf-8", "replace").split(",")}
    return names >= _NEEDED and bool(names & _NAMING)


def read(data: bytes, *, at: int) -> ImportResult:
    """Read an export; ``at`` (unix milliseconds) is the time of rows that tell none.

    Raises ``MalformedRecord``, with the line, when it is not such an export.
    """
    rows = _rows(decode_text(data, path=_PATH))
    _, header = next(rows, (1, []))
    columns = [name.strip() for name in header]
    known = {name.lower() for name in columns}
    if not known >= _NEEDED or not known & _NAMING:
        raise MalformedRecord("line 1 is not a header of Chrome, Edge, Firefox or Safari", path=_PATH)
    found = Collector()
    for line, row in rows:
        where = f"line {line}"
        if len(row) != len(columns):
            found.skip(where, f"{len(row)} columns, the header has {len(columns)}")
        elif not any(row):
            found.skip(where, "every column is empty")
        else:
            try:
                item = _item(columns, row, at)
            except MalformedRecord as refused:
                found.skip(where, refused.message)
            else:
                found.add(item, [custom.name for custom in item.custom])
    return found.result()


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row that has something in it, and the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    broken = False
    while not broken:
        try:
            row = next(reader, None)
        except csv.Error:
            broken = True  # raised outside the handler, so that nothing of the library's shows the row
            continue
        if row is None:
            return
        if row:
            yield line, row
        line = reader.line_num + 1
    raise MalformedRecord(f"line {line}: the quotes do not match, or a field is too long", path=_PATH)


def _item(columns: list[str], row: list[str], at: int) -> Item:
    named: dict[str, str] = {}
    custom = []
    for column, value in zip(columns, row, strict=True):
        name = column.lower()
        if name in _HANDLED and name not in named:
            named[name] = value
        elif value:
            custom.append(CustomField(name=column, value=value, hidden=name in _HANDLED))
    fields: dict[str, str] = {}
    for name, ours in _FIELDS.items():
        value = named.get(name, "")
        if value and ours in fields:
            custom.append(CustomField(name=name, value=value))
        elif value:
            fields[ours] = value
    url = named["url"]
    host, origin = _host_and_origin(url)
    fields.setdefault("title", host or url)
    times = {name: parse_time(named.get(name, "")) for name in ("timecreated", "timepasswordchanged")}
    # Firefox says where the form was sent; nearly always that is the page's own origin, which says nothing more
    if named.get("formactionorigin", "") not in ("", url, origin):
        custom.append(CustomField(name="formActionOrigin", value=named["formactionorigin"]))
    for name, ours in (("timecreated", "timeCreated"), ("timepasswordchanged", "timePasswordChanged")):
        if named.get(name) and times[name] is None:
            custom.append(CustomField(name=ours, value=named[name]))
    changed_at = next((time for time in (times["timepasswordchanged"], times["timecreated"]) if time is not None), at)
    created_at = times["timecreated"]
    return Item(
        item_type=ItemType.LOGIN,
        fields=fields,
        uris=(Uri(value=url),) if url else (),
        custom=tuple(custom),
        created_at=changed_at if created_at is None else created_at,
        changed_at=changed_at,
    )


def _host_and_origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.hostname or "", f"{parts.scheme}://{parts.netloc}"
