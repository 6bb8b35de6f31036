"""Verifiers over real HTTP: one that lies among them, a client that believes k of n, and the proof that convicts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from attested import Enclave, client_of, findings_of, new_platform, policy
from running import strongroom
from store_client import FakeClock
from strongroom.base.errors import AppraisalRefused, MalformedMessage, Misconfigured, StoreUnreachable
from strongroom.client.invitation import Invitation
from strongroom.crypto.eddsa import EddsaPrivateKey
from strongroom.formats.remote_appraisal import AppraisalRequest, SignedAppraisal
from strongroom.testing.loopback import Loopback
from strongroom.testing.lying_verifier import LyingService
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.attestation_client import ask, ask_all
from strongroom.transport.attestation_service import AttestationService
from strongroom.transport.clock import SystemClock
from strongroom.transport.paths import APPRAISE_PATH, VERIFIER_PATH
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.binding import AttestedPeer
from strongroom.verifier.eat import VerifierId
from strongroom.verifier.lie import Outcome, check_proof
from strongroom.verifier.policy_compose import policy_to_toml
from strongroom.verifier.quorum import PinnedVerifier, VouchRule
from strongroom.verifier.token_keys import IssuerKey

VERIFIER = VerifierId(developer="tests", build="strongroom 0.1.0")
KEYS = [IssuerKey(EddsaPrivateKey.from_seed(bytes([n]) * 32)) for n in range(1, 4)]


@pytest.fixture(scope="module")
def enclave(tmp_path_factory) -> Enclave:
    return Enclave(new_platform(tmp_path_factory.mktemp("platform") / "state"))


def question(enclave: Enclave, clock: Any = None) -> AppraisalRequest:
    at = (clock or FakeClock()).now()
    return AppraisalRequest(evidence=enclave.evidence(bytes(64)), collateral=enclave.collateral(at), nonce=bytes(32))


def service(enclave: Enclave, number: int, *, lies: bool = False, clock: Any = None, accepted: Any = None) -> Any:
    kind = LyingService if lies else AttestationService
    return kind(accepted or policy(enclave.platform), KEYS[number], verifier=VERIFIER, clock=clock or FakeClock())


def rule(enclave: Enclave, *, required: int = 2, accepted: Any = None) -> VouchRule:
    return VouchRule(
        verifiers=tuple(PinnedVerifier(name=f"v{n}", key=key.pinned) for n, key in enumerate(KEYS)),
        required=required,
        policy_digest=(accepted or policy(enclave.platform)).digest,
        maximum_age=timedelta(minutes=1),
    )


@pytest.fixture
def verifiers(enclave) -> Iterator[list[str]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Loopback(service(enclave, n))) for n in range(3)]


def test_an_answer_brings_all_that_it_was_made_from(enclave, verifiers) -> None:
    request = question(enclave)
    answer = ask(verifiers[0], request)
    assert (answer.evidence, answer.collateral) == (request.evidence, request.collateral)
    assert answer.policy == policy_to_toml(policy(enclave.platform))
    assert check_proof(answer.proof(KEYS[0].pinned.to_text())).outcome is Outcome.TRUE


def test_a_service_says_who_it_is_and_answers_nothing_else(enclave, verifiers) -> None:
    with httpx2.Client(trust_env=False) as http:
        told = http.get(verifiers[0] + VERIFIER_PATH).json()
        assert told["key"] == KEYS[0].pinned.to_text()
        assert told["policy_digest"] == policy(enclave.platform).digest.hex()
        assert http.get(verifiers[0] + "/").status_code == 404
        assert http.post(verifiers[0] + APPRAISE_PATH, content=b"x").status_code == 400
        assert http.post(verifiers[0] + APPRAISE_PATH, content=b"x" * (2 << 20)).status_code == 400


def test_of_bytes_that_are_no_evidence_nothing_is_said(enclave, verifiers) -> None:
    with pytest.raises((MalformedMessage, StoreUnreachable)):
        ask(verifiers[0], replace(question(enclave), evidence=b"rubbish"))


def test_one_that_is_down_does_not_keep_the_others_back(enclave, verifiers) -> None:
    asked = ask_all(["http://127.0.0.1:9", *verifiers], question(enclave))
    assert [item.answer is not None for item in asked] == [False, True, True, True]
    assert isinstance(asked[0].error, StoreUnreachable)


def test_too_many_at_once_are_turned_away(enclave) -> None:
    busy = service(enclave, 0)
    busy._max_waiting = 0
    with Loopback(busy) as address, pytest.raises(StoreUnreachable, match="too many"):
        ask(address, question(enclave))


# in the channel


def test_a_client_that_cannot_appraise_believes_two_of_three_and_says_so(enclave, verifiers) -> None:
    terms = enclave.terms(vouching=rule(enclave))
    with (
        Loopback(enclave.service()) as address,
        client_of(address, terms, verifiers=["http://127.0.0.1:9", *verifiers[1:]]) as (client, transport),
    ):
        assert client.post("/", content=b"hello").content == b"hello"
        peer = transport.peer()
    with Loopback(enclave.service()) as address, client_of(address, enclave.terms()) as (_, transport):
        own = transport.peer()
    assert peer.vouched_by == ("v1", "v2")
    assert own.vouched_by == ()
    assert peer.result.claims.measurement == own.result.claims.measurement
    assert peer.result.platform == own.result.platform
    assert peer.result.tcb == own.result.tcb
    assert peer.machine == own.machine
    assert peer.expires_at_ms <= own.expires_at_ms


def test_an_asyncio_client_believes_them_too(enclave, verifiers) -> None:
    async def visit(address: str) -> AttestedPeer:
        terms = enclave.terms(vouching=rule(enclave))
        transport = AsyncAttestedTransport(address, terms, clock=FakeClock(), verifiers=verifiers)
        async with httpx2.AsyncClient(transport=transport, base_url="https://store") as client:
            assert (await client.post("/", content=b"hello")).content == b"hello"
            return await transport.peer()

    with Loopback(enclave.service()) as address:
        assert asyncio.run(visit(address)).vouched_by == ("v0", "v1", "v2")


@pytest.mark.parametrize("heard", [0, 1])
def test_too_few_verifiers_and_not_a_word_is_said(enclave, verifiers, heard: int) -> None:
    terms = enclave.terms(vouching=rule(enclave))
    with (
        Loopback(enclave.service()) as address,
        client_of(address, terms, verifiers=verifiers[:heard]) as (client, _),
        pytest.raises(AppraisalRefused) as refused,
    ):
        client.post("/", content=b"secret")
    assert findings_of(refused.value) == [("verifier", "remote-verifier 4.9")]


def test_a_deployment_that_is_another_is_refused_whoever_vouches(enclave, verifiers) -> None:
    other = Enclave(enclave.platform)
    terms = enclave.terms(vouching=rule(enclave))
    with (
        Loopback(other.service()) as address,
        client_of(address, terms, verifiers=verifiers) as (client, _),
        pytest.raises(AppraisalRefused) as refused,
    ):
        client.post("/", content=b"secret")
    assert findings_of(refused.value) == [("deployment", "attested-channel 6.4")]


def test_a_word_given_for_another_session_is_a_replay(enclave, verifiers) -> None:
    """Somebody between client and verifiers hands out what they said of the same evidence for somebody else."""

    kept: dict[str, bytes] = {}

    class Replaying:
        def __init__(self, address: str) -> None:
            self.address = address

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            body = (await receive())["body"]
            if self.address not in kept:
                async with httpx2.AsyncClient(trust_env=False) as http:
                    answer = await http.post(self.address + APPRAISE_PATH, content=body)
                kept[self.address] = answer.content
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": kept[self.address]})

    terms = enclave.terms(vouching=rule(enclave))
    with ExitStack() as stack:
        address = stack.enter_context(Loopback(enclave.service()))
        between = [stack.enter_context(Loopback(Replaying(item))) for item in verifiers[:2]]
        with client_of(address, terms, verifiers=between) as (client, _):
            client.post("/", content=b"hello")
        with client_of(address, terms, verifiers=between) as (client, _), pytest.raises(AppraisalRefused) as refused:
            client.post("/", content=b"secret")
    found = set(findings_of(refused.value))
    assert ("freshness", "remote-verifier 4.7") in found
    assert ("key-binding", "remote-verifier 4.5") in found, "the evidence is another one, too"


def test_terms_whose_verifiers_apply_another_policy_are_misconfigured(enclave) -> None:
    other = policy(enclave.platform, minimum_tcb_evaluation_data_number=1)
    with pytest.raises(Misconfigured):
        enclave.terms(vouching=rule(enclave, accepted=other))


def test_a_verdict_that_others_vouched_for_is_not_resumed(enclave, verifiers) -> None:
    clock = FakeClock()
    terms = enclave.terms(vouching=rule(enclave))
    with (
        Loopback(enclave.service()) as address,
        client_of(address, terms, clock=clock, verifiers=verifiers) as (client, transport),
    ):
        client.post("/", content=b"hello")
        clock.seconds = 1500.1
        client.post("/", content=b"hello")
        assert not transport.peer().resumed


# lies


def test_one_liar_of_three_stops_nobody_honest_from_refusing_and_is_convicted(enclave, tmp_path: Path) -> None:
    """The evidence is of another measurement than the policy accepts, and one verifier says yes all the same."""
    accepted = policy(enclave.platform, mr_enclaves=frozenset())
    clock = FakeClock()
    with ExitStack() as stack:
        lying = stack.enter_context(Loopback(service(enclave, 0, lies=True, accepted=accepted)))
        honest = stack.enter_context(Loopback(service(enclave, 1, accepted=accepted)))
        request = question(enclave, clock)
        answer = ask(lying, request)
        terms = enclave.terms(policy=accepted, vouching=rule(enclave, accepted=accepted))
        with (
            Loopback(enclave.service()) as address,
            client_of(address, terms, verifiers=[lying, honest]) as (client, _),
            pytest.raises(AppraisalRefused) as refused,
        ):
            client.post("/", content=b"secret")
    assert findings_of(refused.value) == [("verifier", "remote-verifier 4.8"), ("verifier", "remote-verifier 4.9")]

    file = tmp_path / "lie.proof"
    file.write_bytes(answer.proof(KEYS[0].pinned.to_text()).to_bytes())
    ran = strongroom("verifier", "proof", "check", file, "--key", KEYS[0].pinned.to_text(), "--json")
    assert ran.code == 4
    assert (ran.json["outcome"], ran.json["rule"]) == ("lie", "6.5")
    assert (ran.json["said"], ran.json["appraised"]) == ("accepted", "refused")
    ran = strongroom("verifier", "proof", "check", file, "--key", KEYS[1].pinned.to_text())
    assert ran.code == 3
    assert "proves nothing" in ran.out


def test_k_liars_deceive_a_client_and_a_recheck_convicts_them(enclave) -> None:
    accepted = policy(enclave.platform, mr_enclaves=frozenset())
    with ExitStack() as stack:
        liars = [stack.enter_context(Loopback(service(enclave, n, lies=True, accepted=accepted))) for n in range(2)]
        terms = enclave.terms(policy=accepted, vouching=rule(enclave, accepted=accepted))
        with (
            Loopback(enclave.service()) as address,
            client_of(address, terms, verifiers=liars) as (client, transport),
        ):
            client.post("/", content=b"what k liars get to hear")
            assert transport.peer().vouched_by == ("v0", "v1")
        for number, liar in enumerate(liars):
            answer = ask(liar, question(enclave))
            assert check_proof(answer.proof(KEYS[number].pinned.to_text())).outcome is Outcome.LIE


# commands


def test_verifiers_as_people_run_them(tmp_path: Path) -> None:
    enclave = Enclave(new_platform(tmp_path / "platform"))
    now = datetime.now(UTC)
    accepted, refusing = policy(enclave.platform), policy(enclave.platform, mr_enclaves=frozenset())
    (tmp_path / "policy.toml").write_bytes(policy_to_toml(accepted))
    (tmp_path / "quote.bin").write_bytes(enclave.evidence(bytes(64)))
    (tmp_path / "collateral.json").write_bytes(enclave.collateral(now))
    keys = [strongroom("verifier", "key", tmp_path / f"{name}.pem").out.strip() for name in ("a", "b")]
    assert keys[0].startswith("EdDSA:")
    assert strongroom("verifier", "key", tmp_path / "a.pem").out.strip() == keys[0]

    class Now(FakeClock):
        def now(self) -> datetime:
            return datetime.now(UTC)

    def settings(addresses: list[str], digest: str) -> Path:
        lines = ["version = 1", "required = 2", f'policy_digest = "{digest}"', "maximum_age_seconds = 60"]
        for name, address, pin in zip("ab", addresses, keys, strict=True):
            lines += ["[[verifier]]", f'name = "{name}"', f'url = "{address}"', f'key = "{pin}"']
        file = tmp_path / "verifiers.toml"
        file.write_text("\n".join(lines))
        return file

    def issuer(name: str) -> IssuerKey:
        return IssuerKey.from_pem((tmp_path / f"{name}.pem").read_bytes())

    captured = ("--evidence", tmp_path / "quote.bin", "--collateral", tmp_path / "collateral.json")
    kinds: list[tuple[Any, Any]] = [(AttestationService, accepted), (LyingService, refusing)]
    for kind, terms in kinds:
        with ExitStack() as stack:
            addresses = [
                stack.enter_context(Loopback(kind(terms, issuer(name), verifier=VERIFIER, clock=Now())))
                for name in ("a", "b")
            ]
            file = settings(addresses, terms.digest.hex())
            ran = strongroom("verifier", "ask", *captured, "--verifiers", file)
            assert ran.code == 0
            assert "vouched for by a, b (2 required), and NOT appraised here" in ran.out
            again = strongroom("verifier", "ask", *captured, "--verifiers", file, "--recheck", "--proofs", tmp_path)
            assert again.code == (0 if kind is AttestationService else 4)
    assert len(list(tmp_path.glob("*.proof"))) == 2
    for proof in tmp_path.glob("*.proof"):
        assert strongroom("verifier", "proof", "check", proof).code == 4
    wrong = (tmp_path / "verifiers.toml").read_text().replace("required = 2", "required = 0")
    (tmp_path / "verifiers.toml").write_text(wrong)
    assert strongroom("verifier", "ask", *captured, "--verifiers", tmp_path / "verifiers.toml").code == 1


def test_a_live_store_is_verified_by_others_and_the_answer_says_so(tmp_path: Path) -> None:
    enclave = Enclave(new_platform(tmp_path / "platform"))
    accepted = policy(enclave.platform)
    (tmp_path / "policy.toml").write_bytes(policy_to_toml(accepted))
    root = Anchor.from_certificate(enclave.platform.root_certificate_pem, simulated=True).spki
    lines = ["version = 1", "required = 2", f'policy_digest = "{accepted.digest.hex()}"', "maximum_age_seconds = 60"]
    clock = SystemClock()
    with ExitStack() as stack:
        for number in range(2):
            address = stack.enter_context(Loopback(service(enclave, number, clock=clock)))
            pin = KEYS[number].pinned.to_text()
            lines += ["[[verifier]]", f'name = "v{number}"', f'url = "{address}"', f'key = "{pin}"']
        (tmp_path / "verifiers.toml").write_text("\n".join(lines))
        url = stack.enter_context(Loopback(enclave.service(clock=clock)))
        invitation = Invitation(url=url, deployment=enclave.deployment, simulated_root=root).to_text()
        options = ["verify", invitation, "--accept-simulated-platform", "--policy", tmp_path / "policy.toml"]
        options += ["--home", tmp_path / "home"]
        own = strongroom(*options, "--json")
        theirs = strongroom(*options, "--verifiers", tmp_path / "verifiers.toml", "--json")
        said = strongroom(*options, "--verifiers", tmp_path / "verifiers.toml")
    assert strongroom(*options, "--verifiers", tmp_path / "verifiers.toml", "--explain").code == 1
    assert (own.json["vouched_by"], theirs.json["vouched_by"]) == ([], ["v0", "v1"])
    assert said.out.startswith("VOUCHED FOR by v0, v1, not appraised here")
    assert own.json["machine"] == theirs.json["machine"]


def test_a_service_of_its_own_process_answers_and_ends(tmp_path: Path) -> None:
    import subprocess

    from running import STRONGROOM, clean_environment, free_port

    enclave = Enclave(new_platform(tmp_path / "platform"))
    (tmp_path / "policy.toml").write_bytes(policy_to_toml(policy(enclave.platform)))
    pin = strongroom("verifier", "key", tmp_path / "key.pem").out.strip()
    port = free_port()
    command = [*STRONGROOM, "verifier", "serve", "--key", str(tmp_path / "key.pem")]
    command += ["--policy", str(tmp_path / "policy.toml"), "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stderr is not None
            said = [serving.stderr.readline() for _ in range(3)]
            assert pin in said[0]
            now = datetime.now(UTC)
            request = AppraisalRequest(
                evidence=enclave.evidence(bytes(64)), collateral=enclave.collateral(now), nonce=bytes(32)
            )
            answer: SignedAppraisal = ask(f"http://127.0.0.1:{port}", request)
            verdict = check_proof(answer.proof(pin))
            assert (verdict.outcome, verdict.said) == (Outcome.TRUE, "accepted")
        finally:
            serving.terminate()
        assert serving.wait(30) == 0
