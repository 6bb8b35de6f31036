"""``strongroom connect`` by the real command, with curl and httpx2 as the programs that use it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from running import PATIENCE_SECONDS, Deployment, clean_environment, free_port
from strongroom.formats import store_api as api

ACCEPT = "--accept-simulated-platform"
CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")

# the command by itself, so that this file does not depend on which others there are
COMMAND = (
    "import sys; from strongroom.cli import app; from strongroom.cli.connect import connect;"
    "'connect' in {c.name for c in app.app.registered_commands} or app.app.command('connect')(connect);"
    "from strongroom.cli.main import main; sys.exit(main())"
)


class Connector:
    """A running ``strongroom connect``."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self._said = folder / f"connect-{free_port()}.log"
        self._shown = self._said.with_suffix(".out")
        with self._said.open("wb") as said, self._shown.open("wb") as shown:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", COMMAND, "connect", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=said,
                env=clean_environment(STRONGROOM_HOME=str(folder / "home")),
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def shown(self) -> str:
        return self._shown.read_text()

    def wait_until_forwarding(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "forwarding " not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.01)

    def end(self) -> int:
        """Wait for it to end by itself."""
        return self.process.wait(PATIENCE_SECONDS)


@contextlib.contextmanager
def connected(folder: Path, *arguments: str | Path) -> Iterator[Connector]:
    connector = Connector(folder, *arguments)
    try:
        connector.wait_until_forwarding()
        yield connector
        connector.process.terminate()
        assert connector.end() == 0, connector.said
    finally:
        connector.process.kill()
        connector.process.wait()
    assert "Traceback" not in connector.said


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment.create(tmp_path_factory.mktemp("deployment"))
    with deployment.running():
        yield deployment


FETCH = api.encode(api.FetchPage(after=0, limit=1, view=b""))
JSON = {"content-type": "application/json"}


def curl(*arguments: str | Path) -> tuple[int, Any]:
    """Run curl; gives the status and the JSON that came."""
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", *arguments]
    done = subprocess.run(command, capture_output=True, env=clean_environment(), check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), json.loads(body) if body.startswith(b"{") else body.decode()


@needs_curl
def test_curl_talks_to_an_attested_store_over_a_loopback_port(deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    with connected(tmp_path, deployment.invitation, ACCEPT, "--listen", f"127.0.0.1:{port}") as connector:
        local = f"http://127.0.0.1:{port}"
        assert f"forwarding {local} to {deployment.url} and nowhere else" in connector.said
        assert connector.shown.startswith(f"attested: {deployment.url}\n")
        assert connector.shown.count("attested:") == 1
        assert "SIMULATED PLATFORM" in connector.shown

        # the store's own refusal of a session that is not logged in: its word, through the channel
        asked = ["-H", "content-type: application/json", "-d", FETCH.decode()]
        status, body = curl(*asked, f"{local}/v1/vault/fetch")
        assert (status, body["error"]) == (401, "not-authorised")
        # what the store says outside of the channel is not what is asked for here
        assert curl(f"{local}/strongroom/v1/health") == (404, "Not Found")

        status, body = curl("-H", "Host: evil.example", f"{local}/v1/vault/fetch")
        assert (status, body["error"]) == (403, "denied")
        status, body = curl("-H", "Origin: https://evil.example", *asked, f"{local}/v1/vault/fetch")
        assert (status, body["error"]) == (403, "denied")
        # used as a proxy, it does not become one
        status, body = curl("--proxy", local, "http://elsewhere.example/")
        assert (status, body["error"]) == (403, "denied")
    assert connector.shown.count("attested:") == 1


@needs_curl
def test_curl_over_a_unix_socket_that_is_its_owners_alone(deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "store.sock"
    with connected(tmp_path, deployment.invitation, ACCEPT, "--socket", path, "--json") as connector:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        shown = json.loads(connector.shown)
        assert shown["attested"]
        assert shown["deployment_pinned"]
        status, body = curl("--unix-socket", path, "-X", "POST", "-d", "{}", "http://store/v1/vault/fetch")
        assert 400 <= status < 500
        assert body["error"]
    assert not path.exists()


def test_httpx2_and_a_restart_of_the_store(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    port = free_port()
    store = deployment.start()
    try:
        with (
            connected(tmp_path, deployment.invitation, ACCEPT, "--listen", f"localhost:{port}") as connector,
            httpx2.Client(base_url=f"http://localhost:{port}", trust_env=False, timeout=60) as program,
        ):
            # the store's own refusal of a session that is not logged in: its word, through the channel
            asked = program.post("/v1/vault/fetch", content=FETCH, headers=JSON)
            assert (asked.status_code, asked.json()["error"]) == (401, "not-authorised")
            store.stop()
            down = program.get("/v1/vault/fetch")
            assert (down.status_code, down.json()["error"]) == (503, "store-unreachable")
            store = deployment.start()
            again = program.post("/v1/vault/fetch", content=FETCH, headers=JSON)
            assert (again.status_code, again.json()["error"]) == (401, "not-authorised")
            store.stop()

            # the same address, code and platform, but another deployment
            shutil.rmtree(deployment.data)
            other = Deployment(deployment.data, deployment.platform, deployment.port, "")
            made = subprocess.run(
                [
                    sys.executable, "-I", "-m", "strongroom", "init", "--data", str(other.data),
                    "--simulated-platform", str(other.platform), "--url", other.url,
                ],
                env=clean_environment(), check=False, capture_output=True,
            )  # fmt: skip
            assert made.returncode == 0
            store = other.start()
            refused = program.post("/v1/vault/fetch", content=b"a secret", headers=JSON)
            assert refused.status_code == 502
            assert refused.json()["error"] == "appraisal-refused"
            assert {finding["check"] for finding in refused.json()["findings"]} == {"deployment"}
        assert "a secret" not in connector.said + store.log
    finally:
        store.stop()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 1, "either --listen or --socket"),
        (("--listen", "127.0.0.1:0", "--socket", "s"), 1, "either --listen or --socket"),
        (("--listen", "0.0.0.0:0"), 1, "0.0.0.0 is not a loopback address"),
    ],
)
def test_what_cannot_be_listened_on_is_said(
    deployment: Deployment, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    connector = Connector(tmp_path, deployment.invitation, ACCEPT, *arguments)
    assert connector.end() == code
    assert words in connector.said
    assert "forwarding" not in connector.said


def test_without_a_verdict_nobody_can_connect(deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    connector = Connector(tmp_path, deployment.invitation, "--listen", f"127.0.0.1:{port}")
    assert connector.end() == 3
    assert "simulated" in connector.said
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    connector = Connector(tmp_path, f"http://127.0.0.1:{port}", "--listen", f"127.0.0.1:{port}")
    assert connector.end() == 7


def test_a_devices_own_terms_are_the_default(tmp_path: Path) -> None:
    connector = Connector(tmp_path, "--listen", "127.0.0.1:0")
    assert connector.end() == 1
    assert "this device has not been set up" in connector.said
    connector = Connector(tmp_path, "--listen", "127.0.0.1:0", ACCEPT)
    assert connector.end() == 1
    assert "own terms" in connector.said
    assert os.listdir(tmp_path / "home") == [] if (tmp_path / "home").exists() else True
