"""Attacks by number and by slowness. Bounded: they show whether others are kept out, not how much a server bears."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from strongroom.base.errors import StrongroomError
from strongroom.channel.client import ClientExchange
from strongroom.testing.attacks.model import Accepted, Attack, named
from strongroom.testing.attacks.target import PROBE_PATH
from strongroom.transport.outer import outer_tls
from strongroom.transport.paths import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH

if TYPE_CHECKING:
    from strongroom.testing.attacks.target import Target

__all__ = ["BY_LOAD"]

_SLOW: Final = 20
_AT_ONCE: Final = 16
_BUSY: Final = {200, 429, 503}
_PATHS: Final = (EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH)


def _genuine(target: Target, when: str) -> None:
    try:
        with target.client() as (client, _):
            client.get(PROBE_PATH)
    except StrongroomError as error:
        raise Accepted(f"{when}, a genuine client was not served: {named(error)}") from error


def _flood(target: Target) -> str:
    def hello(_number: int) -> int:
        return target.post(EXCHANGE_PATH, ClientExchange(target.terms).hello)[0]

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        pending = [pool.submit(hello, number) for number in range(target.flood)]
        _genuine(target, "during a flood of hellos")
        statuses = [item.result() for item in pending]
    if strange := sorted(set(statuses) - _BUSY):
        raise Accepted(f"the flood brought statuses {strange}")
    _genuine(target, "after a flood of hellos")
    return f"{target.flood} hellos, {statuses.count(200)} answered, others served meanwhile"


def _slow(target: Target) -> str:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(_connected(target, _PATHS[place % 4])) for place in range(_SLOW)]
        _genuine(target, f"beside {_SLOW} slow clients")
        until = time.monotonic() + target.patience
        for place, connection in enumerate(slow):
            connection.settimeout(max(0.05, until - time.monotonic()))
            try:
                connection.recv(100)  # an answer, or the end of the connection
            except TimeoutError:
                path = _PATHS[place % 4]
                raise Accepted(f"a request to {path} that never ends was waited for {target.patience:g} s") from None
            except OSError:
                continue
    return f"{_SLOW} slow clients given up within {target.patience:g} s, others served meanwhile"


def _connected(target: Target, path: str) -> socket.socket:
    """Open a connection and begin a request whose body does not come."""
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection: socket.socket = socket.create_connection((host, port), timeout=target.timeout_seconds)
    if parts.scheme == "https":
        context: ssl.SSLContext = outer_tls()
        connection = context.wrap_socket(connection, server_hostname=host)
    connection.sendall(f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100\r\n\r\nx".encode())
    return connection


BY_LOAD: Final = (
    Attack(name="slow-clients", where="server", what=f"{_SLOW} requests whose body never comes", run=_slow),
    Attack(name="flood-of-hellos", where="server", what="many hellos that nobody follows up", run=_flood),
)
