"""The stage for the story: a temporary directory, stores as processes of their own, and the real command line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Failed", "Stage", "Told", "free_port"]

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0


class Failed(Exception):
    """The story did not go as it should."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command did."""

    exit_code: int
    output: str
    errors: str


def free_port() -> int:
    """Find a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(slots=True)
class Stage:
    """Runs commands and shows them as a person would have typed them."""

    folder: Path
    colours: bool = field(default_factory=lambda: sys.stdout.isatty() and "NO_COLOR" not in os.environ)

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Stage]:
        """Make a temporary directory for the story and remove it afterwards."""
        with tempfile.TemporaryDirectory(prefix="strongroom-demo-") as folder:
            yield cls(Path(folder))

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._print("")
        self._print(self._styled("1", title))
        self._print(self._styled("1", "=" * len(title)))

    def tell(self, text: str) -> None:
        """Say something between commands."""
        self._print("")
        self._print(textwrap.fill(" ".join(text.split()), 96))

    def good(self, text: str) -> None:
        """Say that something went as it should."""
        self._print(f"  {self._styled('32', '✓')} {text}")

    def command(self, *arguments: str, expect: int = 0, quiet: bool = False, package: Path | None = None) -> Told:
        """Run one command in the story's directory, show it and what it printed, and hold it to its exit code."""
        self._print("")
        self._print(self._styled("36", "$ strongroom " + " ".join(_short(argument) for argument in arguments)))
        done = subprocess.run(
            [*_interpreter(package), *arguments],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        told = Told(done.returncode, done.stdout, done.stderr)
        lines = (told.output + told.errors).rstrip().splitlines()
        for line in lines[: 3 if quiet else None]:
            self._print(f"    {line}")
        if quiet and len(lines) > 3:
            self._print(f"    … {len(lines) - 3} lines more")
        if told.exit_code != expect:
            raise Failed(f"the command ended with {told.exit_code}, not {expect}")
        return told

    @contextlib.contextmanager
    def store(self, *, data: str, platform: str, port: int, package: Path | None = None) -> Iterator[str]:
        """Run a store as a process of its own for a while; gives its measurement."""
        arguments = ["serve", "--data", data, "--simulated-platform", platform, "--listen", f"127.0.0.1:{port}"]
        self._print("")
        self._print(self._styled("36", "$ strongroom " + " ".join(arguments) + " &"))
        log = self.folder / f"store-{port}.log"
        with log.open("w") as sink:
            process = subprocess.Popen(
                [*_interpreter(package), *arguments],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        try:
            _wait_until_listening(process, log)
            text = log.read_text()
            for line in text.rstrip().splitlines():
                self._print(f"    {line}")
            measured = re.search(r"measurement ([0-9a-f]{64})", text)
            yield measured.group(1) if measured else ""
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text

    @staticmethod
    def _print(text: str) -> None:
        print(text, flush=True)


def _interpreter(package: Path | None) -> list[str]:
    """Give the command that runs Strongroom: this installation's, or the package in another directory."""
    if package is None:
        return [sys.executable, "-I", "-m", "strongroom"]
    start = f"import sys; sys.path.insert(0, {str(package)!r}); from strongroom.cli.main import main; sys.exit(main())"
    return [sys.executable, "-I", "-B", "-c", start]


def _environment() -> dict[str, str]:
    """Give a clean environment: a store refuses to start in one that could change what its code does."""
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def _wait_until_listening(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if "listening on" in log.read_text():
            return
        if process.poll() is not None:
            raise Failed(f"the store did not start:\n{log.read_text()}")
        time.sleep(0.05)
    raise Failed("the store did not start in time")


def _short(argument: str) -> str:
    """Keep long texts (an invitation) readable."""
    shown = argument if len(argument) <= 40 else argument[:24] + "…"
    return f'"{shown}"' if " " in shown else shown
