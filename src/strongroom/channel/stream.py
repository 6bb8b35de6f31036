"""Streamed bodies: frames under a key of one request and one direction, with an authenticated end.

A frame on the wire is ``length of the box (4, big-endian) | box``. Box number n of a stream is AES-256-GCM with
nonce n; inside are a flag, the length of the content, the content, and zeros to a multiple of 256 bytes. The key is
used for nothing else, so frames cannot be moved to another request, direction or place, and a stream without its last
frame is noticed (docs/spec/attested-channel.md 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedMessage
from strongroom.crypto.aead import TAG_BYTES, CounterBox, OpenFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHUNK_BYTES", "MAX_FIRST_BYTES", "FrameOpener", "FrameReader", "FrameSealer", "chunks_of"]

CHUNK_BYTES: Final = 64 * 1024
"""How much of a body our own ends put into one frame."""

MAX_FIRST_BYTES: Final = 2 * CHUNK_BYTES
"""How much content one frame may hold. The first one holds headers too."""

_LENGTH_BYTES: Final = 4
_INNER_HEAD: Final = 1 + _LENGTH_BYTES
_PADDING_STEP: Final = 256
_MAX_BOX_BYTES: Final = MAX_FIRST_BYTES + _INNER_HEAD + _PADDING_STEP + TAG_BYTES
_ASSOCIATED: Final = b"strongroom v1 frame"

_MORE, _END, _BROKEN = b"\x00", b"\x01", b"\x02"


def chunks_of(content: bytes) -> Iterator[bytes]:
    """Cut content into pieces that fit a frame; nothing for nothing."""
    if len(content) <= CHUNK_BYTES:
        if content:
            yield content
        return
    view = memoryview(content)
    for start in range(0, len(view), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])


class FrameSealer:
    """Seals the frames of one stream, in order. Nothing can be sealed behind the end."""

    __slots__ = ("_box", "_next", "ended")

    def __init__(self, key: bytes) -> None:
        self._box = CounterBox(key)
        self._next = 0
        self.ended = False

    def frame(self, content: bytes, *, last: bool = False) -> bytes:
        """Seal the next piece, at most ``MAX_FIRST_BYTES``; ``last`` marks the end of the stream."""
        return self._seal(_END if last else _MORE, content)

    def broken_off(self) -> bytes:
        """Seal the statement that the stream ends here and is not whole."""
        return self._seal(_BROKEN, b"")

    def _seal(self, flag: bytes, content: bytes) -> bytes:
        if self.ended:
            raise ValueError("this stream has ended")
        if len(content) > MAX_FIRST_BYTES:
            raise ValueError("too much for one frame")
        self.ended = flag != _MORE
        padding = bytes(-(_INNER_HEAD + len(content)) % _PADDING_STEP)
        inner = b"".join((flag, len(content).to_bytes(_LENGTH_BYTES, "big"), content, padding))
        box = self._box.seal(self._next, inner, _ASSOCIATED)
        self._next += 1
        return len(box).to_bytes(_LENGTH_BYTES, "big") + box


class FrameOpener:
    """Opens the frames of one stream, in order."""

    __slots__ = ("_box", "_next", "_path", "ended")

    def __init__(self, key: bytes, path: str) -> None:
        self._box = CounterBox(key)
        self._next = 0
        self._path = path
        self.ended = False

    def open(self, box: bytes) -> bytes:
        """Open the next box and give its content; ``MalformedMessage`` for any other box, or one behind the end."""
        if self.ended:
            raise MalformedMessage("more frames behind the end of the stream", path=self._path)
        try:
            inner = self._box.open(self._next, box, _ASSOCIATED)
        except OpenFailed:
            raise MalformedMessage("not the next frame of this stream", path=self._path) from None
        self._next += 1
        flag, length = inner[:1], int.from_bytes(inner[1:_INNER_HEAD], "big")
        end = _INNER_HEAD + length
        if len(inner) < _INNER_HEAD or end > len(inner) or any(inner[end:]):
            raise MalformedMessage("a frame that is not filled as it says", path=self._path)
        if flag == _BROKEN:
            raise MalformedMessage("the other end broke the stream off", path=self._path)
        if flag not in (_MORE, _END):
            raise MalformedMessage("a frame of an unknown kind", path=self._path)
        self.ended = flag == _END
        return inner[_INNER_HEAD:end]

    def finish(self) -> None:
        """Note that nothing more will come: ``MalformedMessage`` unless the end was seen."""
        if not self.ended:
            raise MalformedMessage("the stream was cut off", path=self._path)


class FrameReader:
    """Cuts bytes into boxes as they arrive. Holds at most one frame and what came with it."""

    __slots__ = ("_buffer", "_path")

    def __init__(self, path: str) -> None:
        self._buffer = bytearray()
        self._path = path

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; gives every box that is complete. ``MalformedMessage`` for a frame that would be too large."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= _LENGTH_BYTES:
                length = int.from_bytes(buffer[start : start + _LENGTH_BYTES], "big")
                if length > _MAX_BOX_BYTES:
                    raise MalformedMessage(f"a frame has more than {_MAX_BOX_BYTES} bytes", path=self._path)
                end = start + _LENGTH_BYTES + length
                if end > len(buffer):
                    break
                box = bytes(buffer[start + _LENGTH_BYTES : end])
                start = end
                yield box
        finally:
            del buffer[:start]

    def finish(self) -> None:
        """Note that nothing more will come: ``MalformedMessage`` when a part of a frame is left."""
        if self._buffer:
            raise MalformedMessage("a frame was cut off", path=self._path)
