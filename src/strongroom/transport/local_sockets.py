"""Sockets that only this machine reaches: a loopback port, or a Unix socket that only its owner may open."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["host_names", "loopback_socket", "private_socket"]

_BACKLOG: Final = 128
_MAX_PORT: Final = 65535
_HTTP_PORT: Final = 80


def loopback_socket(listen: str) -> socket.socket:
    """Listen on ``ADDRESS:PORT``, a loopback address or ``localhost``; port 0 takes any free one.

    Raises ``Misconfigured`` for every other address, so that a slip does not open a service to the network, and when
    the port cannot be had.
    """
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > _MAX_PORT:
        raise Misconfigured("takes ADDRESS:PORT", setting="listen", hint="for instance 127.0.0.1:7800")
    address = _loopback(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with contextlib.ExitStack() as failing:
            listening = failing.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((str(address), int(port)))
            listening.listen(_BACKLOG)
            failing.pop_all()
    except OSError as cause:
        raise Misconfigured(f"cannot listen on {address} port {port}: {cause.strerror}", setting="listen") from cause
    return listening


def private_socket(path: Path) -> socket.socket:
    """Listen on a Unix socket of mode 0600. A socket that nobody listens on any more is replaced.

    Raises ``Misconfigured`` when the path is taken by anything else or cannot be had.
    """
    _remove_stale(path)
    try:
        with contextlib.ExitStack() as failing:
            listening = failing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            # the mode has to be right from the first moment on: whoever connects before a later chmod stays connected
            before = os.umask(0o177)
            try:
                listening.bind(str(path))
            finally:
                os.umask(before)
            listening.listen(_BACKLOG)
            failing.pop_all()
    except OSError as cause:
        raise Misconfigured(f"cannot listen on {path}: {cause.strerror or cause}", setting="socket") from cause
    return listening


def host_names(listening: socket.socket) -> frozenset[str]:
    """Give the values of a Host header by which a local program may call this TCP socket, in lower case."""
    port = listening.getsockname()[1]
    names = {"127.0.0.1", "localhost", "[::1]", _bracketed(listening.getsockname()[0])}
    with_port = {f"{name}:{port}" for name in names}
    return frozenset(with_port | names if port == _HTTP_PORT else with_port)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    name = host.removeprefix("[").removesuffix("]")
    try:
        # not by asking the resolver: what "localhost" means is not for a file or a name server to say
        address = ipaddress.ip_address("127.0.0.1" if name.lower() == "localhost" else name)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise Misconfigured(
            f"{host} is not a loopback address",
            setting="listen",
            hint="plain http may be heard by others there: use 127.0.0.1 or [::1], or --socket",
        )
    return address


def _remove_stale(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as cause:
        raise Misconfigured(f"cannot look at {path}: {cause.strerror}", setting="socket") from cause
    if not stat.S_ISSOCK(status.st_mode):
        raise Misconfigured(f"{path} exists already and is no socket", setting="socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as cause:
            raise Misconfigured(f"cannot use {path}: {cause.strerror}", setting="socket") from cause
    raise Misconfigured(f"something listens on {path} already", setting="socket")
