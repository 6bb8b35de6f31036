"""The simulated platform's monotonic counters, as a platform with non-volatile memory of its own would have them.

Each is one small file. Like everything of the simulated platform it protects nothing from the machine's owner, who
can put the file back; it lets everything that needs a counter be run without the hardware.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AnchorMoved, AnchorUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CounterReading", "SimulatedCounter"]

_ID_BYTES: Final = 32
_VALUE_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterReading:
    """A counter's value. These counters have no clock."""

    value: int
    elapsed_ms: int | None = None


class SimulatedCounter:
    """One counter. Implements ``store.freshness.FreshnessAnchor``."""

    def __init__(self, path: Path, anchor_id: bytes) -> None:
        self._path = path
        self._id = anchor_id

    @classmethod
    def create(cls, directory: Path) -> SimulatedCounter:
        """Make a new counter, at 0, with a name that no other has."""
        anchor_id = os.urandom(_ID_BYTES)
        counter = cls(_path(directory, anchor_id), anchor_id)
        with _locked(counter._path):
            _write(counter._path, anchor_id + bytes(_VALUE_BYTES))
        return counter

    @classmethod
    def open(cls, directory: Path, anchor_id: bytes) -> SimulatedCounter:
        """Open a counter of the platform in ``directory``; ``AnchorUnavailable`` when it is not there."""
        counter = cls(_path(directory, anchor_id), anchor_id)
        counter.read()
        return counter

    @property
    def anchor_id(self) -> bytes:
        """The 32 random bytes drawn when the counter was made."""
        return self._id

    def read(self) -> CounterReading:
        """Give the counter."""
        with _locked(self._path):
            return CounterReading(value=self._value())

    def advance(self, expected: int) -> CounterReading:
        """Move the counter on by one, durably; ``AnchorMoved`` when it is not at ``expected``."""
        with _locked(self._path):
            value = self._value()
            if value != expected:
                raise AnchorMoved(f"the counter is at {value}, not at {expected}")
            _write(self._path, self._id + (value + 1).to_bytes(_VALUE_BYTES, "big"))
            return CounterReading(value=value + 1)

    def _value(self) -> int:
        content = _read(self._path)
        if content is None or content[:_ID_BYTES] != self._id:
            raise AnchorUnavailable("the simulated platform's counter was taken away or replaced")
        return int.from_bytes(content[_ID_BYTES:], "big")


def _path(directory: Path, anchor_id: bytes) -> Path:
    return directory / f"{anchor_id.hex()}.counter"


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise _unavailable("read", path, cause) from cause
    if len(content) != _ID_BYTES + _VALUE_BYTES:
        raise AnchorUnavailable(f"{path} holds no counter")
    return content


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        # Commit point: a crash before it leaves the old value, a crash after it the old or the new one, and the
        # caller was told nothing yet; once the directory is flushed, the new one.
        temporary.replace(path)
        if os.name == "posix":  # other systems cannot open a directory
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as cause:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _unavailable("written", path, cause) from cause


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other threads and processes out; where the system has no such lock, nobody waits."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as cause:
        raise _unavailable("locked", path, cause) from cause
    try:
        with contextlib.suppress(ImportError):
            import fcntl  # noqa: PLC0415 - POSIX only

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unavailable(verb: str, path: Path, cause: OSError) -> AnchorUnavailable:
    return AnchorUnavailable(f"{path} cannot be {verb}: {cause.strerror or type(cause).__name__}")
