"""The HTTP server around a service: uvicorn on one socket, logging no addresses and no paths."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from strongroom.base.errors import Misconfigured
from strongroom.cli.output import note

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.transport.asgi import AttestedService

__all__ = ["run"]

_BACKLOG = 2048


def run(
    service: AttestedService, *, host: str, port: int, tls_certificate: Path | None = None, tls_key: Path | None = None
) -> None:
    """Serve until stopped. The port is taken before it is announced, so whoever reads the line can connect."""
    # the server hands a signal on when it has finished; this way what was opened is closed before the process ends
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    logging.basicConfig(level=logging.WARNING, format="strongroom: %(message)s")
    listening = _listen(host, port)
    address, bound = listening.getsockname()[:2]
    scheme = "http" if tls_certificate is None else "https"
    note(f"listening on {scheme}://{f'[{address}]' if ':' in address else address}:{bound}")
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
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as cause:
        raise Misconfigured(f"cannot listen on {host} port {port}: {cause.strerror}", setting="listen") from cause
    return listening
