"""Binary HTTP messages (RFC 9292), the known-length form, padded so that a box tells little of what it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from strongroom.base.errors import MalformedMessage

__all__ = ["MAX_MESSAGE_BYTES", "BinaryRequest", "BinaryResponse"]

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_MAX_HEADERS: Final = 128
_ONE_BYTE: Final = tuple([bytes((number,)) for number in range(64)])
_PADDING_STEP: Final = 256  # bytes; short answers (an acknowledgement, a refusal) all look alike

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryRequest:
    """A request. Header names are lower case (RFC 9292 section 3.6)."""

    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    headers: Headers
    content: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Encode with framing indicator 0 and padding."""
        control = b"".join(_prefixed(part) for part in (self.method, self.scheme, self.authority, self.path))
        return _pad(_varint(0) + control + _sections(self.headers, self.content))

    @classmethod
    def from_bytes(cls, data: bytes) -> BinaryRequest:
        """Decode, or raise ``MalformedMessage``."""
        reader = _Reader(data, "request")
        if reader.varint() != 0:
            raise reader.fail("not a known-length request")
        method, scheme, authority, path = (reader.prefixed() for _ in range(4))
        headers, content = reader.sections()
        return cls(method=method, scheme=scheme, authority=authority, path=path, headers=headers, content=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryResponse:
    """A response with a final status, 200 to 599."""

    status: int
    headers: Headers
    content: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Encode with framing indicator 1 and padding."""
        return _pad(_varint(1) + _varint(self.status) + _sections(self.headers, self.content))

    @classmethod
    def from_bytes(cls, data: bytes) -> BinaryResponse:
        """Decode, or raise ``MalformedMessage``. Informational responses are not used."""
        reader = _Reader(data, "response")
        if reader.varint() != 1:
            raise reader.fail("not a known-length response")
        status = reader.varint()
        if not 200 <= status <= 599:
            raise reader.fail("not a final status")
        headers, content = reader.sections()
        return cls(status=status, headers=headers, content=content)


def _varint(number: int) -> bytes:
    """Encode as RFC 9000 section 16 has it."""
    if 0 <= number < 64:
        return _ONE_BYTE[number]
    for prefix, width in enumerate((1, 2, 4, 8)):
        if number < 1 << (8 * width - 2):
            return (prefix << (8 * width - 2) | number).to_bytes(width, "big")
    raise ValueError("too large for a variable-length integer")


def _prefixed(part: bytes) -> bytes:
    return _varint(len(part)) + part


def _sections(headers: Headers, content: bytes) -> bytes:
    lines = b"".join(_prefixed(name) + _prefixed(value) for name, value in headers)
    return _prefixed(lines) + _prefixed(content) + _varint(0)


def _pad(message: bytes) -> bytes:
    return message + bytes(-len(message) % _PADDING_STEP)


class _Reader:
    __slots__ = ("_data", "_offset", "_path")

    def __init__(self, data: bytes, path: str) -> None:
        if len(data) > MAX_MESSAGE_BYTES:
            raise MalformedMessage(f"more than {MAX_MESSAGE_BYTES} bytes", path=path)
        self._data = data
        self._path = path
        self._offset = 0

    def fail(self, rule: str) -> MalformedMessage:
        return MalformedMessage(rule, path=self._path, offset=self._offset)

    def take(self, length: int) -> bytes:
        end = self._offset + length
        if end > len(self._data):
            raise self.fail("ends too early")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def varint(self) -> int:
        first = self.take(1)
        if first[0] < 64:
            return first[0]
        width = 1 << (first[0] >> 6)
        number = int.from_bytes(first + self.take(width - 1), "big")
        return number & ((1 << (8 * width - 2)) - 1)

    def prefixed(self) -> bytes:
        return self.take(self.varint())

    def sections(self) -> tuple[Headers, bytes]:
        """Read headers, content and trailers; what follows may only be padding (RFC 9292 section 3.8).

        Sections cut off at the end count as empty, as the RFC allows.
        """
        headers = self._fields()
        content = self.prefixed() if self._offset < len(self._data) else b""
        if self._offset < len(self._data) and self.varint() != 0:
            raise self.fail("trailers are not used")
        padding = self._data[self._offset :]
        if padding.count(0) != len(padding):
            raise self.fail("padding that is not zero")
        return headers, content

    def _fields(self) -> Headers:
        if self._offset == len(self._data):
            return ()
        end = self.varint()
        end += self._offset
        if end > len(self._data):
            raise self.fail("headers end too early")
        headers: list[tuple[bytes, bytes]] = []
        while self._offset < end:
            if len(headers) == _MAX_HEADERS:
                raise self.fail(f"more than {_MAX_HEADERS} headers")
            headers.append((self.prefixed(), self.prefixed()))
        if self._offset != end:
            raise self.fail("headers do not fill their section")
        return tuple(headers)
