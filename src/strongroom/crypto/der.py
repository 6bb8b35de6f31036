"""A reader and a writer for the part of DER (ITU-T X.690) that certificates and Intel's extension use.

Definite lengths in their shortest form, one-byte tags. It walks; it does not search: a caller says where it expects
what, so that a value hidden deeper is never taken for the one meant, and nesting costs the caller's stack nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from strongroom.base.errors import Malformed

__all__ = [
    "BOOLEAN",
    "ENUMERATED",
    "INTEGER",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "DerReader",
    "Span",
    "dotted",
    "element",
    "oid",
    "spans",
    "unsigned",
]

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30

_MAX_LENGTH_BYTES: Final = 4


class DerReader:
    """Reads elements one after the other; a broken rule raises ``error`` with the structure's path and the offset."""

    __slots__ = ("_data", "_error", "_outer", "_path", "offset")

    def __init__(self, data: bytes, *, path: str, error: type[Malformed], outer: DerReader | None = None) -> None:
        self._data = data
        self._path = path
        self._error = error
        self._outer = outer
        self.offset = 0

    @property
    def path(self) -> str:
        """Where in its structure this reader stands."""
        return self._path if self._outer is None else f"{self._outer.path}.{self._path}"

    @property
    def remaining(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self.offset

    def next_tag(self) -> int | None:
        """Tell the next element's tag without taking it; ``None`` at the end."""
        return self._data[self.offset] if self.remaining else None

    def take(self, tag: int, field: str) -> bytes:
        """Take the contents of the next element, which must have this tag."""
        data, start = self._data, self.offset + 2
        if start <= len(data) and data[start - 2] == tag:
            end = start + data[start - 1]
            if end < start + 0x80 and end <= len(data):  # nearly all elements
                self.offset = end
                return data[start:end]
        start, end = self._bounds(tag, field)
        self.offset = end
        return data[start:end]

    def take_whole(self, tag: int, field: str) -> bytes:
        """Take the next element with its tag and length."""
        begin = self.offset
        _, end = self._bounds(tag, field)
        self.offset = end
        return self._data[begin:end]

    def enter(self, tag: int, field: str) -> DerReader:
        """Take the next element and return a reader over its contents."""
        return DerReader(self.take(tag, field), path=field, error=self._error, outer=self)

    def number(self, field: str, *, tag: int = INTEGER, at_most: int) -> int:
        """Take a number from 0 to ``at_most`` in its shortest form."""
        raw = self.take(tag, field)
        if not raw or raw[0] & 0x80 or (len(raw) > 1 and raw[0] == 0 and not raw[1] & 0x80):
            raise self.fail(f"{field} is not a non-negative number in its shortest form")
        value = int.from_bytes(raw, "big")
        if value > at_most:
            raise self.fail(f"{field} is greater than {at_most}")
        return value

    def boolean(self, field: str) -> bool:
        """Take a boolean: 00 or FF."""
        raw = self.take(BOOLEAN, field)
        if raw not in (b"\x00", b"\xff"):
            raise self.fail(f"{field} is not a boolean")
        return raw == b"\xff"

    def expect_end(self) -> None:
        """Refuse bytes after the last element."""
        if self.remaining:
            raise self.fail(f"{self.remaining} bytes after the last element")

    def fail(self, rule: str) -> Malformed:
        """Build the error for a broken rule at the place reached so far."""
        return self._error(rule, path=self.path, offset=self.offset)

    def _bounds(self, tag: int, field: str) -> tuple[int, int]:
        data, at = self._data, self.offset
        if len(data) - at < 2:
            raise self.fail(f"{field} is missing")
        if data[at] != tag:
            raise self.fail(f"{field} has tag {data[at]:#04x}, not {tag:#04x}")
        length, start = data[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            if not 1 <= width <= _MAX_LENGTH_BYTES or len(data) - start < width:
                raise self.fail(f"{field} has a length that is not read")
            length = int.from_bytes(data[start : start + width], "big")
            if length < 0x80 or length >> (8 * (width - 1)) == 0:
                raise self.fail(f"{field} has a length not in its shortest form")
            start += width
        if length > len(data) - start:
            raise self.fail(f"{field} has {length} bytes, {len(data) - start} are left")
        return start, start + length


Span = tuple[int, int, int, int]
"""One element of some bytes: its tag, where its header begins, where its contents begin, where they end."""


def spans(data: bytes, start: int = 0, end: int | None = None) -> list[Span]:
    """Find the elements that stand one after the other from ``start`` to ``end``; ``ValueError`` where they do not.

    What ``DerReader`` does step by step, all at once; for callers that know from elsewhere that the bytes are DER, or
    that need no more than one error for all of them.
    """
    last = len(data) if end is None else end
    found = []
    at = start
    while at < last:
        if last - at < 2:
            raise ValueError("half an element")
        begin, length, at = at, data[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            length = int.from_bytes(data[at : at + width], "big")
            if not 1 <= width <= _MAX_LENGTH_BYTES or length < 0x80 or length >> (8 * (width - 1)) == 0:
                raise ValueError("a length that is not read, or not in its shortest form")
            at += width
        contents, at = at, at + length
        if at > last:
            raise ValueError(f"an element of {length} bytes, {last - contents} are left")
        found.append((data[begin], begin, contents, at))
    return found


def element(tag: int, *contents: bytes) -> bytes:
    """Write one element."""
    body = b"".join(contents)
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    width = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + length.to_bytes(width, "big") + body


def unsigned(value: int, *, tag: int = INTEGER) -> bytes:
    """Write a non-negative number in its shortest form."""
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """Write the contents of an object identifier (without tag and length) from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        out += bytes(reversed(groups))
    return bytes(out)


def dotted(contents: bytes) -> str:
    """Write the dotted form of an object identifier's contents; ``ValueError`` when they are none."""
    arcs, arc = [], 0
    for byte in contents:
        if not arc and byte == 0x80:
            raise ValueError("an arc not in its shortest form")
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
    if not contents or contents[-1] & 0x80:
        raise ValueError("half an object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
