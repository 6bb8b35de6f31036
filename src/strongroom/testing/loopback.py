"""An ASGI application on a loopback port, in a thread of this process, for as long as a ``with`` block lasts."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Loopback"]

_START_SECONDS: Final = 10.0


class Loopback:
    """Serves one application; entering gives its URL. The port is taken before the URL is known to anybody.

    ``port`` 0 takes any free one. ``tls`` is a certificate chain and its key, both PEM files, to serve https.
    """

    def __init__(self, application: Any, *, port: int = 0, tls: tuple[Path, Path] | None = None) -> None:
        certificate, key = tls or (None, None)
        self._scheme = "http" if tls is None else "https"
        self._port = port
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_graceful_shutdown=5,
            )
        )
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._run, name="loopback server", daemon=True)

    def __enter__(self) -> str:
        try:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listening.bind(("127.0.0.1", self._port))
            self._thread.start()
            self._wait()
        except BaseException:
            self._listening.close()
            raise
        return f"{self._scheme}://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_START_SECONDS)
        self._listening.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.005)

    def _run(self) -> None:
        self._server.run(sockets=[self._listening])
