"""A cursor over untrusted bytes: every read is bounded by what is there, and says where it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strongroom.base.errors import Malformed

__all__ = ["ByteCursor"]


class ByteCursor:
    """Reads forward through ``data``; running out raises ``error`` with the offset and the field's name."""

    __slots__ = ("_data", "_error", "_path", "offset")

    def __init__(self, data: bytes, *, path: str, error: type[Malformed]) -> None:
        self._data = data
        self._path = path
        self._error = error
        self.offset = 0

    def take(self, length: int, field: str) -> bytes:
        """Take exactly ``length`` bytes."""
        end = self.offset + length
        if end > len(self._data):
            raise self.fail(f"{field} needs {length} bytes, {len(self._data) - self.offset} are left")
        taken = self._data[self.offset : end]
        self.offset = end
        return taken

    def u16(self, field: str) -> int:
        """Take a little-endian unsigned 16-bit number."""
        return int.from_bytes(self.take(2, field), "little")

    def u32(self, field: str) -> int:
        """Take a little-endian unsigned 32-bit number."""
        return int.from_bytes(self.take(4, field), "little")

    def u64(self, field: str) -> int:
        """Take a little-endian unsigned 64-bit number."""
        return int.from_bytes(self.take(8, field), "little")

    def rest(self) -> bytes:
        """Take whatever is left, possibly nothing."""
        return self.take(len(self._data) - self.offset, "rest")

    @property
    def remaining(self) -> int:
        """How many bytes have not been taken."""
        return len(self._data) - self.offset

    def expect_end(self) -> None:
        """Refuse bytes after the last field."""
        if self.remaining:
            raise self.fail(f"{self.remaining} bytes after the last field")

    def fail(self, rule: str) -> Malformed:
        """Build the error for a broken rule at the place reached so far."""
        return self._error(rule, path=self._path, offset=self.offset)
