"""Deterministic CBOR (RFC 8949 section 4.2.1) for everything that is hashed, signed or sealed.

One value has one encoding and one encoding one value. The decoder takes that encoding and nothing else: definite
lengths, shortest heads, map keys in bytewise order and each once, no tags, no floats, nothing after the value.
So a signature over bytes is a signature over the value, and a map with a duplicate key cannot exist.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_DEPTH", "Value", "decode", "encode"]

Value = bool | int | bytes | str | None | list["Value"] | dict["int | str | bytes", "Value"]
"""What can be encoded: integers of 64 bits, byte and text strings, lists, maps, booleans and null."""

MAX_DEPTH: Final = 16  # our deepest structure has 5 levels; the limit keeps hostile nesting off Python's stack

_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6
_SIMPLE_VALUES: Final[dict[int, bool | None]] = {_FALSE & 0x1F: False, _TRUE & 0x1F: True, _NULL & 0x1F: None}
_MAX_NAME: Final = 64  # characters of a map key whose encoding is remembered


def _short_head(first: int) -> tuple[int, int] | None:
    """Read a head of one byte; ``None`` where more bytes follow or where it is none of ours."""
    major, low = first >> 5, first & 0x1F
    return (major, low) if (low in _SIMPLE_VALUES if major == _SIMPLE else low < 24) else None


_SHORT_HEADS: Final = tuple(_short_head(first) for first in range(256))


def encode(value: object) -> bytes:
    """Encode a value; ``TypeError`` or ``ValueError`` for one outside the subset (a programming mistake)."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def decode(data: bytes, *, path: str, error: type[Malformed] = Malformed, max_bytes: int) -> Value:
    """Decode exactly one value from untrusted bytes, or raise ``error``.

    ``max_bytes`` is looked at before anything else, so that a caller states what it is ready to hold.
    """
    if len(data) > max_bytes:
        raise error(f"{len(data)} bytes, at most {max_bytes} are read", path=path)
    reader = _Reader(data, path, error)
    value = reader.value(0)
    if reader.offset != len(data):
        raise error(f"{len(data) - reader.offset} bytes after the value", path=path, offset=reader.offset)
    return value


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major << 5 | number)
    elif number < 1 << 8:
        out += bytes((major << 5 | 24, number))
    elif number < 1 << 16:
        out.append(major << 5 | 25)
        out += number.to_bytes(2, "big")
    elif number < 1 << 32:
        out.append(major << 5 | 26)
        out += number.to_bytes(4, "big")
    elif number < 1 << 64:
        out.append(major << 5 | 27)
        out += number.to_bytes(8, "big")
    else:
        raise ValueError("integers have at most 64 bits")


def _write(value: object, out: bytearray) -> None:
    # what is frequent comes first: half of a handshake's bookkeeping is done here
    if isinstance(value, bytes):
        _head(_BYTES, len(value), out)
        out += value
    elif isinstance(value, str):
        text = value.encode()
        _head(_TEXT, len(text), out)
        out += text
    elif value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out.append(_TRUE if value else _FALSE)
    elif isinstance(value, int):
        if value >= 0:
            _head(_UINT, value, out)
        else:
            _head(_NINT, -1 - value, out)
    elif isinstance(value, (list, tuple)):
        _head(_ARRAY, len(value), out)
        for item in value:
            _write(item, out)
    elif isinstance(value, dict):
        _write_map(value, out)
    else:
        raise TypeError(f"cannot encode a {type(value).__name__}")


def _write_map(items: Mapping[object, object], out: bytearray) -> None:
    _head(_MAP, len(items), out)
    for key, item in sorted([(_key(key), item) for key, item in items.items()], key=_first):
        out += key
        _write(item, out)


def _first(pair: tuple[bytes, object]) -> bytes:
    return pair[0]


def _key(key: object) -> bytes:
    if isinstance(key, str) and len(key) <= _MAX_NAME:
        return _name(key)
    if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
        raise TypeError("map keys are integers, text or bytes")
    return encode(key)


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    """Encode a field's name: our structures have a few hundred of them."""
    return encode(name)


class _Reader:
    __slots__ = ("data", "error", "offset", "path")

    def __init__(self, data: bytes, path: str, error: type[Malformed]) -> None:
        self.data = data
        self.path = path
        self.error = error
        self.offset = 0

    def fail(self, rule: str) -> Malformed:
        return self.error(rule, path=self.path, offset=self.offset)

    def value(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH}")
        major, number = self.head()
        match major:
            case 2:
                return self.take(number)
            case 3:
                return self.text(number)
            case 0:
                return number
            case 1:
                return -1 - number
            case 4:
                return [self.value(depth + 1) for _ in range(self.count(number))]
            case 5:
                return self.map(self.count(number), depth)
            case 7:
                return _SIMPLE_VALUES[number]
            case _:
                raise self.fail("tags are not used")

    def head(self) -> tuple[int, int]:
        """Read a head. A simple value other than false, true and null never gets past here."""
        offset = self.offset
        if offset >= len(self.data):
            raise self.fail("1 bytes wanted, 0 are left")
        first = self.data[offset]
        self.offset = offset + 1
        short = _SHORT_HEADS[first]
        if short is not None:
            return short
        major, low = first >> 5, first & 0x1F
        if major == _SIMPLE:
            raise self.fail("floats and unknown simple values are not used")
        if low > 27:
            raise self.fail("indefinite lengths are not used")
        width = 1 << (low - 24)
        number = int.from_bytes(self.take(width), "big")
        if number < 24 or (width > 1 and number < 1 << (4 * width)):
            raise self.fail("number not in its shortest form")
        return major, number

    def take(self, length: int) -> bytes:
        end = self.offset + length
        if end > len(self.data):
            raise self.fail(f"{length} bytes wanted, {len(self.data) - self.offset} are left")
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def count(self, number: int) -> int:
        # each element takes a byte at least, so a count beyond what is left is a lie told before any allocation
        if number > len(self.data) - self.offset:
            raise self.fail("more elements announced than bytes are left")
        return number

    def text(self, length: int) -> str:
        raw = self.take(length)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.fail("text is not UTF-8") from None

    def map(self, count: int, depth: int) -> Value:
        items: dict[int | str | bytes, Value] = {}
        previous = b""
        for _ in range(count):
            start = self.offset
            key = self.value(depth + 1)
            raw = self.data[start : self.offset]
            if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
                raise self.fail("map keys are integers, text or bytes")
            if raw <= previous:
                raise self.fail("map keys out of order or repeated")
            previous = raw
            items[key] = self.value(depth + 1)
        return items
