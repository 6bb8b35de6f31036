"""Behind Debian's nginx, which ends TLS: everything works, and nothing that passes through it can be read there.

Between nginx and the service sits a relay that keeps every byte: what it keeps is what nginx saw after it ended TLS.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import pwd
import selectors
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attested import Enclave, new_platform
from running import (
    PATIENCE_SECONDS,
    Deployment,
    Person,
    clean_environment,
    free_port,
    login_item,
    strongroom,
)
from strongroom.base.errors import StoreUnreachable
from strongroom.channel.client import ClientTerms
from strongroom.cli.measured import measure_store
from strongroom.client.api import StoreApi
from strongroom.client.driver import sync_device
from strongroom.client.invitation import Invitation
from strongroom.client.trust import terms_of
from strongroom.client.vault import LocalVault
from strongroom.testing.loopback import Loopback
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")

USERNAME = "somebody-whose-name@example.com"
SECRETS = {"title": "The Secret Title", "username": "a-secret-username", "password": "a secret password"}
MARKER = "a-marker-that-nginx-can-read"

# the first server passes on what comes as it comes, the second keeps whole requests and answers, on its disk
CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    log_format everything escape=json '$request $status $http_cookie $http_user_agent $request_body';
    access_log {folder}/access.log everything;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream service {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{streaming} ssl;
        client_max_body_size 0;
        location / {{
            proxy_pass http://service;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
    server {{
        listen 127.0.0.1:{buffering} ssl;
        client_max_body_size 64m;
        client_body_in_file_only on;
        client_body_buffer_size 1k;
        proxy_buffer_size 4k;
        proxy_buffers 2 4k;
        proxy_busy_buffers_size 4k;
        gzip on;
        gzip_types *;
        location / {{ proxy_pass http://service; }}
    }}
}}
"""


class Recorder:
    """A relay of TCP connections that keeps every byte it passes on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.kept = bytearray()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._stopped = threading.Event()
        self._accepting.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._relay, args=(near,))
            thread.start()
            self._threads.append(thread)

    def _relay(self, near: socket.socket) -> None:
        with (
            near,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._target)) as far,
            selectors.DefaultSelector() as ready,
        ):
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while not self._stopped.is_set():
                for key, _ in ready.select(0.2):
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    self.kept += data
                    key.data.sendall(data)

    def close(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listening.close()
        for thread in (self._accepting, *self._threads):
            thread.join(10)


class Front:
    """nginx in front of one port, with a recorder between the two."""

    def __init__(self, folder: Path, target: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.recorder = Recorder(target)
        self.streaming, self.buffering = free_port(), free_port()
        write_certificate(folder)
        user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
        text = CONFIGURATION.format(
            user=user, folder=folder, upstream=self.recorder.port, streaming=self.streaming, buffering=self.buffering
        )
        (folder / "nginx.conf").write_text(text)
        assert NGINX is not None
        self.process = subprocess.Popen(
            [NGINX, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"), "-p", str(folder)],
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for port in (self.streaming, self.buffering):
            while True:
                assert self.process.poll() is None, (self.folder / "error.log").read_text()
                assert time.monotonic() < deadline
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.02)

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))

    @property
    def addresses(self) -> list[str]:
        return [f"https://127.0.0.1:{port}" for port in (self.streaming, self.buffering)]

    def seen(self) -> bytes:
        """Everything that passed nginx in clear, and everything that it wrote down."""
        kept = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and path.name != "key.pem"]
        return b"\n".join([bytes(self.recorder.kept), *kept])

    def log(self) -> list[str]:
        return (self.folder / "access.log").read_text("latin-1").split("\n")[:-1]

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.recorder.close()


def write_certificate(folder: Path) -> None:
    """Write a self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoded = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(encoded))
    private = key.private_bytes(encoded, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)


@contextlib.contextmanager
def fronted(folder: Path, target: int) -> Iterator[Front]:
    front = Front(folder, target)
    try:
        yield front
    finally:
        front.close()


@contextlib.contextmanager
def store_at(deployment: Deployment, front: Front, url: str) -> Iterator[StoreApi]:
    """Give a client's way to the store by way of nginx."""
    terms = terms_of(deployment.trust, measure_store())
    outer = httpx2.HTTPTransport(verify=front.tls, trust_env=False)
    store = StoreApi(AttestedTransport(url, terms, clock=SystemClock(), outer=outer))
    try:
        yield store
    finally:
        store.close()


def test_two_devices_register_and_sync_through_nginx_which_can_read_none_of_it(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "deployment")
    person = Person(deployment, username=USERNAME)
    with deployment.running(), fronted(tmp_path / "nginx", deployment.port) as front:
        through, kept_whole = front.addresses
        with (
            store_at(deployment, front, through) as store_a,
            person.register(tmp_path / "a", store_a) as a,
            store_at(deployment, front, kept_whole) as store_b,
            person.join(tmp_path / "b", store_b, a.account_secret) as b,
        ):
            vault = LocalVault(a.store)
            vault.add(login_item(**SECRETS))
            vault.add_all([login_item(f"The Secret Title {number}", notes="n" * 2000) for number in range(60)])
            sync_device(a, store_a)
            sync_device(b, store_b)  # the answer is far larger than nginx's buffers
            LocalVault(b.store).add(login_item("The Secret Title, from the other side"))
            sync_device(b, store_b)
            sync_device(a, store_a)
            titles = [sorted(entry.item.title for entry in LocalVault(device.store).items()) for device in (a, b)]
            assert titles[0] == titles[1]
            assert len(titles[0]) == 62

        # by contrast, what is sent outside of the channel is there to be read
        with httpx2.Client(verify=front.tls, trust_env=False) as stranger:
            for url in front.addresses:
                answer = stranger.post(f"{url}/strongroom/v1/health?{MARKER}", content=MARKER.encode())
                assert answer.status_code == 404
        log, seen = front.log(), front.seen()

    assert seen.count(MARKER.encode()) >= 4
    paths = {line.split()[1] for line in log if MARKER not in line}
    assert "/strongroom/v1/exchange" in paths
    assert all(path.startswith("/strongroom/v1/") for path in paths)
    assert len(list((tmp_path / "nginx" / "bodies").rglob("*"))) > 3
    readable = seen.lower()
    for secret in (
        *SECRETS.values(),
        USERNAME,
        person.password.decode(),
        "/v1/accounts",
        "/v1/vault",
        "nnnnnnnn",
    ):
        assert secret.lower().encode() not in readable, secret


def test_the_commands_go_through_nginx_too(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "deployment")
    with deployment.running(), fronted(tmp_path / "nginx", deployment.port) as front:
        environment = clean_environment(SSL_CERT_FILE=str(front.folder / "certificate.pem"))
        invited = Invitation.from_text(deployment.invitation)
        for url in front.addresses:
            address = Invitation(
                url=url, deployment=invited.deployment, simulated_root=invited.simulated_root
            ).to_text()
            ran = strongroom("verify", address, "--accept-simulated-platform", environment=environment)
            assert ran.code == 0, ran.err
            assert ran.out.startswith(f"attested: {url}\n")
        # without the certificate's issuer there is no way through, whatever the evidence would say
        assert strongroom("verify", address, "--accept-simulated-platform").code == 7


def test_a_store_that_restarts_behind_nginx_is_attested_again(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path / "deployment")
    store = deployment.start()
    try:
        with fronted(tmp_path / "nginx", deployment.port) as front, contextlib.ExitStack() as clients:
            stores = [clients.enter_context(store_at(deployment, front, url)) for url in front.addresses]
            person = Person(deployment, username=USERNAME)
            devices = [
                clients.enter_context(Person(deployment, username=f"{number}").register(tmp_path / f"{number}", way))
                for number, way in enumerate(stores)
            ]
            sessions = [way.peer().session for way in stores]
            store.stop()
            for device, way in zip(devices, stores, strict=True):
                with pytest.raises(StoreUnreachable):  # nginx says 502
                    sync_device(device, way)
            store = deployment.start()
            for device, way in zip(devices, stores, strict=True):
                sync_device(device, way)
            assert all(way.peer().session != session for way, session in zip(stores, sessions, strict=True))
            assert person.username not in front.seen().decode("latin-1")
    finally:
        store.stop()


def test_large_bodies_pass_in_pieces_and_whole(tmp_path: Path) -> None:
    enclave = Enclave(new_platform(tmp_path / "platform"))
    content = b"a line that nginx must not read\n" * 150_000
    now = SystemClock()
    with (
        Loopback(enclave.service(clock=now)) as service,
        fronted(tmp_path / "nginx", int(service.rpartition(":")[2])) as front,
    ):
        for url in front.addresses:
            terms: ClientTerms = enclave.terms()
            outer = httpx2.HTTPTransport(verify=front.tls, trust_env=False)
            transport = AttestedTransport(url, terms, clock=now, outer=outer)
            with httpx2.Client(transport=transport, base_url="https://store", timeout=60) as client:
                assert client.post("/", content=content).content == content
                pieces = (content[at : at + 70_000] for at in range(0, len(content), 70_000))
                assert client.post("/", content=pieces).content == content
        seen = front.seen()
    assert len(seen) > 8 * len(content)
    assert b"nginx must not read" not in seen
