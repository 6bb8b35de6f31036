"""Network backends for httpcore2 whose streams can be written to only after a verdict, and while it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpcore2

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from strongroom.base.clock import Clock
    from strongroom.ratls.peer import KeyBoundPeer

__all__ = ["PEER", "AppraisingAsyncBackend", "AppraisingBackend"]

PEER: Final = "strongroom.peer"
"""The name under which a stream gives the verdict on its peer (``get_extra_info``)."""


class AppraisingBackend(httpcore2.NetworkBackend):
    """Connects, completes TLS, and has ``judge`` look at the ``ssl_object`` before it gives the stream away."""

    def __init__(self, judge: Callable[[Any], KeyBoundPeer], clock: Clock) -> None:
        self._inner = httpcore2.SyncBackend()
        self._judge = judge
        self._clock = clock

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        """Open a TCP connection that only TLS can be started on."""
        return _Unappraised(self._inner.connect_tcp(*args, **options), self._judge, self._clock)

    def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        """Not offered: nothing there has an address that a certificate is for."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._inner.sleep(seconds)


class _Unappraised(httpcore2.NetworkStream):
    """A TCP connection. It has no write: what a connection pool can write to comes out of ``start_tls``, judged."""

    def __init__(self, inner: httpcore2.NetworkStream, judge: Callable[[Any], KeyBoundPeer], clock: Clock) -> None:
        self._inner = inner
        self._judge = judge
        self._clock = clock

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def start_tls(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        tls = self._inner.start_tls(*args, **options)
        try:
            peer = self._judge(tls.get_extra_info("ssl_object"))
        except BaseException:
            tls.close()
            raise
        return _Appraised(tls, peer, self._clock)


class _Appraised(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, peer: KeyBoundPeer, clock: Clock) -> None:
        self._inner = inner
        self._peer = peer
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        _require_standing(self._peer, self._clock)
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        own, value = _own_info(info, self._peer, self._clock)
        return value if own else self._inner.get_extra_info(info)


class AppraisingAsyncBackend(httpcore2.AsyncNetworkBackend):
    """The same for async."""

    def __init__(self, judge: Callable[[Any], Awaitable[KeyBoundPeer]], clock: Clock) -> None:
        self._inner = httpcore2.AnyIOBackend()
        self._judge = judge
        self._clock = clock

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """Open a TCP connection that only TLS can be started on."""
        return _AsyncUnappraised(await self._inner.connect_tcp(*args, **options), self._judge, self._clock)

    async def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """Not offered: nothing there has an address that a certificate is for."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


class _AsyncUnappraised(httpcore2.AsyncNetworkStream):
    def __init__(
        self, inner: httpcore2.AsyncNetworkStream, judge: Callable[[Any], Awaitable[KeyBoundPeer]], clock: Clock
    ) -> None:
        self._inner = inner
        self._judge = judge
        self._clock = clock

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    async def start_tls(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        tls = await self._inner.start_tls(*args, **options)
        try:
            peer = await self._judge(tls.get_extra_info("ssl_object"))
        except BaseException:
            await tls.aclose()
            raise
        return _AsyncAppraised(tls, peer, self._clock)


class _AsyncAppraised(httpcore2.AsyncNetworkStream):
    def __init__(self, inner: httpcore2.AsyncNetworkStream, peer: KeyBoundPeer, clock: Clock) -> None:
        self._inner = inner
        self._peer = peer
        self._clock = clock

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        _require_standing(self._peer, self._clock)
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        own, value = _own_info(info, self._peer, self._clock)
        return value if own else self._inner.get_extra_info(info)


def _own_info(info: str, peer: KeyBoundPeer, clock: Clock) -> tuple[bool, object]:
    if info == PEER:
        return True, peer
    # an idle connection that can be read has been closed by its server; one whose verdict has ended is as good as that,
    # and the pool then opens another, which is judged anew
    if info == "is_readable" and clock.now() > peer.expires_at:
        return True, True
    return False, None


def _require_standing(peer: KeyBoundPeer, clock: Clock) -> None:
    now = clock.now()
    if now > peer.expires_at:
        raise AppraisalRefused(
            [
                Finding(
                    check=Check.EXPIRY,
                    message="the verdict on this connection has expired",
                    section="ra-tls 5.2",
                    expected=f"until {peer.expires_at.isoformat()}",
                    actual=now.isoformat(),
                )
            ]
        )
