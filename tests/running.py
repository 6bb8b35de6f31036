"""Strongroom as people run it: commands and stores as processes of their own, on loopback, in a clean environment.

A store is started by ``python -I -m strongroom serve`` and stopped by its own process id. Clients are commands too,
or library calls in the test's own process, with passwords that cost nothing to stretch.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from strongroom.channel.client import ClientTerms
from strongroom.cli.measured import measure_store
from strongroom.client.account import Credentials, joined, registered
from strongroom.client.api import StoreApi
from strongroom.client.device import Device, unlocked_device
from strongroom.client.invitation import Invitation
from strongroom.client.profile import Trust
from strongroom.client.trust import standing_policy
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.records.item import Item, ItemType
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from strongroom.records.account_secret import AccountSecret

__all__ = [
    "STRONGROOM",
    "Deployment",
    "Person",
    "Ran",
    "Store",
    "clean_environment",
    "free_port",
    "login_item",
    "strongroom",
]

STRONGROOM = (sys.executable, "-I", "-m", "strongroom")
PATIENCE_SECONDS = 120.0  # for a machine that has much else to do


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which has to be JSON."""
        return json.loads(self.out)


def clean_environment(**extra: str) -> dict[str, str]:
    """Give an environment that a service accepts; what measures coverage is passed on."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    return {**kept, **extra}


def strongroom(
    *arguments: str | Path,
    stdin: bytes | None = None,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Ran:
    """Run one command to its end. Whatever goes wrong, it is told in words and never by a traceback."""
    done = subprocess.run(
        [*STRONGROOM, *map(str, arguments)],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=clean_environment() if environment is None else environment,
        cwd=cwd,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ran.out + ran.err, ran.err
    return ran


def free_port() -> int:
    """Find a loopback port that nobody has.

    From below the range that systems give to outgoing connections: there, a client that tries again and again while
    the store is down would sooner or later be connected with itself.
    """
    for _ in range(1000):
        port = random.randint(15_000, 30_000)  # noqa: S311 - no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


@dataclass
class Deployment:
    """A deployment on disk: database, simulated platform and invitation. It keeps its port when it is started again."""

    data: Path
    platform: Path
    port: int
    invitation: str
    postgres: str | None = None

    @classmethod
    def create(
        cls, folder: Path, *options: str | Path, platform: Path | None = None, postgres: str | None = None
    ) -> Deployment:
        """Make a deployment in ``folder`` by the command that an operator uses, with further ``options`` of it.

        It is on a platform of its own, unless another is given; its rows may be in a PostgreSQL.
        """
        data, platform = folder / "store", platform or folder / "platform"
        made = cls(data=data, platform=platform, port=free_port(), invitation="", postgres=postgres)
        ran = strongroom("init", *made.where, "--url", made.url, *options)
        assert ran.code == 0, ran.err
        return replace(made, invitation=ran.out.strip())

    @property
    def where(self) -> list[str]:
        """The options by which commands find it."""
        database = [] if self.postgres is None else ["--database", self.postgres]
        return ["--data", str(self.data), "--simulated-platform", str(self.platform), *database]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.data / "store.db"

    @property
    def trust(self) -> Trust:
        """What a device pins that was invited and accepts the simulated platform."""
        invited = Invitation.from_text(self.invitation)
        return Trust(url=invited.url, deployment=invited.deployment, policy=None, simulated_root=invited.simulated_root)

    @contextlib.contextmanager
    def connected(self, outer: httpx2.BaseTransport | None = None) -> Iterator[StoreApi]:
        """Give a client's way to the store; nothing is sent yet. ``outer`` may lose what is sent."""
        trust = self.trust
        policy = standing_policy(measure_store(), simulated_root=trust.simulated_root)
        terms = ClientTerms(policy=policy, deployment=trust.deployment)
        store = StoreApi(AttestedTransport(trust.url, terms, clock=SystemClock(), outer=outer))
        try:
            yield store
        finally:
            store.close()

    def serve_arguments(self) -> list[str]:
        return ["serve", *self.where, "--listen", f"127.0.0.1:{self.port}"]

    def start(self, *, wait: bool = True) -> Store:
        """Start a store; with ``wait``, until it listens."""
        store = Store(self.serve_arguments(), self.data.parent / "store.log")
        if wait:
            store.wait_until_listening()
        return store

    @contextlib.contextmanager
    def running(self) -> Iterator[Store]:
        """Run a store for a while, and stop it in order."""
        store = self.start()
        try:
            yield store
        finally:
            store.stop()


@dataclass
class Store:
    """A store process. Its log is a file, which later starts go on writing."""

    arguments: list[str]
    log_file: Path
    command: tuple[str, ...] = STRONGROOM
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        with self.log_file.open("ab") as log:
            self._before = log.tell()
            self.process = subprocess.Popen(
                [*self.command, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
            )

    @property
    def log(self) -> str:
        """What this process has written so far."""
        return self.log_file.read_bytes()[self._before :].decode()

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "listening on" not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Ask it to stop and wait; gives its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()


@dataclass(frozen=True)
class Person:
    """Somebody with an account at a deployment, by library calls."""

    deployment: Deployment
    username: str = "me@example.com"
    password: bytes = b"correct horse battery staple"

    @property
    def credentials(self) -> Credentials:
        return Credentials(username=self.username, password=self.password, cost=INSECURE_FOR_TESTS_ONLY)

    def register(self, home: Path, store: StoreApi) -> AbstractContextManager[Device]:
        return registered(home, store, self.credentials, self.deployment.trust)

    def join(self, home: Path, store: StoreApi, account_secret: AccountSecret) -> AbstractContextManager[Device]:
        return joined(home, store, self.credentials, self.deployment.trust, account_secret)

    def unlock(self, home: Path) -> AbstractContextManager[Device]:
        return unlocked_device(home, self.password, accepted=(INSECURE_FOR_TESTS_ONLY,))


def login_item(title: str, *, at: int = 1, **fields: str) -> Item:
    """Make a login."""
    return Item(item_type=ItemType.LOGIN, fields={"title": title, **fields}, created_at=at, changed_at=at)
