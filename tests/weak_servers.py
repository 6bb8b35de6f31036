"""Servers that lack one check each, to prove that the attack suite can fail: what it is for.

Every one is the real middleware with one thing undone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attested import Enclave, echo
from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.channel.keyed import KeyedRequest
from strongroom.channel.messages import EVIDENCE_SGX_DCAP_3, SUITE_1, ClientHello
from strongroom.channel.replay import WINDOW, ReplayWindow
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import _ANSWER, ServerChannel
from strongroom.crypto.aead import CounterBox, OpenFailed
from strongroom.testing.attacks.target import PROBE
from strongroom.transport.asgi import AttestedService
from strongroom.transport.clock import SystemClock
from strongroom.transport.paths import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH
from strongroom.transport.table import ChannelLimits

__all__ = ["WEAKNESSES", "Weakness", "careful"]

Weakness = Callable[[Enclave], Any]
QUICK = ChannelLimits(stall_seconds=0.5)


def careful(enclave: Enclave, kind: type[AttestedService] = AttestedService, **options: Any) -> Any:
    """The middleware as it is, or a careless kind of it."""
    limits = options.pop("limits", QUICK)
    return kind(
        echo, attester=enclave, endorsements=enclave, identities=enclave, clock=SystemClock(), limits=limits, **options
    )


class Swallowing:
    """Serves what the service inside refuses with a certain sentence: it was logged, and nothing more."""

    def __init__(self, service: Any, path: str, says: str) -> None:
        self._service, self._path, self._says = service, path, says.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        said: list[Any] = []

        async def listen(message: Any) -> None:
            said.append(message)

        if scope["type"] != "http" or scope["path"] != self._path:
            await self._service(scope, receive, send)
            return
        await self._service(scope, receive, listen)
        body = b"".join(message.get("body", b"") for message in said)
        if said[0]["status"] != 200 and self._says in body:
            said[0] = {**said[0], "status": 200}
        for message in said:
            await send(message)


def swallowing(path: str, says: str) -> Weakness:
    return lambda enclave: Swallowing(careful(enclave), path, says)


class _OfChannels(AttestedService):
    """Changes each channel as it is opened."""

    def careless(self, channel: ServerChannel, keys: KeySchedule) -> None:
        raise NotImplementedError

    async def _exchange(self, hello: bytes) -> bytes:
        made: list[KeySchedule] = []
        derive = KeySchedule.derive

        def noted(secret: bytes, transcript: bytes) -> KeySchedule:
            made.append(derive(secret, transcript))
            return made[-1]

        KeySchedule.derive = staticmethod(noted)  # type: ignore[method-assign]
        try:
            answer = await super()._exchange(hello)
        finally:
            KeySchedule.derive = derive  # type: ignore[method-assign]
        for keys in made:
            if (entry := self._channels._unconfirmed.get(keys.channel_id)) is not None:
                self.careless(entry.channel, keys)
        return answer


class _Forgetful(ReplayWindow):
    """Remembers which number was the newest, and not which were seen."""

    __slots__ = ()

    def may_accept(self, number: int) -> bool:
        return self._next - 1 - number < WINDOW


class _Endless(ReplayWindow):
    """Takes what is too old to tell."""

    __slots__ = ()

    def may_accept(self, number: int) -> bool:
        return self._next - 1 - number >= WINDOW or super().may_accept(number)


class ServesTwice(_OfChannels):
    def careless(self, channel: ServerChannel, keys: KeySchedule) -> None:
        channel._in._window = _Forgetful()


class ServesTheOld(_OfChannels):
    def careless(self, channel: ServerChannel, keys: KeySchedule) -> None:
        channel._in._window = _Endless()


class _Box:
    """Opens as the real one does, and what another way of opening opens."""

    def __init__(self, real: CounterBox, other: Callable[[int, bytes, bytes], bytes]) -> None:
        self._real, self._other = real, other

    def open(self, number: int, box: bytes, associated: bytes) -> bytes:
        try:
            return self._real.open(number, box, associated)
        except OpenFailed:
            return self._other(number, box, associated)


class IgnoresABit(_OfChannels):
    """Compares all of the tag but its last bit."""

    def careless(self, channel: ServerChannel, keys: KeySchedule) -> None:
        real = channel._in._box
        channel._in._box = _Box(real, lambda n, box, ad: real.open(n, box[:-1] + bytes([box[-1] ^ 1]), ad))  # type: ignore[assignment]


class KnowsNoDirection(_OfChannels):
    """Opens with the key of either direction."""

    def careless(self, channel: ServerChannel, keys: KeySchedule) -> None:
        own = CounterBox(keys.server_to_client)

        def either(number: int, box: bytes, _associated: bytes) -> bytes:
            for asked in range(4):
                try:
                    own.open(number, box, _ANSWER + keys.channel_id + asked.to_bytes(8, "big"))
                    return PROBE.to_bytes()  # as if what an answer holds were a request as well
                except OpenFailed:
                    continue
            raise OpenFailed

        channel._in._box = _Box(channel._in._box, either)  # type: ignore[assignment]


class MixesChannels(_OfChannels):
    """Opens with the keys of any channel that there is."""

    def careless(self, channel: ServerChannel, keys: KeySchedule) -> None:
        others = list(self._channels._unconfirmed.values())

        def any_other(number: int, box: bytes, _associated: bytes) -> bytes:
            for entry in others:
                found = entry.channel
                inner = found._in._box
                if found is not channel:
                    try:
                        return getattr(inner, "_real", inner).open(
                            number, box, b"strongroom v1 request" + found.channel_id
                        )
                    except OpenFailed:
                        continue
            raise OpenFailed

        channel._in._box = _Box(channel._in._box, any_other)  # type: ignore[assignment]


class Helpful(AttestedService):
    """Changes a hello into one that can be answered. ``help`` says how."""

    def help(self, hello: dict[Any, Any]) -> dict[Any, Any]:
        raise NotImplementedError

    async def _exchange(self, hello: bytes) -> bytes:
        value = canonical.decode(hello, path="hello", max_bytes=4096)
        if isinstance(value, dict):
            hello = canonical.encode(self.help(value))
        return await super()._exchange(hello)


class TakesAnySuite(Helpful):
    def help(self, hello: dict[Any, Any]) -> dict[Any, Any]:
        return hello if SUITE_1 in hello["suites"] else {**hello, "suites": [SUITE_1]}


class TakesAnyEvidence(Helpful):
    def help(self, hello: dict[Any, Any]) -> dict[Any, Any]:
        return hello if EVIDENCE_SGX_DCAP_3 in hello["evidence"] else {**hello, "evidence": [EVIDENCE_SGX_DCAP_3]}


class TakesAnyVersion(Helpful):
    def help(self, hello: dict[Any, Any]) -> dict[Any, Any]:
        return hello if hello["version"] == 1 else {**hello, "version": 1}


class IgnoresTheUnknown(Helpful):
    def help(self, hello: dict[Any, Any]) -> dict[Any, Any]:
        return {name: value for name, value in hello.items() if name != "critical"}


class AnswersFromMemory(AttestedService):
    """Gives one answer to one hello, however often it is sent."""

    kept: dict[bytes, bytes]

    async def _exchange(self, hello: bytes) -> bytes:
        self.kept = getattr(self, "kept", {})
        if hello not in self.kept:
            self.kept[hello] = await super()._exchange(hello)
        return self.kept[hello]


class KeepsKeys(AttestedService):
    """Does not forget a key that was used; a request that is the very same is noticed."""

    seen: set[bytes]

    def _resume(self, request: KeyedRequest) -> bytes:
        self.seen = getattr(self, "seen", set())
        if request.encoded in self.seen:
            return super()._resume(replace(request, key_id=bytes(16)))
        self.seen.add(request.encoded)
        kept = self._resumptions._kept.get(request.key_id)
        answer = super()._resume(request)
        if kept is not None:
            self._resumptions._kept[request.key_id] = kept
        return answer


class AsksForNoProof(AttestedService):
    """Resumes for whoever names the session."""

    def _resume(self, request: KeyedRequest) -> bytes:
        kept = self._resumptions._kept.get(request.key_id)
        if kept is None or request.is_proven_by(kept.key):
            return super()._resume(request)
        return b"as you wish"


class KeepsUnconfirmed(AttestedService):
    """Keeps the key of a session before its client has shown that it has it."""

    async def _exchange(self, hello: bytes) -> bytes:
        before = set(self._channels._unconfirmed)
        answer = await super()._exchange(hello)
        for name in set(self._channels._unconfirmed) - before:
            entry = self._channels._unconfirmed[name]
            if entry.origin is not None:
                self._resumptions.keep(entry.channel.resumption_key(), entry.origin)
        return answer


class GarbageIsFine(AttestedService):
    """Answers what is no hello."""

    async def _exchange(self, hello: bytes) -> bytes:
        try:
            ClientHello.from_bytes(hello)
        except MalformedMessage:
            if hello[:1] not in (b"\xa7", b"\xa8"):  # no map as a hello is one
                return b"hello to you"
            raise
        return await super()._exchange(hello)


class TakesWeakKeys(AttestedService):
    async def _exchange(self, hello: bytes) -> bytes:
        if ClientHello.from_bytes(hello).kem_key == bytes(1216):
            return b"a secret for everybody"
        return await super()._exchange(hello)


WEAKNESSES: dict[str, Weakness] = {
    "message-altered": lambda enclave: careful(enclave, IgnoresABit),
    "message-too-old": lambda enclave: careful(enclave, ServesTheOld),
    "message-of-the-other-direction": lambda enclave: careful(enclave, KnowsNoDirection),
    "message-of-another-channel": lambda enclave: careful(enclave, MixesChannels),
    "message-to-no-channel": swallowing(MESSAGE_PATH, "does not know the channel"),
    "stream-truncated": swallowing(STREAM_PATH, "the stream was cut off"),
    "hello-unknown-suite": lambda enclave: careful(enclave, TakesAnySuite),
    "hello-unknown-evidence": lambda enclave: careful(enclave, TakesAnyEvidence),
    "hello-of-another-version": lambda enclave: careful(enclave, TakesAnyVersion),
    "hello-unknown-field": lambda enclave: careful(enclave, IgnoresTheUnknown),
    "hello-weak-key": lambda enclave: careful(enclave, TakesWeakKeys),
    "hello-too-large": swallowing(EXCHANGE_PATH, "more than 4096 bytes"),
    "hello-garbage": lambda enclave: careful(enclave, GarbageIsFine),
    "hello-replayed": lambda enclave: careful(enclave, AnswersFromMemory),
    "resumption-used-twice": lambda enclave: careful(enclave, KeepsKeys),
    "resumption-unproven": lambda enclave: careful(enclave, AsksForNoProof),
    "resumption-unconfirmed": lambda enclave: careful(enclave, KeepsUnconfirmed),
    "shared-key-unknown": swallowing(KEYED_PATH, "no shared key"),
    "slow-clients": lambda enclave: careful(enclave, limits=ChannelLimits(stall_seconds=3600.0)),
    "flood-of-hellos": lambda enclave: careful(enclave, limits=replace(QUICK, max_channels=20)),
}
"""By the one attack that works on it."""
