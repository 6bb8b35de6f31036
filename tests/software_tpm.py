"""Debian's software TPM, started by a test and stopped with it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SoftwareTpm", "software_tpm"]


@dataclass
class SoftwareTpm:
    """One TPM: its state in ``directory``, its commands at ``socket``."""

    directory: Path

    def __post_init__(self) -> None:
        self.socket = self.directory / "tpm.sock"
        self._process: subprocess.Popen[bytes] | None = None
        (self.directory / "state").mkdir(exist_ok=True)

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.directory / 'state'}",
                "--server", f"type=unixio,path={self.socket}", "--flags", "not-need-init,startup-clear",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < until, "the software TPM does not start"
            assert self._process.poll() is None, "the software TPM has ended"
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(str(self.socket)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None


@contextmanager
def software_tpm(directory: Path) -> Iterator[SoftwareTpm]:
    """Run a new TPM while the block lasts; the test skips where the program is missing."""
    if shutil.which("swtpm") is None:
        pytest.skip("swtpm is not installed")
    tpm = SoftwareTpm(directory)
    tpm.start()
    try:
        yield tpm
    finally:
        tpm.stop()
