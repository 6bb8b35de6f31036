"""One GET from a stranger, bounded in every direction: time from the first packet to the last, headers, body.

It uses httpcore2, the layer below httpx2, because that lets the time be bounded as a whole: a timeout for each read
alone lets a server that sends one byte every few seconds hold us for days. No proxy, no redirect, no cookie, no
decoding of contents, nothing from the environment.
"""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

import httpcore2

from strongroom.base.errors import MalformedCollateral, Misconfigured
from strongroom.collateral.unavailable import ResourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from types import TracebackType

__all__ = ["Answer", "Fetcher", "check_address", "tls_context"]

_SECONDS: Final = 30.0
_MAX_HEADER_BYTES: Final = 64 * 1024  # an issuer chain, URL-encoded, has about 3 KB
_MAX_WAIT_SECONDS: Final = 24 * 3600.0
_HEADERS: Final = ((b"Accept", b"*/*"), (b"Accept-Encoding", b"identity"), (b"User-Agent", b"strongroom"))
_REASONS: Final = {
    400: "the service calls the request invalid",
    401: "the service wants a subscription or a password",
    403: "the service refuses us",
    404: "the service does not know it",
    410: "the service has withdrawn it",
    429: "the service gets too many requests",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came with status 200. Header names are in lower case."""

    headers: tuple[tuple[str, bytes], ...]
    body: bytes

    def header(self, *names: str) -> bytes | None:
        """Give the one value of the first of these headers that is there; ``None`` when none is, or it differs."""
        for name in names:
            values = {value for found, value in self.headers if found == name.lower()}
            if values:
                return values.pop() if len(values) == 1 else None
        return None


class Fetcher:
    """Connections for a few requests; close it, or use it in a ``with`` block.

    ``seconds`` bounds each request as a whole, but for the look-up of the name, which the system bounds, and for
    trying further addresses of one name, which have as long each.
    """

    def __init__(self, *, tls: ssl.SSLContext, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._backend = _DeadlineBackend()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls, max_connections=4, network_backend=self._backend, http1=True, http2=False
        )

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def get(self, url: str, *, resource: str, max_bytes: int, at: datetime) -> Answer:
        """Get at most ``max_bytes``, or raise ``ResourceUnavailable``; too many bytes are ``MalformedCollateral``.

        ``at`` is now, to read a Retry-After that names an instant.
        """
        self._backend.deadline = time.monotonic() + self._seconds
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        try:
            with self._pool.stream("GET", url, headers=_HEADERS, extensions={"timeout": timeouts}) as response:
                headers = tuple((name.decode("ascii", "replace").lower(), value) for name, value in response.headers)
                if sum(len(name) + len(value) for name, value in headers) > _MAX_HEADER_BYTES:
                    raise MalformedCollateral(f"more than {_MAX_HEADER_BYTES} bytes of headers", path=resource)
                if response.status != 200:
                    _refuse(response.status, Answer(headers=headers, body=b""), resource, at)
                body = _read(response.iter_stream(), max_bytes, resource)
        except httpcore2.TimeoutException as cause:
            text = f"no complete answer within {self._seconds:g} seconds"
            raise ResourceUnavailable(text, resource=resource) from cause
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, UnicodeError) as cause:
            raise ResourceUnavailable(f"the connection failed: {_short(cause)}", resource=resource) from cause
        return Answer(headers=headers, body=body)


def check_address(url: str) -> str:
    """Give an http or https address without a slash at its end, or raise ``Misconfigured``."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        plain = url.isascii() and url.isprintable() and not set(url) & set(' ?#@"<>')
    except ValueError:
        usable = plain = False
    if not (usable and plain):
        raise Misconfigured(f"{url!r} is not an http or https address of a collateral service", setting="url")
    return url.rstrip("/")


def tls_context(ca_pem: bytes | None = None) -> ssl.SSLContext:
    """Check certificates as any client does, against the system's CAs or, where it is given, one PEM of CAs alone.

    Privacy and availability hang on it, the trust in collateral does not. Not ``create_default_context``: that writes
    TLS secrets to whatever file SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_pem is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as cause:
        raise Misconfigured("not PEM certificates", setting="ca") from cause
    return context


def _read(chunks: Iterable[bytes], limit: int, resource: str) -> bytes:
    """Read a body, giving up as soon as it is too large: whoever answers may not fill our memory."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise MalformedCollateral(f"more than {limit} bytes", path=resource)
        taken.append(chunk)
    return b"".join(taken)


def _refuse(status: int, answer: Answer, resource: str, at: datetime) -> NoReturn:
    if status in {301, 302, 303, 307, 308}:
        reason = "the service sends us elsewhere, where we do not go"
    else:
        reason = _REASONS.get(status, "the service failed" if status >= 500 else "the service refused")
    request_id = answer.header("request-id") or b""
    raise ResourceUnavailable(
        f"{reason} (status {status})",
        resource=resource,
        retry_after_seconds=_wait(answer.header("retry-after"), at),
        request_id=re.sub(rb"[^0-9A-Za-z-]", b"", request_id)[:64].decode(),
    )


def _wait(value: bytes | None, at: datetime) -> float | None:
    """Read a Retry-After in either of its forms (RFC 9110 section 10.2.3), at most a day."""
    if value is None:
        return None
    text = value.decode("ascii", "replace").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        seconds = float(text)
    else:
        try:
            seconds = (parsedate_to_datetime(text) - at).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _MAX_WAIT_SECONDS)


def _short(cause: Exception) -> str:
    return ascii(str(cause) or type(cause).__name__)[1:-1][:160]


class _DeadlineBackend(httpcore2.SyncBackend):
    """Sockets on which every wait ends at one instant at the latest."""

    def __init__(self) -> None:
        self.deadline = 0.0

    def left(self, wanted: float | None) -> float:
        """Give what is left of the time, or raise; a socket takes a timeout of zero for "do not wait"."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the time is over")
        return left if wanted is None else min(left, wanted)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect."""
        inner = super().connect_tcp(host, port, self.left(timeout), local_address, socket_options)
        return _DeadlineStream(inner, self)


class _DeadlineStream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, backend: _DeadlineBackend) -> None:
        self._inner = inner
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        tls = self._inner.start_tls(ssl_context, server_hostname, self._backend.left(timeout))
        return _DeadlineStream(tls, self._backend)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)
