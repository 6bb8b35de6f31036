"""Attacks on the way to a store, over real HTTP on loopback. Each ends in the finding that names it.

Where an attack is refused by one step alone, a second test lets a client skip that step: then the attack works. So it
is the step that stops it, and not a mistake of the attacker's.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from attested import IDENTITY, Counting, Enclave, client_of, echo, findings_of, new_platform, policy
from store_client import FakeClock
from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.base.errors import AppraisalRefused, MalformedMessage, NotAuthorised, StoreUnreachable
from strongroom.channel import keyed
from strongroom.channel.client import ClientExchange, ClientTerms
from strongroom.channel.messages import ServerAnswer
from strongroom.channel.server import Batch, ServerExchange
from strongroom.channel.shared_key import SharedKey, SharedKeyring
from strongroom.client.invitation import Invitation
from strongroom.crypto import merkle
from strongroom.crypto.hashing import sha256
from strongroom.formats.instance_certificate import SignedInstanceCertificate
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.testing.impostor import Impostor, Pretence, observe
from strongroom.testing.loopback import Loopback
from strongroom.testing.middle import (
    Diverting,
    Downgrading,
    KeylessRelay,
    Replaying,
    Resuming,
    Splicing,
    SplicingKeyed,
)
from strongroom.testing.relay import Relay, Wiretap
from strongroom.transport.asgi import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH, SharedKeyService
from strongroom.transport.client import SharedKeyTransport
from strongroom.transport.table import ChannelLimits
from strongroom.verifier.binding import AttestedPeer
from strongroom.verifier.policy import SignerRule

SECRET = b"the password of my bank is 4711"


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> SimulatedPlatform:
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


class Genuine(Enclave):
    """A store's deployment, with identities as the store really makes them."""

    def __init__(self, platform: SimulatedPlatform) -> None:
        super().__init__(platform)
        self.store = Deployment.create(MemoryRecordStore(), self.platform.enclave(self.code))

    @property
    def deployment(self) -> bytes:
        return self.store.deployment_id

    def identity(self, at):
        return self.store.identity(at)


@pytest.fixture
def genuine(platform) -> Genuine:
    return Genuine(platform)


@pytest.fixture
def url(genuine) -> Iterator[str]:
    with Loopback(genuine.service()) as address:
        yield address


def refused(url: str, terms: ClientTerms) -> list[tuple[str, str]]:
    """Try to tell a secret; gives the findings."""
    with client_of(url, terms) as (client, _), pytest.raises(AppraisalRefused) as refusal:
        client.post("/login", content=SECRET)
    return findings_of(refusal.value)


def told(url: str, terms: ClientTerms) -> bytes:
    """Tell a secret; gives the answer."""
    with client_of(url, terms) as (client, _):
        return client.post("/login", content=SECRET).content


def test_the_genuine_service_is_accepted(url, genuine) -> None:
    assert told(url, genuine.terms()) == SECRET


# in the middle


def test_a_wiretap_learns_nothing(url, genuine) -> None:
    wiretap = Wiretap(url)
    with wiretap.serve() as tapped:
        assert told(tapped, genuine.terms()) == SECRET
    assert len(wiretap.seen) == 4
    assert SECRET not in b"".join(wiretap.seen)
    assert b"4711" not in b"".join(wiretap.seen)


def test_a_relay_that_shows_genuine_evidence_is_refused(url, genuine) -> None:
    relay = Relay(url)
    with relay.serve() as address:
        assert refused(address, genuine.terms()) == [("freshness", "attested-channel 6.2")]
    assert relay.read == []
    assert len(relay.seen) == 2, "the hello and its answer"
    assert genuine.quotes == 1, "the evidence is genuine and fresh"


def test_a_relay_reads_everything_of_a_client_that_checks_the_evidence_alone(url, genuine, monkeypatch) -> None:
    monkeypatch.setattr(merkle, "verify_inclusion", lambda *_, **__: True)
    relay = Relay(url)
    with relay.serve() as address:
        assert told(address, genuine.terms()) == SECRET
    assert any(SECRET in request for request in relay.read)


def test_a_proof_of_another_clients_session_is_refused(url, genuine) -> None:
    with Splicing(url).serve() as address:
        assert told(address, genuine.terms()) == SECRET
        assert refused(address, genuine.terms()) == [("freshness", "attested-channel 6.2")]


def test_a_replayed_answer_is_refused(url, genuine) -> None:
    with Replaying(url).serve() as address:
        assert told(address, genuine.terms()) == SECRET
        assert refused(address, genuine.terms()) == [("key-binding", "attested-channel 3")]


def test_diversion_to_another_deployment_of_the_same_code_is_refused(genuine, platform) -> None:
    other = Counting(Genuine(platform).service())
    with Loopback(other) as address:
        assert refused(address, genuine.terms()) == [("deployment", "attested-channel 6.4")]
    assert other.paths == [EXCHANGE_PATH]


class LeakedKey(Wiretap):
    """Ends the exchange itself, with the instance key of another accepted enclave, and shows genuine evidence.

    ``own_claims``: builds claims of its own and signs them with the leaked key; else it passes the genuine ones on.
    """

    def __init__(self, genuine_url: str, identity, collateral: bytes, *, own_claims: bool) -> None:
        super().__init__(genuine_url)
        self.leaked, self.collateral, self.own_claims = identity, collateral, own_claims

    async def pass_on(self, path, body):
        status, answered = await super().pass_on(path, body)
        if path != EXCHANGE_PATH or status != 200:
            return status, answered
        genuine = ServerAnswer.from_bytes(answered)
        exchange = ServerExchange(body, deployment_key=self.leaked.deployment_key, collateral=self.collateral)
        own = Batch([exchange.leaf], self.leaked).attestation(0, genuine.attestation.evidence)
        return 200, exchange.answer(own if self.own_claims else genuine.attestation)


@pytest.mark.parametrize(
    ("own_claims", "finding"),
    [(True, ("key-binding", "attested-channel 6.1")), (False, ("freshness", "attested-channel 6.2"))],
)
def test_a_relay_with_the_leaked_key_of_another_accepted_enclave_is_refused(
    url, genuine, own_claims: bool, finding: tuple[str, str]
) -> None:
    """The other enclave runs the same code for the same deployment, on an accepted machine, and its key is out."""
    other = Genuine(genuine.platform)
    other.store = genuine.store
    now = FakeClock().now()
    leaked = LeakedKey(url, other.identity(now), other.collateral(now), own_claims=own_claims)
    with leaked.serve() as address:
        assert refused(address, genuine.terms()) == [finding]
    assert SECRET not in b"".join(leaked.seen)


# resumption


def resumed(address: str, terms: ClientTerms) -> tuple[bytes, AttestedPeer]:
    """Say something harmless, wait until the channel is due, and tell the secret; gives the answer and the peer."""
    clock = FakeClock()
    with client_of(address, terms, clock=clock) as (client, transport):
        client.post("/", content=b"harmless")
        clock.seconds, clock.instant = 1500.1, clock.instant + timedelta(seconds=1500.1)
        return client.post("/login", content=SECRET).content, transport.peer()


def test_a_resumed_session_is_the_old_verdict_with_its_age_and_a_wiretap_learns_nothing(url, genuine) -> None:
    wiretap = Resuming(url)
    with wiretap.serve() as address:
        answer, peer = resumed(address, genuine.terms())
    assert answer == SECRET
    assert peer.resumed
    assert peer.age(FakeClock().instant + timedelta(seconds=1500)) == timedelta(seconds=1500)
    assert wiretap.paths == [EXCHANGE_PATH, MESSAGE_PATH, KEYED_PATH, MESSAGE_PATH]
    assert SECRET not in b"".join(wiretap.seen)
    assert genuine.quotes == 1


def keyless_relay(url: str, genuine: Genuine) -> KeylessRelay:
    return KeylessRelay(url, genuine.deployment, sha256(genuine.collateral(FakeClock().now())))


def test_a_relay_without_the_sessions_key_cannot_resume_it_and_the_client_attests_again(url, genuine) -> None:
    relay = keyless_relay(url, genuine)
    with relay.serve() as address:
        answer, peer = resumed(address, genuine.terms())
    assert (answer, peer.resumed, relay.read) == (SECRET, False, [])
    assert relay.paths == [EXCHANGE_PATH, MESSAGE_PATH, KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]


def test_a_relay_resumes_the_session_of_a_client_that_leaves_the_key_out_of_its_keys(url, genuine, monkeypatch) -> None:
    monkeypatch.setattr(keyed, "mix", lambda _key, secret, _transcript: secret)
    relay = keyless_relay(url, genuine)
    with relay.serve() as address:
        assert resumed(address, genuine.terms())[0] == b"thanks"
    assert any(SECRET in request for request in relay.read)


def test_another_instance_of_the_deployment_cannot_resume_the_session_and_has_to_prove_itself(url, genuine) -> None:
    other = Genuine(genuine.platform)
    other.store = genuine.store
    counting = Counting(other.service())
    with Loopback(counting) as other_url, Diverting(url, other_url).serve() as address:
        answer, peer = resumed(address, genuine.terms())
    assert (answer, peer.resumed) == (SECRET, False)
    assert counting.paths == [KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]
    assert other.quotes == 1


def test_another_deployment_cannot_resume_the_session_and_is_told_nothing(url, genuine) -> None:
    counting = Counting(Genuine(genuine.platform).service())
    with Loopback(counting) as other_url, Diverting(url, other_url).serve() as address:
        with pytest.raises(AppraisalRefused) as refusal:
            resumed(address, genuine.terms())
        assert findings_of(refusal.value) == [("deployment", "attested-channel 6.4")]
    assert counting.paths == [KEYED_PATH, EXCHANGE_PATH]


def test_a_recorded_resumption_is_good_once_and_an_altered_one_never(url, genuine) -> None:
    wiretap = Resuming(url)
    with wiretap.serve() as address, httpx2.Client(trust_env=False) as http:
        resumed(address, genuine.terms())
        (request,) = wiretap.requests
        for body in (request, request[:-1] + bytes([request[-1] ^ 1])):
            answer = http.post(url + KEYED_PATH, content=body)
            assert (answer.status_code, answer.json()["error"]) == (421, "channel-unknown")


def test_the_answer_to_another_clients_resumption_is_refused(url, genuine) -> None:
    wiretap = SplicingKeyed(url)
    with wiretap.serve() as address:
        assert resumed(address, genuine.terms())[1].resumed
        wiretap.previous = [wiretap.answers[0]]
        answer, peer = resumed(address, genuine.terms())
    assert (answer, peer.resumed) == (SECRET, False)
    assert SECRET not in b"".join(wiretap.seen)


def test_after_an_epoch_change_a_session_is_not_resumed(url, genuine) -> None:
    clock = FakeClock()
    with client_of(url, genuine.terms(), clock=clock) as (client, transport):
        client.post("/", content=b"harmless")
        genuine.store.epoch, genuine.store._identity = 2, None
        clock.seconds = 1500.1
        assert client.post("/login", content=SECRET).content == SECRET
        assert (transport.peer().epoch, transport.peer().resumed) == (2, False)
    assert genuine.quotes == 2


def test_after_the_greatest_age_a_session_is_not_resumed_by_either_end(genuine) -> None:
    for client_limit, service_limit in ((timedelta(minutes=20), 86_400.0), (timedelta(hours=24), 1200.0)):
        service_clock = FakeClock()
        limits = ChannelLimits(resumption_seconds=service_limit)
        with (
            Loopback(genuine.service(clock=service_clock, limits=limits)) as address,
            client_of(address, genuine.terms(max_resumed_age=client_limit), clock=FakeClock()) as (client, transport),
        ):
            client.post("/", content=b"harmless")
            for clock in (service_clock, transport._keeper._clock):
                clock.seconds, clock.instant = 1500.1, clock.instant + timedelta(seconds=1500.1)
            assert client.post("/login", content=SECRET).content == SECRET
            assert not transport.peer().resumed


# downgrade


@pytest.mark.parametrize(
    "hello",
    [{"suites": (1, 0)}, {"evidence_kinds": ("sgx-dcap-3", "none")}, {"deployment": None}, {"nonce": bytes(32)}],
    ids=["suites", "evidence", "deployment", "nonce"],
)
def test_a_hello_that_was_weakened_on_the_way_is_noticed(url, genuine, hello: dict[str, object]) -> None:
    downgrading = Downgrading(url, hello=hello)
    with downgrading.serve() as address:
        assert refused(address, genuine.terms()) == [("key-binding", "attested-channel 3")]
    assert SECRET not in b"".join(downgrading.seen)


@pytest.mark.parametrize("core", [{"suite": 0}, {"evidence_kind": "none"}], ids=["suite", "evidence"])
def test_a_choice_that_was_not_offered_is_malformed(url, genuine, core: dict[str, object]) -> None:
    with (
        Downgrading(url, core=core).serve() as address,
        client_of(address, genuine.terms()) as (client, _),
        pytest.raises(MalformedMessage, match="not offered"),
    ):
        client.post("/login", content=SECRET)


# shared keys


SHARED = SharedKey(label="backup", deployment=b"d" * 32, epoch=1, secret=b"s" * 32)


def told_under(key: SharedKey, address: str) -> bytes:
    transport = SharedKeyTransport(address, [key], clock=FakeClock())
    with httpx2.Client(transport=transport, base_url="https://store") as client:
        return client.post("/", content=SECRET).content


@pytest.fixture
def restoring() -> Iterator[tuple[str, Counting]]:
    """A service that holds the very same secret, for another label."""
    keys = SharedKeyring([replace(SHARED, label="restore")])
    counting = Counting(SharedKeyService(echo, clock=FakeClock(), shared_keys=keys))
    with Loopback(counting) as address:
        yield address, counting


def test_a_shared_key_of_another_label_is_refused(restoring) -> None:
    address, counting = restoring
    assert told_under(replace(SHARED, label="restore"), address) == SECRET
    counting.arrived.clear()
    with pytest.raises(NotAuthorised):
        told_under(SHARED, address)
    assert counting.paths == [KEYED_PATH]


def test_a_secret_without_its_label_serves_every_purpose(monkeypatch) -> None:
    monkeypatch.setattr(SharedKey, "derive", lambda key: (key.secret[:16], key.secret))
    keys = SharedKeyring([replace(SHARED, label="restore")])
    with Loopback(SharedKeyService(echo, clock=FakeClock(), shared_keys=keys)) as address:
        assert told_under(SHARED, address) == SECRET


def test_somebody_in_the_middle_without_the_shared_secret_is_refused() -> None:
    keys = SharedKeyring([SHARED])
    with Loopback(SharedKeyService(echo, clock=FakeClock(), shared_keys=keys)) as address:
        relay = KeylessRelay(address, SHARED.deployment, None)
        with relay.serve() as false_address, pytest.raises(NotAuthorised, match="does not hold the shared key"):
            told_under(SHARED, false_address)
    assert relay.read == []


def test_a_channel_under_a_shared_key_is_no_attested_one(genuine) -> None:
    """A client that wants evidence cannot be content with a shared key: it has no way to take one."""
    both = genuine.service()
    both._shared_keys = SharedKeyring([SHARED])
    with Loopback(both) as address:
        assert told_under(SHARED, address) == SECRET
        transport = SharedKeyTransport(address, [SHARED], clock=FakeClock())
        assert not isinstance(transport.peer(), AttestedPeer)
        transport.close()
        assert told(address, genuine.terms()) == SECRET


# slow clients and floods


def test_slow_clients_and_a_flood_of_hellos_do_not_keep_others_out_for_long(genuine) -> None:
    clock = FakeClock()
    service = genuine.service(clock=clock, limits=ChannelLimits(max_channels=40, stall_seconds=0.5))
    with Loopback(service) as address, httpx2.Client(trust_env=False) as http:
        port = int(address.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        for place, connection in enumerate(slow):
            path = (EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH, STREAM_PATH)[place % 4]
            connection.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx".encode())
        assert told(address, genuine.terms()) == SECRET
        statuses = [
            http.post(address + EXCHANGE_PATH, content=ClientExchange(genuine.terms()).hello) for _ in range(60)
        ]
        assert {answer.status_code for answer in statuses} == {200, 503}
        with pytest.raises(StoreUnreachable, match="too many open channels"):
            told(address, genuine.terms())
        clock.seconds = 121.0  # hellos that nobody followed up make room
        assert told(address, genuine.terms()) == SECRET
        for connection in slow:
            connection.settimeout(5)
            assert connection.recv(100).startswith(b"HTTP/1.1 4")
            connection.close()


# impostors with a stolen attestation key


@pytest.fixture
def observed(url):
    return observe(url)


@pytest.mark.parametrize(
    ("pretence", "finding"),
    [
        (Pretence.FORGED, ("deployment", "attested-channel 6.6")),
        (Pretence.COPIED, ("deployment", "attested-channel 6.7")),
        (Pretence.OWN_DEPLOYMENT, ("deployment", "attested-channel 6.4")),
    ],
)
def test_an_impostor_is_refused(genuine, platform, observed, pretence: Pretence, finding: tuple[str, str]) -> None:
    impostor = Impostor(platform, observed, pretence=pretence, clock=FakeClock())
    with impostor.serve() as address:
        assert refused(address, genuine.terms()) == [finding]
    assert impostor.heard == []


def test_a_client_that_takes_a_name_for_a_proof_tells_an_impostor_everything(
    genuine, platform, observed, monkeypatch
) -> None:
    monkeypatch.setattr(SignedInstanceCertificate, "is_signed_by", lambda *_: True)
    impostor = Impostor(platform, observed, clock=FakeClock())
    with impostor.serve() as address:
        told(address, genuine.terms())
    assert impostor.heard == [SECRET]


def test_a_client_that_pinned_no_deployment_cannot_tell_an_impostor_and_is_told_so(platform, observed, genuine) -> None:
    impostor = Impostor(platform, observed, pretence=Pretence.OWN_DEPLOYMENT, clock=FakeClock())
    with impostor.serve() as address, client_of(address, genuine.terms(pinned=False)) as (client, transport):
        assert not transport.peer().deployment_pinned
        assert transport.peer().deployment != genuine.deployment
        client.post("/", content=SECRET)
    assert impostor.heard == [SECRET]


def test_a_key_stolen_from_a_machine_that_the_policy_does_not_list_is_refused(platform, observed, genuine) -> None:
    terms = genuine.terms(pinned=False, policy=policy(platform, platforms=frozenset({b"another machine!"})))
    with Impostor(platform, observed, pretence=Pretence.OWN_DEPLOYMENT, clock=FakeClock()).serve() as address:
        assert refused(address, terms) == [("platform", "appraisal 8.9")]


def test_an_impostor_can_be_made_from_a_platforms_directory_and_an_invitation(tmp_path) -> None:
    genuine = Genuine(new_platform(tmp_path / "platform"))
    with Loopback(genuine.service()) as address:
        invitation = Invitation(url=address, deployment=genuine.deployment, simulated_root=None).to_text()
        impostor = Impostor.of(tmp_path / "platform", invitation)
        with httpx2.Client(trust_env=False) as http, impostor.serve() as false_address:
            assert http.get(false_address + "/strongroom/v1/health").status_code == 200
            assert observe(false_address).deployment_key == genuine.store.deployment_key


# other code, other platforms


def test_changed_code_is_refused(genuine) -> None:
    changed = bytes(genuine.code.mr_enclave[:-1]) + b"\0"
    expected = genuine.terms()
    genuine.code = replace(IDENTITY, mr_enclave=MrEnclave(changed))
    counting = Counting(genuine.service())
    with Loopback(counting) as address:
        assert refused(address, expected) == [("measurement", "appraisal 8.3")]
    assert counting.paths == [EXCHANGE_PATH]


def test_a_debug_enclave_is_refused(genuine) -> None:
    genuine.code = replace(IDENTITY, debug=True)
    with Loopback(genuine.service()) as address:
        assert refused(address, genuine.terms()) == [("debug", "appraisal 8.2")]


def by_signer(platform: SimulatedPlatform, **changes: object):
    rule = SignerRule(mr_signer=IDENTITY.mr_signer, isv_prod_id=IDENTITY.isv_prod_id, minimum_isv_svn=IDENTITY.isv_svn)
    return policy(platform, mr_enclaves=frozenset(), signers=(replace(rule, **changes),))


def test_code_of_an_accepted_signer_is_accepted_whatever_it_measures(genuine, platform) -> None:
    genuine.code = replace(IDENTITY, mr_enclave=MrEnclave(b"x" * 32), isv_svn=IDENTITY.isv_svn + 1)
    with Loopback(genuine.service()) as address:
        assert told(address, genuine.terms(policy=by_signer(platform))) == SECRET


@pytest.mark.parametrize(
    "code",
    [
        replace(IDENTITY, mr_signer=MrSigner(b"t" * 32)),
        replace(IDENTITY, isv_prod_id=IDENTITY.isv_prod_id + 1),
        replace(IDENTITY, isv_svn=IDENTITY.isv_svn - 1),
    ],
    ids=["other signer", "other product", "older version"],
)
def test_code_of_another_signer_or_product_or_an_older_version_is_refused(genuine, platform, code) -> None:
    genuine.code = code
    with Loopback(genuine.service()) as address:
        assert refused(address, genuine.terms(policy=by_signer(platform))) == [("signer", "appraisal 8.4")]


def test_a_revoked_platform_is_refused(tmp_path) -> None:
    genuine = Genuine(new_platform(tmp_path / "platform", pck_revoked=True))
    with Loopback(genuine.service()) as address:
        (found,) = refused(address, genuine.terms())
    assert found[0] == "revocation"


def test_a_platform_that_was_revoked_since_is_refused_at_the_next_exchange(tmp_path) -> None:
    genuine = Genuine(new_platform(tmp_path / "platform"))
    with Loopback(genuine.service()) as address:
        assert told(address, genuine.terms()) == SECRET
        genuine.platform = new_platform(tmp_path / "platform", pck_revoked=True)
        assert [check for check, _ in refused(address, genuine.terms())] == ["revocation"]


def test_an_out_of_date_platform_is_refused(tmp_path) -> None:
    genuine = Genuine(new_platform(tmp_path / "platform", tcb=TcbStatus.OUT_OF_DATE))
    with Loopback(genuine.service()) as address:
        assert refused(address, genuine.terms()) == [("tcb-status", "appraisal 8.5")]


def test_a_simulated_platform_is_refused_by_a_client_that_was_not_told_to_accept_it(url, genuine, platform) -> None:
    terms = genuine.terms(policy=policy(platform, accept_simulated_platform=False))
    assert refused(url, terms) == [("simulated", "appraisal 8.1")]


def test_the_evidence_of_another_manufacturer_is_refused(url, genuine, tmp_path) -> None:
    elsewhere = new_platform(tmp_path / "elsewhere")
    found = refused(url, genuine.terms(policy=policy(elsewhere)))
    assert found
    assert {check for check, _ in found} <= {"chain", "simulated"}
