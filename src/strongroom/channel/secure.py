"""The channel after the exchange: numbered requests, and answers that name the request they answer.

A request is ``channel id (16) | number (8, big-endian) | box``; an answer is ``number (8) | box``. Both boxes are
AES-256-GCM under a key of their direction, with the message's number as nonce. The associated data of an answer
holds the number of its request, so an answer shown for another request does not open (docs/spec/attested-channel.md 7).
"""

from __future__ import annotations

import threading
from typing import Final

from strongroom.base.errors import MalformedMessage
from strongroom.channel.replay import ReplayWindow
from strongroom.channel.schedule import CHANNEL_ID_BYTES, KeySchedule
from strongroom.channel.stream import FrameOpener, FrameSealer
from strongroom.crypto.aead import CounterBox, OpenFailed

__all__ = ["STREAM_HEAD_BYTES", "ClientChannel", "ServerChannel", "channel_id_of"]

_NUMBER_BYTES: Final = 8
_TAG_BYTES: Final = 16
_REQUEST: Final = b"strongroom v1 request"
_ANSWER: Final = b"strongroom v1 answer"

STREAM_HEAD_BYTES: Final = CHANNEL_ID_BYTES + _NUMBER_BYTES
"""What stands before the first frame of a streamed request: the channel's identifier and the request's number."""


def channel_id_of(message: bytes) -> bytes:
    """Read the channel's identifier off a request, to find its keys."""
    if len(message) < CHANNEL_ID_BYTES + _NUMBER_BYTES + _TAG_BYTES:
        raise MalformedMessage("too short for a request", path="message")
    return message[:CHANNEL_ID_BYTES]


class _Outbox:
    """Seals under a number that is given once, across threads: one used twice would be the end of GCM."""

    __slots__ = ("_box", "_lock", "_next")

    def __init__(self, key: bytes) -> None:
        self._box = CounterBox(key)
        self._lock = threading.Lock()
        self._next = 0

    def take_number(self) -> int:
        with self._lock:
            number = self._next
            self._next += 1
        return number

    def seal(self, plaintext: bytes, associated: bytes) -> tuple[int, bytes]:
        number = self.take_number()
        return number, number.to_bytes(_NUMBER_BYTES, "big") + self._box.seal(number, plaintext, associated)


class _Inbox:
    """Opens each number once."""

    __slots__ = ("_box", "_lock", "_path", "_window")

    def __init__(self, key: bytes, path: str) -> None:
        self._box = CounterBox(key)
        self._lock = threading.Lock()
        self._window = ReplayWindow()
        self._path = path

    def open(self, message: bytes, associated: bytes) -> tuple[int, bytes]:
        if len(message) < _NUMBER_BYTES + _TAG_BYTES:
            raise MalformedMessage("too short to be sealed", path=self._path)
        number = int.from_bytes(message[:_NUMBER_BYTES], "big")
        with self._lock:
            if not self._window.may_accept(number):
                raise MalformedMessage("replayed, or too old to tell", path=self._path)
            try:
                plaintext = self._box.open(number, message[_NUMBER_BYTES:], associated)
            except OpenFailed:
                raise MalformedMessage("not sealed by the other end of this channel", path=self._path) from None
            self._window.accept(number)
        return number, plaintext

    def open_first_frame(self, number: int, opener: FrameOpener, box: bytes) -> bytes:
        """Open the first frame of stream ``number``; the number is taken with it, as by a message."""
        with self._lock:
            if not self._window.may_accept(number):
                raise MalformedMessage("replayed, or too old to tell", path=self._path)
            plaintext = opener.open(box)
            self._window.accept(number)
        return plaintext


class ClientChannel:
    """The client's end."""

    def __init__(self, keys: KeySchedule) -> None:
        self.client_binder = keys.client_binder
        self._id = keys.channel_id
        self._further = keys.further
        self._out = _Outbox(keys.client_to_server)
        self._in = _Inbox(keys.server_to_client, "answer")

    def seal_request(self, plaintext: bytes) -> tuple[int, bytes]:
        """Seal a request; returns its number, which its answer needs, and the message to send."""
        number, sealed = self._out.seal(plaintext, _REQUEST + self._id)
        return number, self._id + sealed

    def open_answer(self, message: bytes, request_number: int) -> bytes:
        """Open the answer to one request, or raise ``MalformedMessage``."""
        associated = _ANSWER + self._id + request_number.to_bytes(_NUMBER_BYTES, "big")
        return self._in.open(message, associated)[1]

    def begin_stream(self) -> tuple[int, bytes, FrameSealer]:
        """Begin a request with a streamed body: its number, what stands before the first frame, and the sealer."""
        number = self._out.take_number()
        sealer = FrameSealer(KeySchedule.stream_key(self._further, "request", number))
        return number, self._id + number.to_bytes(_NUMBER_BYTES, "big"), sealer

    def answer_stream(self, request_number: int) -> FrameOpener:
        """Give the opener of a streamed answer to one request. Ask once for each request."""
        return FrameOpener(KeySchedule.stream_key(self._further, "answer", request_number), "answer")

    def resumption_key(self) -> tuple[bytes, bytes]:
        """Give identifier and key by which the session can be resumed once."""
        return KeySchedule.resumption_of(self._further)


class ServerChannel:
    """The server's end. It counts as confirmed once a request has opened: only the client can have made one."""

    def __init__(self, keys: KeySchedule) -> None:
        self.channel_id = keys.channel_id
        self.session = keys.transcript
        self.client_binder = keys.client_binder
        self.confirmed = False
        self._further = keys.further
        self._in = _Inbox(keys.client_to_server, "request")
        self._out = _Outbox(keys.server_to_client)

    def open_request(self, message: bytes) -> tuple[int, bytes]:
        """Open a request; returns its number and plaintext. A replayed, altered or too old one is malformed."""
        number, plaintext = self._in.open(message[CHANNEL_ID_BYTES:], _REQUEST + self.channel_id)
        self.confirmed = True
        return number, plaintext

    def seal_answer(self, request_number: int, plaintext: bytes) -> bytes:
        """Seal the answer to one request."""
        associated = _ANSWER + self.channel_id + request_number.to_bytes(_NUMBER_BYTES, "big")
        return self._out.seal(plaintext, associated)[1]

    def open_stream(self, head: bytes, box: bytes) -> tuple[int, bytes, FrameOpener]:
        """Open the first frame of a streamed request; gives the request's number, what the frame holds, the opener."""
        if len(head) != STREAM_HEAD_BYTES:
            raise MalformedMessage("too short for a request", path="request")
        number = int.from_bytes(head[CHANNEL_ID_BYTES:], "big")
        opener = FrameOpener(KeySchedule.stream_key(self._further, "request", number), "request")
        plaintext = self._in.open_first_frame(number, opener, box)
        self.confirmed = True
        return number, plaintext, opener

    def answer_stream(self, request_number: int) -> FrameSealer:
        """Give the sealer of a streamed answer. A request has one answer: ask once for each request that opened."""
        return FrameSealer(KeySchedule.stream_key(self._further, "answer", request_number))

    def resumption_key(self) -> tuple[bytes, bytes]:
        """Give identifier and key by which the session can be resumed once."""
        return KeySchedule.resumption_of(self._further)
