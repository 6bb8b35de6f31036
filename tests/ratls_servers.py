"""Servers for the tests of RA-TLS: uvicorn with any configuration, an application, a source of collateral."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.base.errors import CollateralUnavailable


class Endorsements:
    """Collateral of a platform, or none."""

    def __init__(self, platform: SimulatedPlatform) -> None:
        self.platform = platform
        self.fails = False
        self.asked = 0

    def collateral(self, at: Any) -> bytes:
        self.asked += 1
        if self.fails:
            raise CollateralUnavailable("none today")
        return self.platform.collateral(at).to_json()


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that knows nothing of all this."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextmanager
def running(config: uvicorn.Config) -> Iterator[int]:
    """Serve on a loopback port for as long as the block lasts; gives the port."""
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        port: int = listening.getsockname()[1]
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
