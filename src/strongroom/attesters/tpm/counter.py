"""A counter in a TPM's non-volatile memory: it never goes back, not even by being removed and made again."""

from __future__ import annotations

import contextlib
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from strongroom.attesters.tpm.device import connect
from strongroom.attesters.tpm.session import Refused, TpmSession
from strongroom.attesters.tpm.wire import Command, Handle, counter_public, name_of, sized
from strongroom.base.errors import AnchorMoved, AnchorUnavailable, Misconfigured
from strongroom.crypto.hashing import labelled_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from strongroom.attesters.tpm.device import Connection

__all__ = ["DEFAULT_INDEX", "TpmCounter", "TpmReading"]

DEFAULT_INDEX: Final = 0x01805352
"""An index in the range that the TCG leaves to a platform's owner (Registry of Reserved TPM 2.0 Handles)."""

_NV_DEFINED: Final = 0x14C  # TPM_RC_NV_DEFINED
_COUNTER_BYTES: Final = 8
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmReading:
    """The counter, and how long the TPM has run since it was started, in milliseconds."""

    value: int
    elapsed_ms: int | None


class TpmCounter:
    """One counter. Implements ``store.freshness.FreshnessAnchor``.

    Its name holds the TPM's key, so another TPM, or this one after a clear, is another counter. The session is made
    again when the TPM was restarted.
    """

    def __init__(self, path: Path, index: int) -> None:
        self._path = path
        self._index = index
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._session: TpmSession | None = None
        self._key_name: bytes | None = None
        with self._lock:
            self._key_name = self._opened().name

    @classmethod
    def create(cls, path: Path, index: int = DEFAULT_INDEX) -> TpmCounter:
        """Define a new counter; ``Misconfigured`` when the index is in use. Needs the TPM's owner password empty."""
        counter = cls(path, index)
        public = counter_public(index, written=False)
        owner = struct.pack(">I", Handle.OWNER)  # the Name of a permanent handle is the handle
        define = sized(b"") + sized(public)
        try:
            counter._call(lambda session: session.call(Command.NV_DEFINE_SPACE, [Handle.OWNER], [owner], define))
        except Refused as refusal:
            if refusal.rc == _NV_DEFINED:
                raise Misconfigured(
                    f"the TPM's index 0x{index:08x} is in use", setting="counter", hint="choose another index"
                ) from refusal
            raise
        # the first increment gives it its value: above every counter that this TPM has ever had (Part 3, 31.8)
        counter._call(lambda session: session.call(Command.NV_INCREMENT, [index] * 2, [name_of(public)] * 2))
        return counter

    @property
    def anchor_id(self) -> bytes:
        """The hash of the TPM's key and of the counter's definition."""
        if self._key_name is None:
            raise RuntimeError("a counter is named by its constructor")
        return labelled_hash("strongroom v1 tpm counter", self._key_name, self._name)

    def read(self) -> TpmReading:
        """Give the counter and the TPM's time."""
        return self._call(self._reading, again=True)

    def advance(self, expected: int) -> TpmReading:
        """Move the counter on by one; ``AnchorMoved`` unless it was at ``expected`` and is next to it now.

        A TPM does not compare and swap, but two increments give two values: of two who increment at once only one
        can find the counter next to ``expected``, and neither does if both had incremented before either looked.
        """
        with self._lock:
            before = self.read()
            if before.value != expected:
                raise _moved(before.value, expected)
            self._call(lambda session: session.call(Command.NV_INCREMENT, [self._index] * 2, [self._name] * 2))
            after = self._call(self._reading)
        if after.value != expected + 1:
            raise _moved(after.value - 1, expected)
        return after

    def close(self) -> None:
        """Let go of the TPM."""
        with self._lock:
            self._drop()

    @property
    def _name(self) -> bytes:
        return name_of(counter_public(self._index, written=True))

    def _reading(self, session: TpmSession) -> TpmReading:
        parameters = struct.pack(">HH", _COUNTER_BYTES, 0)
        value = session.call(Command.NV_READ, [self._index] * 2, [self._name] * 2, parameters)
        time = session.call(Command.READ_CLOCK)
        if len(value) != 2 + _COUNTER_BYTES or len(time) < 8:
            raise AnchorUnavailable("the TPM's answer has a wrong length")
        # TPMS_TIME_INFO.time: since the TPM was started; unlike its clock, nobody can set it (Part 1, section 36)
        return TpmReading(value=int.from_bytes(value[2:], "big"), elapsed_ms=int.from_bytes(time[:8], "big"))

    def _call(self, action: Callable[[TpmSession], T], *, again: bool = False) -> T:
        """Act in the session; where that fails and may be done ``again``, once more in a new one."""
        with self._lock:
            try:
                return action(self._opened())
            except AnchorUnavailable:
                self._drop()
                if not again:
                    raise
            try:
                return action(self._opened())
            except AnchorUnavailable:
                self._drop()
                raise

    def _opened(self) -> TpmSession:
        if self._session is None:
            self._drop()
            self._connection = connect(self._path)
            self._session = TpmSession(self._connection)
            if self._key_name not in {None, self._session.name}:
                self._drop()
                raise AnchorUnavailable("this is another TPM, or it was cleared")
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            with contextlib.suppress(AnchorUnavailable):
                self._session.close()
        if self._connection is not None:
            self._connection.close()
        self._connection = self._session = None


def _moved(value: int, expected: int) -> AnchorMoved:
    return AnchorMoved(f"the counter was at {value}, not at {expected}")
