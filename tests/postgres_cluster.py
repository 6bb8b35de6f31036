"""A PostgreSQL of the tests' own: a cluster in a temporary directory, on loopback, with each test's own database.

It is run as an unprivileged user when the tests are root's, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PROGRAMS", "Cluster", "cluster_running", "needs_postgres"]

_PATIENCE_SECONDS = 60.0


def _programs() -> Path | None:
    found = shutil.which("initdb")
    places = [str(Path(found).resolve().parent)] if found else []
    places += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)  # where Debian puts them, outside of PATH
    return next((Path(place) for place in places if (Path(place) / "postgres").exists()), None)


PROGRAMS = _programs()
needs_postgres = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL's server is not installed")


class Cluster:
    """One server. ``folder`` holds everything of it and has to be reachable for an unprivileged user."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = port
        self.settings: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Give the address of a database, without a password, as an operator writes it."""
        return f"postgresql://strongroom@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the files of a new cluster."""
        self._run("initdb", "-D", str(self.data), "-U", "strongroom", "--auth=trust", "--no-sync", "-E", "UTF8")

    def copy_of(self, primary: Cluster) -> None:
        """Make the files of a streaming replica."""
        self._run("pg_basebackup", "-D", str(self.data), "-R", "-c", "fast", "-d", primary.url("postgres"))

    def start(self, **settings: str) -> None:
        """Start it, and wait until it takes connections. Settings are kept for later starts."""
        self.settings.update(settings)
        wanted = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "120",
            **self.settings,
        }
        arguments = [item for name, value in wanted.items() for item in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command("postgres", "-D", str(self.data), *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres")).close()
                return
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT in order, SIGQUIT at once, without a checkpoint, as by ``pg_ctl stop -m immediate``."""
        if self.process is not None:
            os.kill(self._postmaster(), number)
            self.process.wait(_PATIENCE_SECONDS)
            self.process = None

    def kill(self) -> None:
        """Stop it at once. What was flushed is found again by the recovery at the next start."""
        self.stop(signal.SIGQUIT)

    def promote(self) -> None:
        """Make a replica the primary."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let no process of it run for a while: it takes connections, and is silent."""
        pids = [self._postmaster()]
        children = Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text().split()
        pids += [int(pid) for pid in children]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def new_database(self) -> str:
        """Make an empty database and give its name."""
        name = f"store_{secrets.token_hex(6)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def execute(self, database: str, statement: str, *parameters: object) -> list[Any]:
        """Do as the operator, who may do anything, pleases."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def _postmaster(self) -> int:
        assert self.process is not None
        return self.process.pid

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(self._command(program, *arguments), capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def _command(self, program: str, *arguments: str) -> list[str]:
        assert PROGRAMS is not None
        # setpriv replaces itself by the program, so the process id is the server's
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        return [*as_nobody, str(PROGRAMS / program), *arguments]


def _quick_place() -> str | None:
    """Give a directory in memory where there is room: a killed process loses nothing of either kind of file."""
    memory = Path("/dev/shm")  # noqa: S108 - the cluster's own directory below it is made by mkdtemp
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None


@contextlib.contextmanager
def cluster_running(port: int, **settings: str) -> Iterator[Cluster]:
    """Run a new cluster for the block."""
    # not below pytest's own directories: those are closed to other users
    folder = Path(tempfile.mkdtemp(prefix="strongroom-postgres-", dir=_quick_place()))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        cluster = Cluster(folder, port)
        cluster.create()
        cluster.start(**settings)
        try:
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
