"""The HTTP server around a service: uvicorn on one socket, logging no addresses and no paths."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from strongroom.base.errors import Misconfigured
from strongroom.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType


__all__ = ["run"]

_BACKLOG = 2048


def run(
    service: Any,
    *,
    host: str,
    port: int,
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
    drain: Callable[[], None] | None = None,
    drain_seconds: float = 0.0,
) -> None:
    """Serve an ASGI application until stopped.

    The port is taken before it is announced, so whoever reads the line can connect. Asked to stop, it calls ``drain``
    and goes on for ``drain_seconds``, so that whoever balances the load looks elsewhere; then it finishes what is
    under way, for ten seconds at most, and ends.
    """
    _check_tls(tls_certificate, tls_key)
    listening = _listen(host, port)
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        timeout_graceful_shutdown=10,
        backlog=_BACKLOG,
    )
    server = uvicorn.Server(config)
    # Before anybody is told that we run, so that we end in order however early we are asked to. The server raises the
    # signal once more when it has finished: to these handlers, so that what our caller opened is closed as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopping(server, drain, drain_seconds))
    address, bound = listening.getsockname()[:2]
    scheme = "http" if tls_certificate is None else "https"
    note(f"listening on {scheme}://{f'[{address}]' if ':' in address else address}:{bound}")
    server.run(sockets=[listening])


def _stopping(
    server: uvicorn.Server, drain: Callable[[], None] | None, seconds: float
) -> Callable[[int, FrameType | None], None]:
    draining: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if drain is None or seconds <= 0 or draining:  # asked once more, it ends at once
            server.handle_exit(number, frame)
            return
        draining.append(number)
        drain()
        waiting = threading.Timer(seconds, server.handle_exit, (number, frame))
        waiting.daemon = True
        waiting.start()

    return stop


def _check_tls(certificate: Path | None, key: Path | None) -> None:
    if certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as cause:  # ssl.SSLError is one
        reason = "not a certificate and its key" if isinstance(cause, ssl.SSLError) else cause.strerror
        raise Misconfigured(f"cannot use {certificate} and {key}: {reason}", setting="tls") from cause


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with contextlib.ExitStack() as failing:
            listening = failing.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(_BACKLOG)
            failing.pop_all()
    except OSError as cause:
        raise Misconfigured(f"cannot listen on {host} port {port}: {cause.strerror}", setting="listen") from cause
    return listening
