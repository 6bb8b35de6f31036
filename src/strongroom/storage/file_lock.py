"""A lock between processes, on a file that holds nothing."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.base.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["file_lock"]


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock while the block lasts; whoever else wants it waits. Where the system has none, nobody waits.

    Raises ``StorageUnavailable`` when the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as cause:
        raise StorageUnavailable(f"{path} cannot be opened: {cause.strerror}") from cause
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)  # lets go of the lock, as does the end of the process


def _lock(descriptor: int) -> None:
    try:
        import fcntl  # noqa: PLC0415 - POSIX only
    except ImportError:
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
