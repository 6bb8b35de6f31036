"""The server that is attacked: where it is, what a genuine client expects of it, and how to talk to it rawly."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import httpx2

from strongroom.base.errors import StoreUnreachable
from strongroom.channel.bhttp import BinaryRequest
from strongroom.channel.client import AttestedChannel, ClientExchange, ClientTerms
from strongroom.testing.attacks.model import Accepted
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock
from strongroom.transport.outer import outer_tls
from strongroom.transport.paths import CONTENT_TYPE, EXCHANGE_PATH, MESSAGE_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from strongroom.base.clock import Clock
    from strongroom.testing.relay import Wiretap

__all__ = ["PROBE", "PROBE_PATH", "ShiftedClock", "Target"]

PROBE_PATH: Final = "/strongroom-attack-probe"
PROBE: Final = BinaryRequest(
    method=b"GET", scheme=b"https", authority=b"store", path=PROBE_PATH.encode(), headers=(), content=b""
)
"""What is asked inside the channel. Whatever the application answers, it was asked."""

_TIMEOUT_SECONDS: Final = 30.0


class ShiftedClock:
    """A clock that a client is told: another one, set forward or back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the instant that the client is told."""
        return self._clock.now() + self.ahead

    def monotonic(self) -> float:
        """Return seconds that go with it."""
        return self._clock.monotonic() + self.ahead.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One server. ``terms`` are those of a client that expects it; ``clock`` is the attacker's.

    ``other_instance`` is another instance of the same deployment, if there is one. ``patience`` bounds in seconds how
    long a slow client may be put up with, ``flood`` is how many hellos a flood has.
    """

    url: str
    terms: ClientTerms
    clock: Clock = field(default_factory=SystemClock)
    other_instance: str | None = None
    patience: float = 75.0
    flood: int = 200
    timeout_seconds: float = _TIMEOUT_SECONDS

    def http(self) -> httpx2.Client:
        """Give a plain HTTP client."""
        transport = httpx2.HTTPTransport(verify=outer_tls(), trust_env=False)
        return httpx2.Client(transport=transport, trust_env=False, timeout=self.timeout_seconds)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Post a body; gives status and body. ``StoreUnreachable`` when there is no answer."""
        try:
            with self.http() as http:
                answer = http.post(self.url + path, content=body, headers={"content-type": CONTENT_TYPE})
        except httpx2.HTTPError as cause:
            raise StoreUnreachable(f"no answer: {type(cause).__name__}") from cause
        return answer.status_code, answer.content

    def refusal(self, path: str, body: bytes, worked: str) -> str:
        """Post what has to be refused; gives how it was, raises ``Accepted`` when it was served."""
        status, answer = self.post(path, body)
        if 400 <= status < 500:
            return f"status {status}: {answer[:120].decode(errors='replace')}"
        if status == 503:
            raise StoreUnreachable("the server is too busy to be attacked")
        if status >= 500:
            raise Accepted(f"the server failed with status {status} instead of refusing")
        raise Accepted(worked)

    def channel(self) -> AttestedChannel:
        """Make an exchange as a genuine client does."""
        exchange = ClientExchange(self.terms)
        before = self.clock.monotonic()
        status, answer = self.post(EXCHANGE_PATH, exchange.hello)
        if status != 200:
            raise StoreUnreachable(f"the hello of a genuine client got status {status}")
        elapsed = self.clock.monotonic() - before
        return exchange.finish(answer, elapsed_seconds=elapsed, at=self.clock.now())

    def confirmed(self) -> AttestedChannel:
        """Make an exchange, and one request inside, so that the server keeps the channel and the key to resume it."""
        opened = self.channel()
        number, message = opened.channel.seal_request(PROBE.to_bytes())
        status, answer = self.post(MESSAGE_PATH, message)
        if status != 200:
            raise StoreUnreachable(f"the first request of a genuine client got status {status}")
        opened.channel.open_answer(answer, number)
        return opened

    @contextmanager
    def client(
        self, url: str | None = None, *, clock: Clock | None = None, **changes: object
    ) -> Iterator[tuple[httpx2.Client, AttestedTransport]]:
        """Give our reference client, at ``url`` or at the server itself; ``changes`` are of its terms."""
        terms = replace(self.terms, **changes)  # type: ignore[arg-type]
        transport = AttestedTransport(url or self.url, terms, clock=clock or self.clock)
        with httpx2.Client(transport=transport, base_url="https://store") as client:
            yield client, transport

    def tell(self, middle: Wiretap, *, clock: Clock | None = None, times: int = 1, **changes: object) -> None:
        """Let our reference client say something through somebody in the middle; raises what it raises."""
        with middle.serve() as address:
            for _ in range(times):
                with self.client(address, clock=clock, **changes) as (client, _transport):
                    client.get(PROBE_PATH)
