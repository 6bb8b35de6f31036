"""Runs the forwarder: attest, say so, listen, forward until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from strongroom.cli.measured import measure_store
from strongroom.cli.output import emit, emit_json, finish, note
from strongroom.cli.verdict import describe, describe_json
from strongroom.client.admission import Admission
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.clock import SystemClock
from strongroom.transport.forward import Forwarder
from strongroom.transport.local_sockets import host_names, loopback_socket, private_socket

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from strongroom.channel.client import ClientTerms

__all__ = ["Forwarding", "forward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """Where to listen and whom to forward to, on which terms. Either ``listen`` or ``socket`` is set.

    ``home`` is this device's directory, with its floors and notices; ``machines`` are the only ones that will do.
    """

    url: str
    terms: ClientTerms
    home: Path
    machines: tuple[bytes, ...]
    listen: str | None
    socket: Path | None
    timeout_seconds: float
    as_json: bool


def forward(settings: Forwarding) -> None:
    """Forward until stopped. Nobody can connect before the verdict."""
    logging.basicConfig(level=logging.WARNING, format="strongroom: %(message)s")
    # an answer that breaks off is told by the forwarder already
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    asyncio.run(_run(settings))


async def _run(settings: Forwarding) -> None:
    clock = SystemClock()
    admission = Admission(settings.home, clock=clock, machines=settings.machines)
    async with AsyncAttestedTransport(
        settings.url, settings.terms, admit=admission, clock=clock, timeout_seconds=settings.timeout_seconds
    ) as transport:
        peer = await transport.peer()
        if settings.as_json:
            emit_json(describe_json(peer, url=settings.url))
        else:
            emit(describe(peer, url=settings.url, own_measurement=measure_store()))
        finish()
        with contextlib.ExitStack() as closing:
            listening, name = _listening(settings, closing)
            hosts = host_names(listening) if settings.socket is None else None
            await _serve(
                Forwarder(transport, service=settings.url, hosts=hosts), listening, f"{name} to {settings.url}"
            )


def _listening(settings: Forwarding, closing: contextlib.ExitStack) -> tuple[socket.socket, str]:
    if settings.socket is not None:
        listening = closing.enter_context(private_socket(settings.socket))
        closing.callback(settings.socket.unlink, missing_ok=True)
        return listening, str(settings.socket)
    listening = closing.enter_context(loopback_socket(settings.listen or ""))
    host, port = listening.getsockname()[:2]
    return listening, f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _serve(forwarder: Forwarder, listening: socket.socket, what: str) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            forwarder,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
    )
    # the server raises the signal once more when it has finished: to these handlers, so that we end in order
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    note(f"forwarding {what} and nowhere else")
    await server.serve(sockets=[listening])
