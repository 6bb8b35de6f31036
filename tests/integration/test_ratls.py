"""RA-TLS over real sockets: nothing leaves before the verdict, certificates change under a living server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from attested import AT, IDENTITY, findings_of, new_platform, policy
from ratls_second import Plan, verify
from ratls_servers import Endorsements, hello, running, wait_for
from running import strongroom
from store_client import FakeClock
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import (
    AppraisalRefused,
    AttesterUnavailable,
    CollateralUnavailable,
    MalformedCollateral,
    MalformedQuote,
    Misconfigured,
)
from strongroom.crypto.hashing import sha256
from strongroom.formats.measurements import MrEnclave
from strongroom.ratls.client import AsyncRaTlsTransport, RaTlsTransport, peer_of
from strongroom.ratls.inquest import client_context
from strongroom.ratls.issuing import ServerCertificate, issue_certificate
from strongroom.ratls.paths import COLLATERAL_PATH, EVIDENCE_PATH, MAX_STAPLED_COLLATERAL_BYTES
from strongroom.ratls.peer import RaTlsTerms
from strongroom.ratls.server import (
    BesideCertificate,
    RenewingCertificate,
    load_certificate,
    server_context,
    uvicorn_config,
)
from strongroom.transport.clock import SystemClock
from strongroom.verifier.policy_compose import policy_to_toml

STRANGER = EnclaveIdentity(mr_enclave=MrEnclave(b"x" * 32), mr_signer=IDENTITY.mr_signer, isv_prod_id=1, isv_svn=2)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPlatform:
    return new_platform(tmp_path_factory.mktemp("platform"))


@pytest.fixture(scope="module")
def terms(platform: SimulatedPlatform) -> RaTlsTerms:
    return RaTlsTerms(
        policy=policy(platform),
        maximum_lifetime=timedelta(days=1),
        accept_older_gramine=False,
        accept_unknown_claims=False,
    )


class Recorder:
    """A TLS server that keeps every decrypted byte, connection by connection, and answers each request alike."""

    def __init__(self, context: ssl.SSLContext, answer: bytes = b"") -> None:
        self._context = context
        self._answer = answer or b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.received: list[bytes] = []
        self.handshakes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._thread.join(5)

    def serve_one_more(self) -> None:
        """Serve a second connection while the first is still open."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        self._listening.settimeout(0.05)
        while True:
            try:
                plain, _ = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._one(plain)

    def _one(self, plain: socket.socket) -> None:
        plain.settimeout(5)
        with plain:
            try:
                with self._context.wrap_socket(plain, server_side=True) as tls:
                    with self._lock:
                        self.handshakes += 1
                        index = len(self.received)
                        self.received.append(b"")
                    while data := tls.recv(65536):
                        self.received[index] += data
                        if self.received[index].endswith(b"\r\n\r\n"):
                            tls.sendall(self._answer)
            except OSError:
                return


def context_of(plan: Plan, directory: Path) -> ssl.SSLContext:
    """The context of a foreign server, its certificate made by the second implementation."""
    file = directory / "server.pem"
    file.write_bytes(plan.pem())
    context = server_context()
    context.load_cert_chain(file)
    return context


def own_context(certificate: ServerCertificate) -> ssl.SSLContext:
    context = server_context()
    load_certificate(context, certificate)
    return context


def get(url: str, transport: httpx2.BaseTransport, path: str = "/secret?password=hunter2") -> httpx2.Response:
    with httpx2.Client(transport=transport, trust_env=False) as client:
        return client.get(url + path, headers={"authorization": "Bearer of a secret"})


def test_a_peer_of_another_implementation_is_talked_to(
    platform: SimulatedPlatform, terms: RaTlsTerms, tmp_path: Path
) -> None:
    plan = Plan(quote=platform.enclave(IDENTITY).evidence, at=AT)
    with Recorder(context_of(plan, tmp_path)) as server:
        response = get(
            server.url, RaTlsTransport(server.url, terms, clock=FakeClock(), collateral=platform.collateral(AT))
        )
        assert response.text == "ok"
        assert peer_of(response).public_key_hash == sha256(plan.spki)
        assert b"hunter2" in server.received[0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: setattr(plan, "lifetime", timedelta(days=400)),
        lambda plan: setattr(plan, "oids", []),
        lambda plan: setattr(plan, "hashed_key", bytes(32)),
        lambda plan: setattr(plan, "tail", b"t" * 32),
        lambda plan: setattr(plan, "report_hash", bytes(32)),
        lambda plan: setattr(plan, "evidence", lambda right: right[:-1]),
    ],
    ids=["lifetime", "no evidence", "another key", "tail", "claims", "malformed"],
)
def test_a_refused_peer_sees_no_byte_of_the_request(
    platform: SimulatedPlatform, terms: RaTlsTerms, tmp_path: Path, spoil: Callable[[Plan], None]
) -> None:
    plan = Plan(quote=platform.enclave(IDENTITY).evidence, at=AT)
    spoil(plan)
    with Recorder(context_of(plan, tmp_path)) as server:
        transport = RaTlsTransport(server.url, terms, clock=FakeClock(), collateral=platform.collateral(AT))
        with pytest.raises((AppraisalRefused, MalformedQuote)):
            get(server.url, transport)
        wait_for(lambda: server.handshakes == 1)
    assert server.received == [b""]


def test_a_stolen_certificate_without_its_key_completes_no_handshake(
    platform: SimulatedPlatform, terms: RaTlsTerms
) -> None:
    """The certificate is public; what the thief lacks is the key that the handshake asks for."""
    genuine = issue_certificate(platform.enclave(IDENTITY), at=AT)
    with pytest.raises(ssl.SSLError):
        own_context(replace(genuine, key=issue_certificate(platform.enclave(IDENTITY), at=AT).key))


def test_the_refused_see_nothing_in_async_either(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    refused = own_context(issue_certificate(platform.enclave(STRANGER), at=AT))
    accepted = own_context(issue_certificate(platform.enclave(IDENTITY), at=AT))

    async def run(url: str) -> httpx2.Response:
        transport = AsyncRaTlsTransport(url, terms, clock=FakeClock(), collateral=platform.collateral(AT))
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            return await client.get(url + "/secret")

    with Recorder(refused) as server:
        with pytest.raises(AppraisalRefused) as refusal:
            asyncio.run(run(server.url))
        wait_for(lambda: server.handshakes == 1)
    assert findings_of(refusal.value) == [("measurement", "appraisal 8.3")]
    assert server.received == [b""]
    with Recorder(accepted) as server:
        response = asyncio.run(run(server.url))
        assert response.text == "ok"
        assert peer_of(response).result.claims.mr_enclave == IDENTITY.mr_enclave


def test_a_stranger_without_any_evidence_is_asked_for_collateral_at_most(
    platform: SimulatedPlatform, terms: RaTlsTerms
) -> None:
    context = own_context(issue_certificate(platform.enclave(STRANGER), at=AT))
    stapled = platform.collateral(AT).to_json()
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(stapled) + stapled
    with Recorder(context, answer) as server:
        server.serve_one_more()
        with pytest.raises(AppraisalRefused):
            get(server.url, RaTlsTransport(server.url, terms, clock=FakeClock()))
        wait_for(lambda: server.handshakes == 2)
    asked = [data for data in server.received if data]
    assert len(asked) == 1
    assert asked[0].startswith(b"GET " + COLLATERAL_PATH.encode() + b" HTTP/1.1\r\n")
    assert not any(word in asked[0].lower() for word in (b"secret", b"hunter2", b"authorization", b"cookie"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", CollateralUnavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", MalformedCollateral),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n" + bytes(MAX_STAPLED_COLLATERAL_BYTES + 1),
            CollateralUnavailable,
        ),
        (b"nonsense\r\n\r\n", CollateralUnavailable),
    ],
    ids=["missing", "malformed", "endless", "nonsense"],
)
def test_collateral_that_cannot_be_had_is_never_acceptance(
    platform: SimulatedPlatform, terms: RaTlsTerms, answer: bytes, error: type[Exception]
) -> None:
    context = own_context(issue_certificate(platform.enclave(IDENTITY), at=AT))
    with Recorder(context, answer) as server:
        server.serve_one_more()
        for call in (sync_get, async_get):
            with pytest.raises(error):
                call(server.url, terms)
    assert not any(b"hunter2" in data for data in server.received)


def sync_get(url: str, terms: RaTlsTerms) -> httpx2.Response:
    return get(url, RaTlsTransport(url, terms, clock=FakeClock()))


def async_get(url: str, terms: RaTlsTerms) -> httpx2.Response:
    async def run() -> httpx2.Response:
        transport = AsyncRaTlsTransport(url, terms, clock=FakeClock())
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            return await client.get(url + "/secret?password=hunter2")

    return asyncio.run(run())


def test_a_resumed_session_is_refused(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    """A server with tickets and a client that keeps sessions: the old certificate comes back looking fresh."""
    certificate = issue_certificate(platform.enclave(IDENTITY), at=AT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(context, certificate)
    keeps = client_context()
    keeps.options &= ~ssl.OP_NO_TICKET
    with Recorder(context) as server:
        transport = RaTlsTransport(server.url, terms, clock=FakeClock(), collateral=platform.collateral(AT))
        port = int(server.url.rpartition(":")[2])
        first, session = exchange(keeps, port, None, transport)
        assert first.public_key_hash == sha256(certificate.key.spki)
        assert session is not None
        with pytest.raises(AppraisalRefused) as refused:
            exchange(keeps, port, session, transport)
        transport.close()
    assert findings_of(refused.value) == [("freshness", "ra-tls 5.1")]


def exchange(context: ssl.SSLContext, port: int, session: Any, transport: RaTlsTransport) -> Any:
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, session=session) as tls:
        verdict = transport.judge(tls)
        tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
        tls.recv(100)
        return verdict, tls.session


def test_our_server_issues_no_tickets(platform: SimulatedPlatform) -> None:
    keeps = client_context()
    keeps.options &= ~ssl.OP_NO_TICKET
    context = own_context(issue_certificate(platform.enclave(IDENTITY), at=AT))
    assert context.num_tickets == 0
    with Recorder(context) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as plain, keeps.wrap_socket(plain) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            tls.recv(100)
            assert tls.session is None or not tls.session.has_ticket


def test_a_connection_is_not_used_beyond_its_verdict(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    clock = FakeClock()
    certificate = issue_certificate(platform.enclave(IDENTITY), at=AT)
    context = own_context(certificate)
    with Recorder(context) as server:
        transport = RaTlsTransport(server.url, terms, clock=clock, collateral=platform.collateral(AT))
        with httpx2.Client(transport=transport, trust_env=False) as client:
            client.get(server.url)
            client.get(server.url)
            assert server.handshakes == 1
            clock.instant = certificate.not_after + timedelta(seconds=1)
            server.serve_one_more()
            with pytest.raises(AppraisalRefused) as refused:
                client.get(server.url)
            wait_for(lambda: server.handshakes == 2)
    assert findings_of(refused.value) == [("expiry", "ra-tls 1.1")]
    assert server.received[1] == b""


def test_a_verdict_that_ends_during_a_request_stops_the_writing(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    clock = FakeClock()
    certificate = issue_certificate(platform.enclave(IDENTITY), at=AT)

    def body() -> Iterator[bytes]:
        yield b"early"
        clock.instant = certificate.not_after + timedelta(seconds=1)
        yield b"afterwards"

    with Recorder(own_context(certificate)) as server:
        transport = RaTlsTransport(server.url, terms, clock=clock, collateral=platform.collateral(AT))
        with httpx2.Client(transport=transport, trust_env=False) as client, pytest.raises(AppraisalRefused) as refused:
            client.post(server.url, content=body())
    assert findings_of(refused.value) == [("expiry", "ra-tls 5.2")]
    assert b"afterwards" not in server.received[0]


def test_only_https_and_only_the_own_address(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    for url in ("http://127.0.0.1", "https://", "nonsense", "https://a:b:c"):
        with pytest.raises(Misconfigured):
            RaTlsTransport(url, terms, clock=FakeClock())
    transport = RaTlsTransport("https://a.example", terms, clock=FakeClock())
    for other in ("https://b.example", "https://a.example:444", "http://a.example"):
        with pytest.raises(Misconfigured):
            get(other, transport)


def test_errors_of_the_network_are_httpx2s(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"https://127.0.0.1:{port}"
    with pytest.raises(httpx2.ConnectError):
        get(url, RaTlsTransport(url, terms, clock=FakeClock(), collateral=platform.collateral(AT)))
    with pytest.raises(httpx2.ConnectError):
        async_get(url, terms)


def test_a_response_from_elsewhere_has_no_verdict() -> None:
    with pytest.raises(TypeError, match="RA-TLS"):
        peer_of(httpx2.Response(200))


def test_an_application_under_uvicorn_is_appraised_and_its_certificate_renewed_in_place(
    platform: SimulatedPlatform, terms: RaTlsTerms
) -> None:
    clock, endorsements = FakeClock(), Endorsements(platform)
    attester = platform.enclave(IDENTITY)
    certificate = RenewingCertificate(lambda at: issue_certificate(attester, at=at), clock=clock)
    first = certificate.current
    service = BesideCertificate(hello, certificate, endorsements=endorsements, clock=clock, poll_seconds=0.01)
    with running(uvicorn_config(service, certificate)) as port:
        url = f"https://127.0.0.1:{port}"
        transport = RaTlsTransport(url, terms, clock=clock)
        with httpx2.Client(transport=transport, trust_env=False) as client:
            response = client.get(url)
            assert response.text == "hello"
            assert peer_of(response).public_key_hash == sha256(first.key.spki)
            assert endorsements.asked == 1
            clock.instant = first.not_after - timedelta(minutes=30)
            wait_for(lambda: certificate.current is not first)
            standing = client.get(url)
            assert peer_of(standing).public_key_hash == sha256(first.key.spki)  # connections that stand are left alone
            clock.instant = first.not_after + timedelta(seconds=1)
            renewed = client.get(url)
            assert peer_of(renewed).public_key_hash == sha256(certificate.current.key.spki)
            assert endorsements.asked == 1  # collateral is remembered
            for known in (first, certificate.current):
                beside = client.get(url + EVIDENCE_PATH + sha256(known.key.spki).hex())
                assert beside.content == known.evidence
            for path in (EVIDENCE_PATH + "00", EVIDENCE_PATH + "no hash"):
                assert client.get(url + path).status_code == 404
            assert client.post(url + COLLATERAL_PATH).status_code == 405
            endorsements.fails = True
            assert client.get(url + COLLATERAL_PATH).status_code == 503


def test_remembered_collateral_that_has_aged_is_asked_for_anew(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    clock, endorsements = FakeClock(), Endorsements(platform)
    attester = platform.enclave(IDENTITY)
    certificate = RenewingCertificate(lambda at: issue_certificate(attester, at=at), clock=clock)
    service = BesideCertificate(hello, certificate, endorsements=endorsements, clock=clock, poll_seconds=0.01)
    with running(uvicorn_config(service, certificate)) as port:
        url = f"https://127.0.0.1:{port}"
        transport = RaTlsTransport(url, terms, clock=clock)
        with httpx2.Client(transport=transport, trust_env=False) as client:
            client.get(url)
            before = certificate.current
            clock.instant = AT + timedelta(days=60)
            wait_for(lambda: certificate.current is not before)
            assert client.get(url).text == "hello"
            assert endorsements.asked == 2


def test_a_renewal_that_fails_keeps_the_old_certificate_and_is_tried_again(platform: SimulatedPlatform) -> None:
    clock, attester = FakeClock(), platform.enclave(IDENTITY)
    failures: list[int] = []

    def issue(at: Any) -> ServerCertificate:
        if clock.instant > AT and len(failures) < 2:
            failures.append(1)
            raise AttesterUnavailable("not now")
        return issue_certificate(attester, at=at)

    certificate = RenewingCertificate(issue, clock=clock)
    first = certificate.current
    assert not certificate.due()

    async def run() -> None:
        keeper = asyncio.create_task(certificate.keep_fresh(poll_seconds=0.001))
        clock.instant = first.not_after - timedelta(minutes=20)
        assert certificate.due()
        while certificate.current is first:
            await asyncio.sleep(0.001)
        keeper.cancel()

    asyncio.run(run())
    assert len(failures) == 2
    assert certificate.evidence_for(sha256(first.key.spki)) == first.evidence
    assert certificate.evidence_for(b"unknown") is None


def test_a_key_can_be_loaded_from_a_directory_and_is_not_left_there(
    platform: SimulatedPlatform, tmp_path: Path
) -> None:
    context = server_context()
    load_certificate(context, issue_certificate(platform.enclave(IDENTITY), at=AT), directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_files_in_memory_a_directory_has_to_be_named(
    platform: SimulatedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.memfd_create")
    with pytest.raises(Misconfigured, match="files in memory"):
        own_context(issue_certificate(platform.enclave(IDENTITY), at=AT))


def test_the_environment_gets_no_tls_secrets(
    platform: SimulatedPlatform, terms: RaTlsTerms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    with Recorder(own_context(issue_certificate(platform.enclave(IDENTITY), at=AT))) as server:
        get(server.url, RaTlsTransport(server.url, terms, clock=FakeClock(), collateral=platform.collateral(AT)))
    assert not log.exists()


def test_what_is_served_is_what_the_second_implementation_reads(platform: SimulatedPlatform) -> None:
    with Recorder(own_context(issue_certificate(platform.enclave(IDENTITY), at=AT))) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as plain, client_context().wrap_socket(plain) as tls:
            assert tls.version() == "TLSv1.3"
            assert verify(tls.getpeercert(True) or b"")["quote"][:2] == b"\x03\x00"


def test_tls_1_2_is_spoken_where_it_is_allowed(platform: SimulatedPlatform, terms: RaTlsTerms) -> None:
    context = server_context(allow_tls_1_2=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, issue_certificate(platform.enclave(IDENTITY), at=AT))
    with Recorder(context) as server:
        collateral = platform.collateral(AT)
        with pytest.raises(httpx2.ConnectError):
            get(server.url, RaTlsTransport(server.url, terms, clock=FakeClock(), collateral=collateral))
        allowed = RaTlsTransport(server.url, terms, clock=FakeClock(), collateral=collateral, allow_tls_1_2=True)
        assert get(server.url, allowed).text == "ok"


def test_as_a_command(platform: SimulatedPlatform, tmp_path: Path) -> None:
    """The command has the clock of the day, so the server has it, too."""
    clock, attester = SystemClock(), platform.enclave(IDENTITY)
    (tmp_path / "policy.toml").write_bytes(policy_to_toml(policy(platform)))
    (tmp_path / "refusing.toml").write_bytes(policy_to_toml(policy(platform, mr_enclaves=frozenset())))
    certificate = RenewingCertificate(lambda at: issue_certificate(attester, at=at), clock=clock)
    service = BesideCertificate(hello, certificate, endorsements=Endorsements(platform), clock=clock)
    with running(uvicorn_config(service, certificate)) as port:
        url = f"https://127.0.0.1:{port}"
        asked = ("ratls", "verify", url, "--policy")
        shown = strongroom(*asked, tmp_path / "policy.toml")
        assert shown.code == 0, shown.err
        assert shown.out.startswith(f"key-bound: {url}")
        assert "SIMULATED PLATFORM" in shown.out
        assert strongroom(*asked, tmp_path / "policy.toml", "--json").json["binding"] == "key"
        refused = strongroom(*asked, tmp_path / "refusing.toml")
        assert refused.code == 3
        assert "measurement" in refused.err
    assert strongroom(*asked, tmp_path / "policy.toml").code == 7
