"""Starting to serve: the environment, the port and the certificate are judged before anybody is told."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import uvicorn

from strongroom.base.errors import Misconfigured
from strongroom.cli import environment, server
from strongroom.cli.environment import refuse_hostile_environment, run_isolated
from strongroom.cli.main import main
from strongroom.cli.server import run


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PYTHON", "LD_")):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("name", ["SSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_ENGINES", "LD_AUDIT", "PYTHONINSPECT"])
def test_an_environment_that_changes_what_code_does_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    refuse_hostile_environment()
    monkeypatch.setenv(name, "")
    with pytest.raises(Misconfigured, match=f"sets {name}") as refused:
        refuse_hostile_environment()
    assert "env -i" in refused.value.hint


def test_a_service_becomes_an_isolated_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    became: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(environment.os, "execv", lambda *command: became.append(command))
    run_isolated(["serve", "--data", "x"], data=tmp_path)
    ((program, command),) = became
    assert program == command[0] == sys.executable
    assert command[1] == "-I"
    assert command[-4:] == ["strongroom", "serve", "--data", "x"]
    assert any(argument.startswith(f"pycache_prefix={tmp_path}") for argument in command)


def test_an_isolated_interpreter_stays_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Flags:
        isolated = 1

    monkeypatch.setattr(environment.sys, "flags", Flags)
    monkeypatch.setattr(environment.os, "execv", lambda *_: pytest.fail("it was isolated already"))
    run_isolated([], data=tmp_path)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("listen", ["", "7700", ":7700", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "h:\u00b2"])
def test_addresses_to_listen_on_that_are_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, listen: str
) -> None:
    monkeypatch.setattr(environment.os, "execv", lambda *_: None)
    arguments = ["serve", "--data", str(tmp_path), "--simulated-platform", str(tmp_path), "--listen", listen]
    assert main(arguments) == 1
    assert "store.listen takes ADDRESS:PORT" in capsys.readouterr().err


def test_a_port_that_somebody_has_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1 port {port}"):
            run(None, host="127.0.0.1", port=port)  # type: ignore[arg-type]
    assert "listening" not in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_certificate_that_is_none_is_not_announced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Misconfigured, match="cannot use"):
        run(None, host="127.0.0.1", port=0, tls_certificate=file, tls_key=file)  # type: ignore[arg-type]
    assert "listening" not in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_whoever_reads_the_line_can_connect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    connected: list[str] = []

    def serve(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
        line = capsys.readouterr().err
        address, port = line.strip().removeprefix("strongroom: listening on http://").rsplit(":", 1)
        with sockets[0], socket.create_connection((address.strip("[]"), int(port)), timeout=10):
            connected.append(address)
        # a signal that comes now, or after the end, asks the server to stop and does nothing else
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(server.uvicorn.Server, "run", serve)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        run(None, host=host, port=0)  # type: ignore[arg-type]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert connected == ["[::1]" if host == "::1" else host]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
