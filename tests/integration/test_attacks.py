"""Attacks on the way to a store, over real HTTP on loopback. Each ends in the finding that names it.

Where an attack is refused by one step alone, a second test lets a client skip that step: then the attack works. So it
is the step that stops it, and not a mistake of the attacker's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest

from attested import IDENTITY, Counting, Enclave, client_of, findings_of, new_platform, policy
from store_client import FakeClock
from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.base.errors import AppraisalRefused
from strongroom.channel.client import ClientTerms
from strongroom.channel.messages import ServerAnswer
from strongroom.client.invitation import Invitation
from strongroom.crypto import merkle
from strongroom.formats.instance_certificate import SignedInstanceCertificate
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.testing.impostor import Impostor, Pretence, observe
from strongroom.testing.loopback import Loopback
from strongroom.testing.relay import Relay, Wiretap
from strongroom.transport.asgi import EXCHANGE_PATH
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


class Splicing(Wiretap):
    """Lets each client have the answer of the genuine service, with the proof that another client got."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.previous: ServerAnswer | None = None

    async def pass_on(self, path, body):
        status, answer = await super().pass_on(path, body)
        if path == EXCHANGE_PATH and status == 200:
            parsed = ServerAnswer.from_bytes(answer)
            if self.previous is not None:
                answer = replace(parsed, attestation=self.previous.attestation).to_bytes()
            self.previous = parsed
        return status, answer


def test_a_proof_of_another_clients_session_is_refused(url, genuine) -> None:
    with Splicing(url).serve() as address:
        assert told(address, genuine.terms()) == SECRET
        assert refused(address, genuine.terms()) == [("freshness", "attested-channel 6.2")]


class Replaying(Wiretap):
    """Answers every hello with the first answer."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.first: bytes | None = None

    async def pass_on(self, path, body):
        if path == EXCHANGE_PATH and self.first is not None:
            return 200, self.first
        status, answer = await super().pass_on(path, body)
        self.first = self.first or answer
        return status, answer


def test_a_replayed_answer_is_refused(url, genuine) -> None:
    with Replaying(url).serve() as address:
        assert told(address, genuine.terms()) == SECRET
        assert refused(address, genuine.terms()) == [("key-binding", "attested-channel 3")]


def test_diversion_to_another_deployment_of_the_same_code_is_refused(genuine, platform) -> None:
    other = Counting(Genuine(platform).service())
    with Loopback(other) as address:
        assert refused(address, genuine.terms()) == [("deployment", "attested-channel 6.4")]
    assert other.paths == [EXCHANGE_PATH]


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
