"""Where TPM2 commands go: a character device such as /dev/tpmrm0, or the socket of a software TPM."""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Final, Protocol

from strongroom.attesters.tpm.wire import Response
from strongroom.base.errors import AnchorUnavailable

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Connection", "connect"]

_HEADER: Final = 10
_MAX_RESPONSE: Final = 4096
_SECONDS: Final = 20.0


class Connection(Protocol):
    """One way to a TPM. Commands go one after the other."""

    def send(self, tag: int, command: int, body: bytes) -> Response:
        """Send a command and give the response; ``AnchorUnavailable`` when none comes."""
        ...

    def close(self) -> None:
        """Let go of the TPM."""
        ...


def connect(path: Path) -> Connection:
    """Open the device or the socket at ``path``."""
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            return _Socket(path)
        return _Device(path)
    except OSError as cause:
        raise _unavailable(path, cause) from cause


class _Device:
    """The kernel takes a whole command in one write and gives the whole response in one read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def send(self, tag: int, command: int, body: bytes) -> Response:
        try:
            os.write(self._descriptor, _framed(tag, command, body))
            return Response.from_bytes(os.read(self._descriptor, _MAX_RESPONSE))
        except OSError as cause:
            raise _unavailable(self._path, cause) from cause

    def close(self) -> None:
        os.close(self._descriptor)


class _Socket:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_SECONDS)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def send(self, tag: int, command: int, body: bytes) -> Response:
        try:
            self._socket.sendall(_framed(tag, command, body))
            header = self._receive(_HEADER)
            size = int.from_bytes(header[2:6], "big")
            return Response.from_bytes(header + self._receive(min(max(size, _HEADER), _MAX_RESPONSE) - _HEADER))
        except OSError as cause:
            raise _unavailable(self._path, cause) from cause

    def close(self) -> None:
        self._socket.close()

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise AnchorUnavailable(f"{self._path}: the TPM has hung up")
            data += piece
        return data


def _framed(tag: int, command: int, body: bytes) -> bytes:
    return struct.pack(">HII", tag, _HEADER + len(body), command) + body


def _unavailable(path: Path, cause: OSError) -> AnchorUnavailable:
    return AnchorUnavailable(f"{path}: the TPM cannot be reached: {cause.strerror or type(cause).__name__}")
