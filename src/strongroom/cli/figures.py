"""``/metrics`` on an address of its own, apart from the store's: for whoever runs the machine, and nobody else."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["METRICS_PATH", "metrics_listener"]

METRICS_PATH: Final = "/metrics"
_PATIENCE_SECONDS: Final = 5.0


@contextmanager
def metrics_listener(host: str, port: int, text: Callable[[], bytes]) -> Iterator[str]:
    """Answer ``GET /metrics`` with ``text()`` until the block is left; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE_SECONDS
        server_version = "strongroom"
        sys_version = ""

        def do_GET(self) -> None:
            found = self.path == METRICS_PATH
            body = text() if found else b"not found\n"
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            self.send_header("content-type", CONTENT_TYPE_PLAIN_0_0_4 if found else "text/plain")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: what would be said holds addresses."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as cause:
        raise Misconfigured(
            f"cannot listen on {host} port {port}: {cause.strerror}", setting="metrics.listen"
        ) from cause
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="metrics")
    thread.start()
    try:
        address, bound = server.server_address[:2]
        yield f"http://{address!s}:{bound}{METRICS_PATH}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_PATIENCE_SECONDS)
