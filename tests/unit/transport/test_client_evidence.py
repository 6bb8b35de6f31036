"""Mutual attestation over HTTP: who gets in, and every way in which evidence of a client must not count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from attested import AT, IDENTITY, Enclave, client_of, echo, new_platform, policy
from store_client import FakeClock
from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, ClientNotAttested
from strongroom.channel.client import ClientTerms
from strongroom.channel.peer_evidence import ClientClaim
from strongroom.crypto.hashing import sha256
from strongroom.formats.client_claims import ClientRole
from strongroom.formats.instance_certificate import machine_id
from strongroom.formats.measurements import MrEnclave
from strongroom.testing.loopback import Loopback
from strongroom.testing.relay import Relay
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.client_evidence import (
    MAX_STATEMENT_BYTES,
    ClientAttestation,
    ClientGate,
    ClientRule,
    attested_client,
)
from strongroom.transport.paths import CLIENT_EVIDENCE_PATH
from strongroom.verifier.client_binding import OwnEnclave

CLIENT = replace(IDENTITY, mr_enclave=MrEnclave(b"c" * 32))
DEVICE = b"the device's public key"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPlatform:
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


class Attester:
    """An enclave of a client; ``code`` is what it measures as. It remembers what it made."""

    kind = "sgx-dcap-3"

    def __init__(self, platform: SimulatedPlatform, code: Any = CLIENT) -> None:
        self.platform = platform
        self.code = code
        self.made: list[bytes] = []

    def evidence(self, report_data: bytes) -> bytes:
        self.made.append(self.platform.enclave(self.code).evidence(report_data))
        return self.made[-1]

    def collateral(self, at: Any) -> bytes:
        return self.platform.collateral(at).to_json()


class Service:
    """An attested service that admits clients of ``CLIENT``'s code, and who came in."""

    def __init__(self, platform: SimulatedPlatform, **rule: Any) -> None:
        self.clock = FakeClock(AT)
        self.enclave = Enclave(platform)
        self.seen: list[Any] = []
        own = OwnEnclave(machine=machine_id(platform.platform_id), measurement=IDENTITY.mr_enclave)
        accepted = {CLIENT.mr_enclave, rule.pop("also", CLIENT.mr_enclave)}
        rule = {"policy": policy(platform, mr_enclaves=frozenset(accepted)), "own": own} | rule
        gate = ClientGate(self._application, ClientRule(**rule), clock=self.clock)
        self.application = self.enclave.service(gate, clock=self.clock)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.seen.append(attested_client(scope, self.clock.now()))
        await echo(scope, receive, send)

    @contextmanager
    def running(self) -> Iterator[str]:
        with Loopback(self.application) as url:
            yield url

    def terms(self, **changes: Any) -> ClientTerms:
        return self.enclave.terms(**changes)


def attestation(attester: Attester, **changes: Any) -> ClientAttestation:
    return ClientAttestation(**{"attester": attester, "endorsements": attester, "statement": DEVICE} | changes)


def refusal_of(service: Service, shown: ClientAttestation | None, **options: Any) -> ClientNotAttested:
    """Connect and give the refusal; the application must not have been reached."""
    with service.running() as url, client_of(url, service.terms(), attestation=shown, **options) as (client, _):
        with pytest.raises(ClientNotAttested) as refused:
            client.get("/hello").raise_for_status()
        assert service.seen == []
    return refused.value


def test_a_client_proves_its_code_before_anything_else_is_said(platform: SimulatedPlatform) -> None:
    service, attester = Service(platform), Attester(platform)
    with (
        service.running() as url,
        client_of(url, service.terms(), attestation=attestation(attester)) as (client, transport),
    ):
        assert client.get("/hello").status_code == 200
        assert client.post("/hello", content=b"x").status_code == 200
        session = transport.peer().session
    first, second = service.seen
    assert first is second
    assert first.result.claims.measurement == CLIENT.mr_enclave
    assert (first.session, first.context) == (session, sha256(DEVICE))
    assert len(attester.made) == 1  # once a channel


def test_an_asyncio_client_does_the_same(platform: SimulatedPlatform) -> None:
    service = Service(platform)

    async def asked(url: str) -> int:
        transport = AsyncAttestedTransport(
            url, service.terms(), clock=service.clock, attestation=attestation(Attester(platform))
        )
        async with httpx2.AsyncClient(transport=transport, base_url="https://store") as client:
            return (await client.get("/hello")).status_code

    with service.running() as url:
        assert asyncio.run(asked(url)) == 200
    assert service.seen[0].result.claims.measurement == CLIENT.mr_enclave


def test_a_client_without_evidence_is_held_back_by_name(platform: SimulatedPlatform) -> None:
    service = Service(platform)
    with service.running() as url, client_of(url, service.terms()) as (client, _):
        for path in ("/hello", "/count"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["error"]) == (403, "client-not-attested")
    assert service.seen == []


def test_evidence_can_be_left_to_the_application_to_ask_for(platform: SimulatedPlatform) -> None:
    service = Service(platform, required=False)
    with service.running() as url, client_of(url, service.terms()) as (client, _):
        assert client.get("/hello").status_code == 200
    assert service.seen == [None]


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (replace(CLIENT, mr_enclave=MrEnclave(b"x" * 32)), "measurement"),
        (replace(CLIENT, debug=True), "debug"),
    ],
)
def test_other_code_and_a_debug_enclave_are_refused(platform: SimulatedPlatform, code: Any, finding: str) -> None:
    assert finding in refusal_of(Service(platform), attestation(Attester(platform, code))).message


def test_a_client_of_another_manufacturer_is_refused(platform: SimulatedPlatform, tmp_path: Path) -> None:
    assert "chain" in refusal_of(Service(platform), attestation(Attester(new_platform(tmp_path / "other")))).message


def test_collateral_comes_from_the_client_or_else_from_the_service(platform: SimulatedPlatform) -> None:
    attester = Attester(platform)
    without = attestation(attester, endorsements=None)
    refusal_of(Service(platform), without)
    service = Service(platform, endorsements=attester)
    with service.running() as url, client_of(url, service.terms(), attestation=without) as (client, _):
        assert client.get("/hello").status_code == 200


class Replaying(Attester):
    """Shows evidence that was made for something else."""

    def __init__(self, platform: SimulatedPlatform, old: bytes) -> None:
        super().__init__(platform)
        self.old = old

    def evidence(self, report_data: bytes) -> bytes:
        return self.old


def test_evidence_of_another_session_does_not_count_in_this_one(platform: SimulatedPlatform) -> None:
    """Relay and replay: genuine evidence of a genuine client, seen in one channel and shown in another."""
    service, victim = Service(platform), Attester(platform)
    with service.running() as url:
        with client_of(url, service.terms(), attestation=attestation(victim)) as (client, _):
            assert client.get("/hello").status_code == 200
        service.seen.clear()
        # its quote under claims of this session: the report data does not fit
        replayed = attestation(Replaying(platform, victim.made[0]))
        with (
            client_of(url, service.terms(), attestation=replayed) as (client, _),
            pytest.raises(ClientNotAttested, match="does not commit to these claims"),
        ):
            client.get("/hello")
        # its quote and its own claims, word for word
        with client_of(url, service.terms()) as (client, _):
            claim = ClientClaim(role=ClientRole.DEVICE, binder=b"another session's binder", context=sha256(DEVICE))
            shown = claim.shown(Attester(platform).evidence(claim.report_data), platform.collateral(AT).to_json())
            answer = post_evidence(client, shown)
            assert answer.status_code == 403
            assert "was not made for this session" in answer.json()["message"]
            assert client.get("/hello").json()["error"] == "client-not-attested"
    assert service.seen == []


def test_a_machine_in_the_middle_gets_no_evidence_and_gives_none(platform: SimulatedPlatform) -> None:
    """The client verifies first, so a relay sees no evidence of it; what it shows by itself is not the client's."""
    service, attester = Service(platform), Attester(platform)
    with service.running() as genuine:
        relay = Relay(genuine)
        with (
            relay.serve() as url,
            client_of(url, service.terms(), attestation=attestation(attester)) as (client, _),
            pytest.raises(AppraisalRefused),
        ):
            client.get("/hello")
    assert attester.made == []
    assert relay.read == []
    assert service.seen == []


def test_evidence_over_another_binder_or_statement_is_refused(platform: SimulatedPlatform) -> None:
    service = Service(platform)
    with service.running() as url, client_of(url, service.terms()) as (client, transport):
        binder = transport.client_binder()

        def reason(role: ClientRole = ClientRole.DEVICE, bound: bytes = binder, statement: bytes = DEVICE) -> str:
            claim = ClientClaim(role=role, binder=bound, context=sha256(statement))
            shown = claim.shown(Attester(platform).evidence(claim.report_data), platform.collateral(AT).to_json())
            return post_evidence(client, shown).json().get("message", "")

        assert "was not made for this session" in reason(bound=transport.peer().session)
        assert "does not commit to what it came with" in reason(statement=b"another key")
        assert "is not for the role of device" in reason(role=ClientRole.INSTANCE)
        assert client.get("/hello").status_code == 403
        assert reason() == ""
        assert client.get("/hello").status_code == 200
        # whoever then shows what is refused is nobody again
        reason(role=ClientRole.INSTANCE)
        assert client.get("/hello").status_code == 403


def test_a_service_does_not_admit_its_own_reflection(platform: SimulatedPlatform) -> None:
    """Even where policy accepts the service's own code among clients, the very enclave that judges is none."""
    service = Service(platform, also=IDENTITY.mr_enclave)
    mirror = attestation(Attester(platform, IDENTITY))
    assert "this service's own" in refusal_of(service, mirror).message
    unguarded = Service(platform, also=IDENTITY.mr_enclave, own=None)
    with unguarded.running() as url, client_of(url, unguarded.terms(), attestation=mirror) as (client, _):
        assert client.get("/hello").status_code == 200  # so it was that check, and no other, which refused


def test_a_resumed_session_has_to_be_attested_anew(platform: SimulatedPlatform) -> None:
    service, attester = Service(platform), Attester(platform)
    terms = service.terms(max_resumed_age=timedelta(hours=1))
    with (
        service.running() as url,
        client_of(url, terms, clock=service.clock, attestation=attestation(attester)) as (client, transport),
    ):
        client.get("/hello")
        first = transport.peer()
        service.clock.seconds += 26 * 60
        client.get("/hello")
        assert transport.peer().resumed
        assert transport.peer().session != first.session
        assert len(attester.made) == 2
        sessions = [first.session, transport.peer().session]
    assert [client.session for client in service.seen] == sessions


def test_evidence_counts_as_long_as_what_it_rests_on(platform: SimulatedPlatform) -> None:
    service = Service(platform)
    with (
        service.running() as url,
        client_of(url, service.terms(), attestation=attestation(Attester(platform))) as (client, _),
    ):
        client.get("/hello")
        service.clock.instant += timedelta(days=60)
        assert client.get("/hello").json()["error"] == "client-not-attested"


def test_a_service_that_asks_for_no_evidence_is_not_taken_for_one_that_accepted_it(platform: SimulatedPlatform) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"not found"})

    enclave = Enclave(platform)
    with (
        Loopback(enclave.service(nothing)) as url,
        client_of(url, enclave.terms(), attestation=attestation(Attester(platform))) as (client, _),
        pytest.raises(ClientNotAttested, match="takes no evidence"),
    ):
        client.get("/hello")


@pytest.mark.parametrize("body", [b"", b"\xff" * 100, b"x" * (1 << 20)])
def test_bytes_that_are_no_evidence_are_malformed(platform: SimulatedPlatform, body: bytes) -> None:
    service = Service(platform)
    with service.running() as url, client_of(url, service.terms()) as (client, _):
        answer = client.post(CLIENT_EVIDENCE_PATH, content=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "malformed-message")
        long = canonical.encode({"statement": bytes(MAX_STATEMENT_BYTES + 1), "shown": b""})
        assert client.post(CLIENT_EVIDENCE_PATH, content=long).json()["error"] == "malformed-message"


def test_outside_of_a_channel_nothing_is_taken_or_answered(platform: SimulatedPlatform) -> None:
    service = Service(platform)
    gate = ClientGate(service._application, ClientRule(policy=policy(platform), own=None), clock=service.clock)
    sent: list[Any] = []

    async def ask() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        await gate({"type": "http", "path": "/hello"}, None, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    assert sent[0]["status"] == 403
    assert json.loads(sent[1]["body"])["error"] == "client-not-attested"
    assert service.seen == []


def post_evidence(client: httpx2.Client, shown: bytes) -> httpx2.Response:
    return client.post(CLIENT_EVIDENCE_PATH, content=canonical.encode({"statement": DEVICE, "shown": shown}))
