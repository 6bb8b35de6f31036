"""One service, served twice by processes of its own: over TLS 1.3, and in the attested channel over plain HTTP.

Part of ``python -m bench.channel``. The service answers ``POST /`` with what it got and streams ``GET /N``, N MiB.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.cli.instance import StapledCollateral
from strongroom.cli.measured import RELEASE_SIGNER, measure_store
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.transport.asgi import AttestedService
from strongroom.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while scope["method"] == "POST":
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    posted = scope["method"] == "POST"
    headers = [(b"content-length", str(len(body)).encode())] if posted else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "GET":
        piece = bytes(64 * 1024)
        for _ in range(int(scope["path"][1:]) * 16):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": body})


class Served:
    """A process that serves: its URL and port, and how much CPU it has used."""

    def __init__(self, url: str, port: int, pid: int) -> None:
        self.url = url
        self.port = port
        self._stat = Path(f"/proc/{pid}/stat")
        self._status = Path(f"/proc/{pid}/status")

    def cpu(self) -> float:
        """CPU seconds so far."""
        user, system = self._stat.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def rss(self) -> int:
        """Resident bytes."""
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024


@contextmanager
def served(kind: str, folder: Path, pem: Path) -> Iterator[Served]:
    """Serve in a process of its own, for as long as the block lasts. ``kind`` is ``tls`` or ``channel``."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bench.channel_served", kind, str(port), str(folder), str(pem)]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with socket.socket() as knocking:
                if knocking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Served(f"{'https' if kind == 'tls' else 'http'}://localhost:{port}", port, process.pid)
    finally:
        process.terminate()
        process.wait()


def main(kind: str, port: str, folder: str, pem: str) -> None:
    """Serve until told to stop."""
    app: Any = application
    if kind == "channel":
        platform = SimulatedPlatform.open(Path(folder) / "platform")
        attester = platform.enclave(EnclaveIdentity(mr_enclave=measure_store(), mr_signer=RELEASE_SIGNER))
        app = AttestedService(
            application,
            attester=attester,
            endorsements=StapledCollateral(platform),
            identities=Deployment.create(MemoryRecordStore(), attester),
            clock=SystemClock(),
        )
    options: dict[str, Any] = {"ssl_certfile": pem} if kind == "tls" else {}
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
