"""Typed reading of decoded maps: a missing, surplus or ill-typed field is malformed, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base import canonical

if TYPE_CHECKING:
    from collections.abc import Collection

    from strongroom.base.errors import Malformed

__all__ = ["Fields"]


class Fields:
    """The fields of one decoded map.

    Every accessor consumes its field; ``done`` refuses whatever was not asked for, so an unknown field in one of
    our own structures is an error and not a silence.
    """

    __slots__ = ("_error", "_left", "_path")

    def __init__(self, value: canonical.Value, *, path: str, error: type[Malformed]) -> None:
        if not isinstance(value, dict):
            raise error("not a map", path=path)
        self._left = dict(value)
        self._path = path
        self._error = error

    @classmethod
    def decode(cls, data: bytes, *, path: str, error: type[Malformed], max_bytes: int) -> Fields:
        """Decode canonical bytes that must hold a map."""
        return cls(canonical.decode(data, path=path, error=error, max_bytes=max_bytes), path=path, error=error)

    def _take(self, name: str) -> canonical.Value:
        if name not in self._left:
            raise self._error(f"field {name!r} is missing", path=self._path)
        return self._left.pop(name)

    def fail(self, rule: str) -> Malformed:
        """Build the error for a broken rule of this structure."""
        return self._error(rule, path=self._path)

    def byte_string(self, name: str, *, length: int | None = None, at_most: int | None = None) -> bytes:
        """Take a byte string of an exact or a greatest length, in bytes."""
        value = self._take(name)
        if not isinstance(value, bytes):
            raise self.fail(f"field {name!r} is not a byte string")
        if length is not None and len(value) != length:
            raise self.fail(f"field {name!r} has {len(value)} bytes, not {length}")
        if at_most is not None and len(value) > at_most:
            raise self.fail(f"field {name!r} has {len(value)} bytes, at most {at_most}")
        return value

    def optional_byte_string(self, name: str, *, length: int | None = None, at_most: int | None = None) -> bytes | None:
        """Take a byte string or null; the field itself must be there."""
        if name in self._left and self._left[name] is None:
            self._left.pop(name)
            return None
        return self.byte_string(name, length=length, at_most=at_most)

    def text(self, name: str, *, at_most: int) -> str:
        """Take a text of at most ``at_most`` characters."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a text of at most {at_most} characters")
        return value

    def number(self, name: str, *, at_most: int = (1 << 63) - 1) -> int:
        """Take a number from 0 to ``at_most``."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= at_most:
            raise self.fail(f"field {name!r} is not a number from 0 to {at_most}")
        return value

    def exactly(self, name: str, expected: str | int) -> None:
        """Take a field that has only one legal value: a label or a version."""
        value = self._take(name)
        if isinstance(value, bool) or value != expected:
            raise self.fail(f"field {name!r} is not {expected!r}")

    def byte_strings(self, name: str, *, length: int | None = None, at_most: int) -> tuple[bytes, ...]:
        """Take a list of at most ``at_most`` byte strings."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a list of at most {at_most}")
        items = tuple(item for item in value if isinstance(item, bytes) and length in (None, len(item)))
        if len(items) != len(value):
            raise self.fail(f"field {name!r} holds something else than byte strings of the right length")
        return items

    def optional_byte_strings(self, name: str, *, length: int | None = None, at_most: int) -> tuple[bytes, ...] | None:
        """Take a list of byte strings or null; the field itself must be there."""
        if name in self._left and self._left[name] is None:
            self._left.pop(name)
            return None
        return self.byte_strings(name, length=length, at_most=at_most)

    def numbers(self, name: str, *, at_most: int) -> tuple[int, ...]:
        """Take a list of at most ``at_most`` numbers."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a list of at most {at_most}")
        items = tuple(item for item in value if isinstance(item, int) and not isinstance(item, bool))
        if len(items) != len(value):
            raise self.fail(f"field {name!r} holds something else than numbers")
        return items

    def items(self, name: str, *, at_most: int) -> tuple[canonical.Value, ...]:
        """Take a list of at most ``at_most`` values, for the caller to look into."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a list of at most {at_most}")
        return tuple(value)

    def texts(self, name: str, *, at_most: int, allowed: Collection[str] | None = None) -> tuple[str, ...]:
        """Take a list of at most ``at_most`` texts, each of them ``allowed`` where that is given."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a list of at most {at_most}")
        items = tuple(item for item in value if isinstance(item, str) and (allowed is None or item in allowed))
        if len(items) != len(value):
            raise self.fail(f"field {name!r} holds something else than the texts it may hold")
        return items

    def done(self) -> None:
        """Refuse fields that nobody asked for."""
        if self._left:
            raise self.fail(f"unknown field {min(map(repr, self._left))}")
