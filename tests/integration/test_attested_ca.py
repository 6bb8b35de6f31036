"""An attested authority over HTTP: a plain TLS client connects, and ours still checks the evidence itself."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from attested import IDENTITY, findings_of, new_platform, policy
from ratls_servers import Endorsements, hello, running, wait_for
from store_client import FakeClock
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import AppraisalRefused, MalformedMessage, NotAuthorised, Unavailable
from strongroom.crypto.certificates import pem
from strongroom.crypto.tls_certificates import PeerCertificate, TlsKey, issue_server_certificate, request_signature
from strongroom.formats.measurements import MrEnclave
from strongroom.ratls.authority import Authority, AuthorityTerms, IssuingRule, NonceBook
from strongroom.ratls.authority_client import fetch_authority, request_certificate
from strongroom.ratls.authority_messages import (
    CERTIFICATE_PATH,
    COLLATERAL_PATH,
    EVIDENCE_PATH,
    MAX_CERTIFICATE_REQUEST_BYTES,
    NONCE_PATH,
    CertificateRequest,
)
from strongroom.ratls.authority_service import AuthorityService
from strongroom.ratls.binding import attest_key
from strongroom.ratls.client import RaTlsTransport, peer_of
from strongroom.ratls.issuing import ServerCertificate
from strongroom.ratls.peer import RaTlsTerms
from strongroom.ratls.server import BesideCertificate, RenewingCertificate, uvicorn_config
from strongroom.testing.loopback import Loopback

AT = datetime.now(UTC).replace(microsecond=0)
AUTHORITY = EnclaveIdentity(mr_enclave=MrEnclave(b"a" * 32), mr_signer=IDENTITY.mr_signer, isv_prod_id=1, isv_svn=1)
STRANGER = EnclaveIdentity(mr_enclave=MrEnclave(b"x" * 32), mr_signer=IDENTITY.mr_signer, isv_prod_id=1, isv_svn=1)


@dataclass
class World:
    platform: SimulatedPlatform
    clock: FakeClock
    authority: Authority
    http: httpx2.Client
    own: RaTlsTerms
    collateral: bytes

    def ask(self, code: EnclaveIdentity = IDENTITY, *names: str, authority: bytes | None = None) -> ServerCertificate:
        return request_certificate(
            self.http,
            self.platform.enclave(code),
            names=names or ("localhost",),
            collateral=self.collateral,
            authority=authority or self.authority.certificate,
            at=self.clock.now(),
        )

    def post(self, request: CertificateRequest) -> httpx2.Response:
        return self.http.post(CERTIFICATE_PATH, content=request.to_bytes())

    def request(self, nonce: bytes) -> CertificateRequest:
        key = TlsKey.generate()
        evidence = attest_key(self.platform.enclave(IDENTITY), key.spki, nonce=nonce)
        return CertificateRequest(
            nonce=nonce,
            signing_request=request_signature(key, ["localhost"]),
            evidence=evidence,
            collateral=self.collateral,
        )


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPlatform:
    return new_platform(tmp_path_factory.mktemp("platform"))


@pytest.fixture
def world(platform: SimulatedPlatform) -> Iterator[World]:
    clock = FakeClock(AT)
    terms = AuthorityTerms(
        domains=("localhost",),
        rules=(IssuingRule(policy=policy(platform), names=frozenset({"localhost", "a.localhost"})),),
        lifetime=timedelta(hours=6),
    )
    authority = Authority(platform.enclave(AUTHORITY), terms, subject="Example attested authority", at=AT)
    service = AuthorityService(
        authority,
        endorsements=Endorsements(platform),
        clock=clock,
        nonces=NonceBook(capacity=8),
        max_live_certificates=3,
    )
    own = RaTlsTerms(
        policy=policy(platform),
        maximum_lifetime=timedelta(days=1),
        accept_older_gramine=False,
        accept_unknown_claims=False,
        authority=authority.certificate,
    )
    with Loopback(service) as url, httpx2.Client(base_url=url, trust_env=False) as http:
        yield World(platform, clock, authority, http, own, platform.collateral(AT).to_json())


def test_a_plain_client_connects_and_ours_checks_the_evidence_as_well(world: World) -> None:
    certificate = RenewingCertificate(lambda at: world.ask(), clock=world.clock)
    service = BesideCertificate(
        hello, certificate, endorsements=Endorsements(world.platform), clock=world.clock, poll_seconds=0.01
    )
    with running(uvicorn_config(service, certificate)) as port:
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        plain.load_verify_locations(cadata=pem([world.authority.certificate]).decode())
        with (
            socket.create_connection(("127.0.0.1", port)) as connection,
            plain.wrap_socket(connection, server_hostname="localhost") as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            assert tls.recv(12) == b"HTTP/1.1 200"
        url = f"https://localhost:{port}"
        with httpx2.Client(transport=RaTlsTransport(url, world.own, clock=world.clock), trust_env=False) as client:
            peer = peer_of(client.get(url))
            assert peer.certified
            assert peer.result.claims.mr_enclave == IDENTITY.mr_enclave
        stricter = replace(world.own, policy=replace(policy(world.platform), mr_enclaves=frozenset()))
        transport = RaTlsTransport(url, stricter, clock=world.clock)
        with httpx2.Client(transport=transport, trust_env=False) as client, pytest.raises(AppraisalRefused) as refused:
            client.get(url)
        assert findings_of(refused.value) == [("measurement", "appraisal 8.3")]
        first = certificate.current
        world.clock.instant = first.not_after - timedelta(minutes=1)
        transport = RaTlsTransport(url, world.own, clock=world.clock)
        wait_for(lambda: certificate.current is not first)
        with httpx2.Client(transport=transport, trust_env=False) as client:
            assert client.get(url).text == "hello"


def test_a_plain_client_that_trusts_the_authority_is_kept_within_its_domains(world: World) -> None:
    """Even if the authority certified a name outside, name constraints make chain checkers refuse it."""
    key = TlsKey.generate()
    outside = issue_server_certificate(
        issuer="Example attested authority",
        issuer_key=world.authority._key,
        spki=key.spki,
        names=["bank.example"],
        serial=1,
        not_before=AT - timedelta(minutes=5),
        not_after=AT + timedelta(hours=1),
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(world, outside, key, "bank.example")
    inside = world.ask()
    handshake(world, inside.chain[0], inside.key, "localhost")


def handshake(world: World, certificate: bytes, key: TlsKey, host: str) -> None:
    from strongroom.ratls.server import load_certificate, server_context

    serving = server_context()
    load_certificate(
        serving,
        ServerCertificate(
            chain=(certificate,), key=key, evidence=b"", not_before=AT, not_after=AT + timedelta(hours=1)
        ),
    )
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.load_verify_locations(cadata=pem([world.authority.certificate]).decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(3):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_another_measurement_gets_nothing(world: World) -> None:
    with pytest.raises(NotAuthorised, match="measurement"):
        world.ask(STRANGER)


def test_a_name_outside_gets_nothing(world: World) -> None:
    with pytest.raises(NotAuthorised, match="deployment"):
        world.ask(IDENTITY, "vault.example")


def test_the_same_request_twice_is_refused_the_second_time(world: World) -> None:
    nonce = world.http.post(NONCE_PATH).content
    request = world.request(nonce)
    assert world.post(request).status_code == 200
    again = world.post(request)
    assert again.status_code == 403
    assert again.json()["findings"] == [["freshness", "attested-ca 1.1"]]


def test_a_refused_request_uses_its_nonce_up_as_well(world: World) -> None:
    nonce = world.http.post(NONCE_PATH).content
    request = world.request(nonce)
    assert world.post(replace(request, evidence=b"nonsense")).status_code == 400
    assert world.post(request).json()["findings"] == [["freshness", "attested-ca 1.1"]]


def test_a_nonce_of_ones_own_or_an_old_one_is_refused(world: World) -> None:
    assert world.post(world.request(b"n" * 32)).json()["findings"] == [["freshness", "attested-ca 1.1"]]
    nonce = world.http.post(NONCE_PATH).content
    world.clock.seconds += 121
    assert world.post(world.request(nonce)).json()["findings"] == [["freshness", "attested-ca 1.1"]]


def test_evidence_of_an_earlier_request_does_not_serve_a_new_nonce(world: World) -> None:
    old, new = (world.request(world.http.post(NONCE_PATH).content) for _ in range(2))
    spliced = replace(old, nonce=new.nonce)
    assert world.post(spliced).json()["findings"] == [["freshness", "ra-tls 3.7"]]


def test_the_evidence_stays_fetchable_until_the_certificate_ends(world: World) -> None:
    issued = world.ask()
    serial = PeerCertificate.from_der(issued.chain[0]).serial.hex()
    assert world.http.get(EVIDENCE_PATH + serial).content == issued.evidence
    for unknown in ("00", "", "x1", "f" * 41, "é"):
        assert world.http.get(EVIDENCE_PATH + unknown).status_code == 404
    world.clock.instant = issued.not_after + timedelta(seconds=1)
    assert world.http.get(EVIDENCE_PATH + serial).status_code == 404


def test_a_certificate_whose_evidence_could_not_be_kept_is_not_issued(world: World) -> None:
    for _ in range(3):
        last = world.ask()
    with pytest.raises(Unavailable, match="503"):
        world.ask()
    world.clock.instant = last.not_after + timedelta(seconds=1)
    world.ask()


def test_the_authority_itself_is_appraised(world: World) -> None:
    terms = replace(
        world.own,
        policy=replace(policy(world.platform), mr_enclaves=frozenset({AUTHORITY.mr_enclave})),
        maximum_lifetime=timedelta(days=91),
        authority=None,
    )
    certificate, peer = fetch_authority(world.http, terms, at=AT)
    assert certificate == world.authority.certificate
    assert peer.result.claims.mr_enclave == AUTHORITY.mr_enclave
    with pytest.raises(AppraisalRefused) as refused:
        fetch_authority(world.http, replace(terms, policy=policy(world.platform)), at=AT)
    assert findings_of(refused.value) == [("measurement", "appraisal 8.3")]


def test_an_enclave_takes_no_certificate_of_another_authority(world: World) -> None:
    other = Authority(world.platform.enclave(AUTHORITY), world.authority.terms, subject="Other", at=AT)
    with pytest.raises(MalformedMessage, match="another certificate"):
        world.ask(authority=other.certificate)


def test_what_is_no_request_is_turned_away(world: World) -> None:
    assert world.http.post(CERTIFICATE_PATH, content=b"nonsense").json()["error"] == "malformed-message"
    assert world.http.post(CERTIFICATE_PATH, content=bytes(MAX_CERTIFICATE_REQUEST_BYTES + 1)).status_code == 400
    assert world.http.get("/").status_code == 404
    assert world.http.get(NONCE_PATH).status_code == 404
    assert world.http.get(COLLATERAL_PATH).content == world.collateral


def test_too_many_nonces_are_unavailable(world: World) -> None:
    for _ in range(8):
        world.http.post(NONCE_PATH)
    with pytest.raises(Unavailable, match="503"):
        world.ask()


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (200, b"short", MalformedMessage),
        (200, bytes(33), MalformedMessage),
        (500, b"\xff", Unavailable),
        (500, b"[]", Unavailable),
        (403, b'{"message": "no\\u001b[31m"}', NotAuthorised),
    ],
)
def test_a_stranger_instead_of_an_authority_can_stop_us_only(
    world: World, status: int, content: bytes, error: type[Exception]
) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(status, content=iter([content])))
    with httpx2.Client(transport=transport, base_url="http://authority") as http, pytest.raises(error) as raised:
        request_certificate(
            http,
            world.platform.enclave(IDENTITY),
            names=["localhost"],
            collateral=b"",
            authority=world.authority.certificate,
            at=AT,
        )
    assert "\x1b" not in str(raised.value)


def test_an_authority_that_cannot_be_reached_is_unavailable(world: World) -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("nobody there")

    with (
        httpx2.Client(transport=httpx2.MockTransport(fail), base_url="http://authority") as http,
        pytest.raises(Unavailable),
    ):
        fetch_authority(http, world.own, at=AT)
