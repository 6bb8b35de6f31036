"""Attacks on the server itself: what it must not serve, whoever asks."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, StoreUnreachable
from strongroom.channel.bhttp import BinaryResponse
from strongroom.channel.client import ClientExchange
from strongroom.channel.keyed import ClientKeyedExchange, KeyedMode
from strongroom.channel.messages import AnswerCore, ClientHello, ServerAnswer
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.stream import FrameSealer
from strongroom.testing.attacks.model import Accepted, Attack, NotApplicable
from strongroom.testing.attacks.target import PROBE
from strongroom.transport.paths import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.channel.client import AttestedChannel
    from strongroom.testing.attacks.target import Target

__all__ = ["ON_THE_SERVER"]

_WINDOW_AND_MORE: Final = 1200
_HEAD: Final = 16 + 8


# messages


def _sealed(opened: AttestedChannel) -> bytes:
    return opened.channel.seal_request(PROBE.to_bytes())[1]


def _served(target: Target, path: str, body: bytes) -> bytes:
    status, answer = target.post(path, body)
    if status != 200:
        raise StoreUnreachable(f"a genuine request got status {status}")
    return answer


def _replayed(target: Target) -> str:
    message = _sealed(target.channel())
    _served(target, MESSAGE_PATH, message)
    return target.refusal(MESSAGE_PATH, message, "a message was served twice")


def _altered(change: Callable[[bytes], bytes], worked: str) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        return target.refusal(MESSAGE_PATH, change(_sealed(target.channel())), worked)

    return run


def _renumbered(message: bytes) -> bytes:
    number = int.from_bytes(message[16:_HEAD], "big") + 1
    return message[:16] + number.to_bytes(8, "big") + message[_HEAD:]


def _too_old(target: Target) -> str:
    opened = target.channel()
    first = _sealed(opened)
    for _ in range(_WINDOW_AND_MORE):
        opened.channel.begin_stream()  # takes a number, and sends nothing
    _served(target, MESSAGE_PATH, _sealed(opened))
    return target.refusal(MESSAGE_PATH, first, "a message far behind the newest was served")


def _other_direction(target: Target) -> str:
    opened = target.channel()
    opened.channel.begin_stream()  # number 0 stays unused, and the server's first answer has it
    message = _sealed(opened)
    answer = _served(target, MESSAGE_PATH, message)
    return target.refusal(MESSAGE_PATH, message[:16] + answer, "the server's own answer was served as a request")


def _another_channel(target: Target) -> str:
    one, other = target.channel(), target.channel()
    body = _sealed(other)[:16] + _sealed(one)[16:]
    return target.refusal(MESSAGE_PATH, body, "a message of one channel was served in another")


def _unknown_channel(target: Target) -> str:
    return target.refusal(MESSAGE_PATH, os.urandom(16) + bytes(8) + os.urandom(64), "an unknown channel was served")


# streams


def _stream(opened: AttestedChannel) -> list[bytes]:
    """A streamed request: what stands before the frames, a first frame, one of body, the end."""
    _, head, sealer = opened.channel.begin_stream()
    return [head, sealer.frame(PROBE.to_bytes()), sealer.frame(b"body"), sealer.frame(b"", last=True)]


def _stream_replayed(target: Target) -> str:
    body = b"".join(_stream(target.channel()))
    _served(target, STREAM_PATH, body)
    return target.refusal(STREAM_PATH, body, "a streamed request was served twice")


def _streamed(change: Callable[[list[bytes]], list[bytes]], worked: str) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        opened = target.channel()
        frames = _stream(opened)
        status, answer = target.post(STREAM_PATH, b"".join(change(frames)))
        if status != 200:
            return f"status {status}: {answer[:120].decode(errors='replace')}"
        # an application that wants no body may answer before it has come: only a success says that it took this one
        try:
            inner = opened.channel.open_answer(answer, int.from_bytes(frames[0][16:_HEAD], "big"))
            inside = BinaryResponse.from_bytes(inner).status
        except Malformed:
            raise Accepted(worked) from None
        if inside < 400:
            raise Accepted(worked)
        return f"status {inside} inside the channel, without the body"

    return run


def _used_number(target: Target) -> str:
    opened = target.channel()
    message = _sealed(opened)
    _served(target, MESSAGE_PATH, message)
    key = KeySchedule.stream_key(opened.channel._further, "request", int.from_bytes(message[16:_HEAD], "big"))
    sealer = FrameSealer(key)
    body = message[:_HEAD] + sealer.frame(PROBE.to_bytes()) + sealer.frame(b"", last=True)
    return target.refusal(STREAM_PATH, body, "a stream was served under the number of a message")


# hellos


def _hello(**changes: Any) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        hello = ClientHello.from_bytes(ClientExchange(target.terms).hello)
        return target.refusal(EXCHANGE_PATH, replace(hello, **changes).to_bytes(), "such a hello was answered")

    return run


def _raw_hello(change: Callable[[dict[Any, Any]], object]) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        value = canonical.decode(ClientExchange(target.terms).hello, path="hello", max_bytes=8192)
        if not isinstance(value, dict):
            raise TypeError("a hello is a map")
        return target.refusal(EXCHANGE_PATH, canonical.encode(change(dict(value))), "such a hello was answered")

    return run


def _replayed_hello(target: Target) -> str:
    hello = ClientExchange(target.terms).hello
    cores = [AnswerCore.from_bytes(ServerAnswer.from_bytes(_served(target, EXCHANGE_PATH, hello)).core) for _ in "ab"]
    if cores[0].sealed_secret == cores[1].sealed_secret:
        raise Accepted("one hello, sent twice, got one secret twice: the first client's session is not fresh")
    return "a fresh secret for each"


def _garbage(target: Target) -> str:
    return target.refusal(EXCHANGE_PATH, os.urandom(600), "random bytes were answered as a hello")


# resumption


def _key(opened: AttestedChannel) -> tuple[bytes, bytes]:
    return opened.channel.resumption_key()


def _keyed(key_id: bytes, key: bytes, *, mode: KeyedMode = KeyedMode.RESUMPTION) -> bytes:
    return ClientKeyedExchange(mode, key_id=key_id, key=key).request


def _resumption_replayed(target: Target) -> str:
    request = _keyed(*_key(target.confirmed()))
    if target.post(KEYED_PATH, request)[0] != 200:
        raise NotApplicable("this server resumes no sessions")
    return target.refusal(KEYED_PATH, request, "a recorded resumption was answered twice")


def _resumption_used_twice(target: Target) -> str:
    key = _key(target.confirmed())
    if target.post(KEYED_PATH, _keyed(*key))[0] != 200:
        raise NotApplicable("this server resumes no sessions")
    return target.refusal(KEYED_PATH, _keyed(*key), "a session was resumed twice")


def _resumption_unproven(target: Target) -> str:
    key_id, _ = _key(target.confirmed())
    return target.refusal(KEYED_PATH, _keyed(key_id, os.urandom(32)), "a session was resumed without its key")


def _resumption_unconfirmed(target: Target) -> str:
    return target.refusal(
        KEYED_PATH, _keyed(*_key(target.channel())), "a session was resumed before a client had shown its keys"
    )


def _shared_key_unknown(target: Target) -> str:
    request = _keyed(os.urandom(16), os.urandom(32), mode=KeyedMode.SHARED_KEY)
    return target.refusal(KEYED_PATH, request, "a shared key that nobody has was accepted")


def _attack(name: str, what: str, run: Callable[[Target], str]) -> Attack:
    return Attack(name=name, where="server", what=what, run=run)


ON_THE_SERVER: Final = (
    _attack("message-replayed", "a sealed request, sent again", _replayed),
    _attack("message-renumbered", "a sealed request under the next number", _altered(_renumbered, "it was served")),
    _attack("message-too-old", "a sealed request far behind the newest", _too_old),
    _attack("message-truncated", "a sealed request without its last byte", _altered(lambda m: m[:-1], "it was served")),
    _attack(
        "message-altered",
        "a sealed request with its last bit flipped",
        _altered(lambda m: m[:-1] + bytes([m[-1] ^ 1]), "it was served"),
    ),
    _attack("message-of-the-other-direction", "the server's own answer as a request", _other_direction),
    _attack("message-of-another-channel", "a sealed request in another channel", _another_channel),
    _attack("message-to-no-channel", "a request in a channel that there is not", _unknown_channel),
    _attack("stream-replayed", "a streamed request, sent again", _stream_replayed),
    _attack("stream-truncated", "a stream without its end", _streamed(lambda f: f[:-1], "half a body was served")),
    _attack(
        "stream-frame-dropped",
        "a stream that lacks a frame in the middle",
        _streamed(lambda f: [*f[:2], f[3]], "it was served"),
    ),
    _attack(
        "stream-frames-reordered",
        "a stream with two frames in the wrong order",
        _streamed(lambda f: [*f[:2], f[3], f[2]], "it was served"),
    ),
    _attack("stream-under-a-used-number", "a stream under the number of a message that was served", _used_number),
    _attack("hello-unknown-suite", "a hello that offers no suite that exists", _hello(suites=(4242,))),
    _attack("hello-unknown-evidence", "a hello that can appraise nothing", _hello(evidence_kinds=("none",))),
    _attack("hello-of-another-version", "a hello of version 2", _raw_hello(lambda hello: {**hello, "version": 2})),
    _attack("hello-unknown-field", "a hello with an unknown field", _raw_hello(lambda hello: {**hello, "critical": 1})),
    _attack("hello-weak-key", "a hello whose key is all zeros", _hello(kem_key=bytes(1216))),
    _attack("hello-too-large", "a hello of 100 KB", _raw_hello(lambda hello: {**hello, "nonce": bytes(100_000)})),
    _attack("hello-garbage", "random bytes for a hello", _garbage),
    _attack("hello-replayed", "a recorded hello, sent again", _replayed_hello),
    _attack("resumption-replayed", "a recorded resumption, sent again", _resumption_replayed),
    _attack("resumption-used-twice", "a session resumed twice", _resumption_used_twice),
    _attack("resumption-unproven", "a session's name without its key", _resumption_unproven),
    _attack("resumption-unconfirmed", "a session that no client confirmed", _resumption_unconfirmed),
    _attack("shared-key-unknown", "a shared key that the server does not have", _shared_key_unknown),
)
