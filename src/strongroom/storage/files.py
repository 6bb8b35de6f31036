"""Small private files, written whole or not at all: profiles, sealed keys, invitations."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["make_private_directory", "new_private_file", "read_private_file", "write_private_file"]

_PRIVATE_FILE: Final = 0o600
_PRIVATE_DIRECTORY: Final = 0o700
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read, atomically and durably; an older one is replaced.

    Raises ``StorageUnavailable``; the older file is then still there, whole, unless what failed was the very last
    step, the directory's flush: then either file may be found after a crash.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        _write_new(temporary, data)
        # Commit point. A crash before leaves the old file, and a file named ".….new" that nobody reads; a crash
        # after it leaves the old or the new file, and once the directory is flushed, the new one.
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as cause:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _unavailable("written", path, cause) from cause


def read_private_file(path: Path, *, max_bytes: int) -> bytes | None:
    """Read a file of at most ``max_bytes``, or give ``None`` when there is none.

    Raises ``Misconfigured`` when others than the owner may access it or it is no file, ``Malformed`` when it is too
    long, ``StorageUnavailable`` when it cannot be read.
    """
    try:
        # without waiting, since opening a named pipe would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | _NO_WAIT | _BINARY)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _check_private(path, status)
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise _unavailable("read", path, cause) from cause
    if len(data) > max_bytes:
        raise Malformed(f"longer than the {max_bytes} bytes that are read", path=str(path))
    return data


def make_private_directory(path: Path) -> None:
    """Make a directory with mode 0700, and missing parents with it; leave one that exists as it is.

    An existing one may be readable by others, since the files in it are not; it is refused (``Misconfigured``) when
    others may write it, for they could put other files in the place of ours.
    """
    try:
        missing = [directory for directory in (path, *path.parents) if not directory.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        status = path.stat()
    except OSError as cause:
        raise _unavailable("made", path, cause) from cause
    if not stat.S_ISDIR(status.st_mode):
        raise Misconfigured(f"{path} is not a directory")
    if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX:
        raise Misconfigured(f"other users may write the directory {path}", hint=f"chmod go-w {path}")


@contextmanager
def new_private_file(path: Path, *, subject: str) -> Iterator[Path]:
    """Yield the path of an empty private file to fill; leaving the block gives it the name ``path``, for good.

    Raises ``Misconfigured`` when ``path`` exists by then, ``StorageUnavailable`` when the file cannot be made.
    Leaving by an exception leaves nothing behind.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.unfinished")
    try:
        _write_new(unfinished, b"")
        yield unfinished
        # Commit point: the name appears with the whole contents behind it, and a link never replaces a file. A crash
        # before leaves an ".unfinished" file that nobody reads, a crash after leaves the file complete.
        path.hardlink_to(unfinished)
        _sync_directory(path.parent)
    except FileExistsError as cause:
        raise Misconfigured(f"{path} exists already", hint="open it, or choose another path") from cause
    except OSError as cause:
        raise StorageUnavailable(f"{subject} cannot be made: {cause.strerror or type(cause).__name__}") from cause
    finally:
        for leftover in ("", "-wal", "-shm", "-journal"):  # a database that could not be finished has companions
            with contextlib.suppress(OSError):
                unfinished.with_name(unfinished.name + leftover).unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    if os.name != "posix":  # other systems cannot open a directory
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY, _PRIVATE_FILE)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Misconfigured(f"{path} is not a regular file")
    if os.name == "posix" and status.st_mode & _OTHERS:
        raise Misconfigured(
            f"{path} can be accessed by other users (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"chmod 600 {path}",
        )


def _unavailable(verb: str, path: Path, cause: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"{path} cannot be {verb}: {cause.strerror or type(cause).__name__}")
