"""Deterministic CBOR (RFC 8949 section 4.2.1) for everything that is hashed, signed or sealed.

One value has one encoding and one encoding one value. The decoder takes that encoding and nothing else: definite
lengths, shortest heads, map keys in bytewise order and each once, no tags, no floats, nothing after the value.
So a signature over bytes is a signature over the value, and a map with a duplicate key cannot exist.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

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
_MORE: Final = 24  # in a head: the number is in the next byte
_LENGTH_IN_ONE_BYTE: Final = _BYTES << 5 | _MORE  # how digests, keys and signatures begin
_MAX_NAME: Final = 64  # characters of a map key whose encoding is remembered
_MAX_NAMES: Final = 32  # keys of a map whose order is remembered
_TEXTS: Final = {str}
_NAME_BYTES: Final = tuple([first - 0x5F if 0x60 <= first < 0x78 else 0 for first in range(256)])
"""By its first byte, how many bytes the encoding of a short text has; 0 for everything else."""


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


def _write_map(items: Mapping[Any, object], out: bytearray) -> None:
    _head(_MAP, len(items), out)
    keys = tuple(items)
    if len(keys) <= _MAX_NAMES and set(map(type, keys)) == _TEXTS and max(map(len, keys)) <= _MAX_NAME:
        for encoded, name in _in_order(keys):
            out += encoded
            _write(items[name], out)
        return
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


@lru_cache(maxsize=256)
def _in_order(names: tuple[str, ...]) -> tuple[tuple[bytes, str], ...]:
    """Give the encodings of a structure's field names in their order, each with its name."""
    return tuple(sorted([(_name(name), name) for name in names]))


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
        data, offset = self.data, self.offset
        first = data[offset] if offset < len(data) else _MORE  # at the end, ``head`` objects
        short = _SHORT_HEADS[first]
        if short is not None:
            major, number = short
            self.offset = offset + 1
        elif first == _LENGTH_IN_ONE_BYTE and offset + 1 < len(data) and data[offset + 1] >= 24:
            major, number = _BYTES, data[offset + 1]
            self.offset = offset + 2
        else:
            major, number = self.head()
        if major == _BYTES:
            offset = self.offset
            end = offset + number
            if end > len(data):
                raise self.fail(f"{number} bytes wanted, {len(data) - offset} are left")
            self.offset = end
            return data[offset:end]
        if major == _TEXT:
            return self.text(number)
        if major == _UINT:
            return number
        if major == _MAP:
            return self.map(self.count(number), depth)
        if major == _ARRAY:
            return [self.value(depth + 1) for _ in range(self.count(number))]
        if major == _NINT:
            return -1 - number
        if major == _SIMPLE:
            return _SIMPLE_VALUES[number]
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
        data = self.data
        for _ in range(count):
            start = self.offset
            end = start + (_NAME_BYTES[data[start]] if start < len(data) else 0)
            key: Value
            if start < end <= len(data) and data[start:end].isascii():  # a field's name, as nearly all keys are
                raw = data[start:end]
                self.offset = end
                key = raw[1:].decode()
            else:
                key = self.value(depth + 1)
                raw = data[start : self.offset]
            if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
                raise self.fail("map keys are integers, text or bytes")
            if raw <= previous:
                raise self.fail("map keys out of order or repeated")
            previous = raw
            items[key] = self.value(depth + 1)
        return items
