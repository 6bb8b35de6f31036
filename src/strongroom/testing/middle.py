"""People in the middle who do one thing each to what passes: they splice, replay, divert, resume, weaken.

Each is a ``relay.Wiretap`` that passes on all the rest, so that what happens is the doing of that one thing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from strongroom.channel.bhttp import BinaryResponse
from strongroom.channel.keyed import KeyedRequest, ServerKeyedExchange
from strongroom.channel.messages import AnswerCore, ClientHello, ServerAnswer
from strongroom.testing.relay import Wiretap
from strongroom.transport.paths import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH

if TYPE_CHECKING:
    from strongroom.channel.secure import ServerChannel

__all__ = ["Diverting", "Downgrading", "KeylessRelay", "Replaying", "Resuming", "Splicing", "SplicingKeyed"]


class Splicing(Wiretap):
    """Lets each client have the answer of the genuine service, with the proof that another client got."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.previous: ServerAnswer | None = None

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, or not."""
        status, answer = await super().pass_on(path, body)
        if path == EXCHANGE_PATH and status == 200:
            parsed = ServerAnswer.from_bytes(answer)
            if self.previous is not None:
                answer = replace(parsed, attestation=self.previous.attestation).to_bytes()
            self.previous = parsed
        return status, answer


class Replaying(Wiretap):
    """Answers every hello with the first answer."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.first: bytes | None = None

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, or not."""
        if path == EXCHANGE_PATH and self.first is not None:
            return 200, self.first
        status, answer = await super().pass_on(path, body)
        self.first = self.first or answer
        return status, answer


class Downgrading(Wiretap):
    """Weakens what the client asks, or what the server chose."""

    def __init__(
        self, genuine_url: str, *, hello: dict[str, Any] | None = None, core: dict[str, Any] | None = None
    ) -> None:
        super().__init__(genuine_url)
        self.hello = hello or {}
        self.core = core or {}

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, or not."""
        if path == EXCHANGE_PATH:
            body = replace(ClientHello.from_bytes(body), **self.hello).to_bytes()
        status, answer = await super().pass_on(path, body)
        if path == EXCHANGE_PATH and status == 200 and self.core:
            parsed = ServerAnswer.from_bytes(answer)
            core = replace(AnswerCore.from_bytes(parsed.core), **self.core)
            answer = replace(parsed, core=core.to_bytes()).to_bytes()
        return status, answer


class Resuming(Wiretap):
    """Passes everything on until told otherwise; ``requests`` and ``answers`` are those of keyed exchanges."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.paths: list[str] = []
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, or not."""
        self.paths.append(path)
        if path != KEYED_PATH:
            return await super().pass_on(path, body)
        self.requests.append(body)
        status, answer = await self.keyed(body)
        self.answers.append(answer)
        return status, answer

    async def keyed(self, body: bytes) -> tuple[int, bytes]:
        """Take part in a keyed exchange."""
        return await super().pass_on(KEYED_PATH, body)


class KeylessRelay(Resuming):
    """Answers keyed exchanges itself, with a key of its own, and reads what follows if it can."""

    def __init__(self, genuine_url: str, deployment: bytes, collateral_digest: bytes | None) -> None:
        super().__init__(genuine_url)
        self.said: dict[str, Any] = {"deployment": deployment, "epoch": 1, "collateral_digest": collateral_digest}
        self.channels: dict[bytes, ServerChannel] = {}
        self.read: list[bytes] = []

    async def keyed(self, body: bytes) -> tuple[int, bytes]:
        """Take part in a keyed exchange."""
        exchange = ServerKeyedExchange(KeyedRequest.from_bytes(body), bytes(32), **self.said)
        channel = exchange.channel()
        self.channels[channel.channel_id] = channel
        return 200, exchange.answer

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, or not."""
        channel = self.channels.get(body[:16]) if path == MESSAGE_PATH else None
        if channel is None:
            return await super().pass_on(path, body)
        number, request = channel.open_request(body)
        self.read.append(request)
        return 200, channel.seal_answer(number, BinaryResponse(status=200, headers=(), content=b"thanks").to_bytes())


class Diverting(Resuming):
    """Leads keyed exchanges, and all that follows, to another instance."""

    def __init__(self, genuine_url: str, other_url: str) -> None:
        super().__init__(genuine_url)
        self._other = other_url

    async def keyed(self, body: bytes) -> tuple[int, bytes]:
        """Take part in a keyed exchange."""
        self._genuine = self._other
        return await super().keyed(body)


class SplicingKeyed(Resuming):
    """Gives each client the next of ``previous``, answers that others got, while there are any."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.previous: list[bytes] = []

    async def keyed(self, body: bytes) -> tuple[int, bytes]:
        """Take part in a keyed exchange."""
        status, answer = await super().keyed(body)
        return status, self.previous.pop(0) if self.previous else answer
