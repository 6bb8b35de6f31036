"""Resumption: the same instance, the old verdict with its age, one ticket for one channel, and who is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attested import AT, AT_MS, HOUR_MS, Enclave, findings_of, judge, new_platform, policy
from store_client import FakeClock
from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, ChannelRefused, MalformedMessage
from strongroom.channel.client import AttestedChannel, ClientResumption, ClientTerms
from strongroom.channel.keyed import KeyedCore, KeyedMode, KeyedRequest, ServerKeyedExchange
from strongroom.channel.secure import ServerChannel
from strongroom.crypto.hashing import sha256
from strongroom.transport.resumptions import Origin, ResumptionTable

DAY = 24 * 60 * 60.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


class Instance:
    """An instance that attests and resumes, without a network."""

    def __init__(self, enclave: Enclave) -> None:
        self.enclave = enclave
        self.clock = FakeClock()
        self.sessions = ResumptionTable(capacity=10, max_age_seconds=DAY, clock=self.clock)
        self.inside: list[ServerChannel] = []
        self.core: Callable[[KeyedCore], KeyedCore] = lambda right: right

    def attest(self, terms: ClientTerms | None = None) -> AttestedChannel:
        """Make the first exchange and keep the session's key, as after the first request."""
        attested = judge(terms or self.enclave.terms(), self.enclave.answer)
        self.keep(attested)
        return attested

    def keep(self, attested: AttestedChannel) -> None:
        origin = Origin(attested=self.clock.seconds, epoch=self.enclave.epoch, collateral_digest=self.collateral())
        self.sessions.keep(attested.channel.resumption_key(), origin)

    def collateral(self) -> bytes:
        return sha256(self.enclave.collateral(AT))

    def resume(self, request: bytes) -> bytes:
        parsed = KeyedRequest.from_bytes(request)
        key, _ = self.sessions.take(parsed, epoch=self.enclave.epoch, collateral_digest=self.collateral())
        return self.answer(parsed, key)

    def answer(self, parsed: KeyedRequest, key: bytes, **changes: Any) -> bytes:
        facts = {
            "deployment": self.enclave.deployment,
            "epoch": self.enclave.epoch,
            "collateral_digest": self.collateral(),
        }
        exchange = ServerKeyedExchange(parsed, key, **{**facts, **changes})
        self.inside.append(exchange.channel())
        return exchange.answer


@pytest.fixture
def instance(platform) -> Instance:
    return Instance(Enclave(platform))


def refusal(attempt: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(AppraisalRefused) as refused:
        attempt()
    return findings_of(refused.value)


def step(check: str, number: str) -> list[tuple[str, str]]:
    return [(check, f"attested-channel {number}")]


# what it gives


def test_a_resumed_session_has_new_keys_and_the_old_verdict_with_its_age(instance) -> None:
    first = instance.attest()
    quotes = instance.enclave.quotes
    later = AT + timedelta(hours=3)
    attempt = ClientResumption(first, instance.enclave.terms(), at=later)
    second = attempt.finish(instance.resume(attempt.request), at=later)
    assert instance.enclave.quotes == quotes
    assert second.peer == replace(first.peer, session=second.peer.session, resumed=True)
    assert second.peer.session != first.peer.session
    assert second.peer.attested_at_ms == AT_MS
    assert second.peer.age(later) == timedelta(hours=3)
    assert (first.peer.resumed, first.peer.age(AT)) == (False, timedelta(0))

    (inside,) = instance.inside
    assert inside.session == second.peer.session
    number, message = second.channel.seal_request(b"question")
    assert inside.open_request(message) == (number, b"question")
    assert second.channel.open_answer(inside.seal_answer(number, b"answer"), number) == b"answer"
    with pytest.raises(MalformedMessage):
        first.channel.open_answer(inside.seal_answer(1, b"answer"), 1)


def test_each_session_brings_the_ticket_for_the_next_one_and_none_makes_the_verdict_younger(instance) -> None:
    attested = instance.attest()
    for hour in range(1, 5):
        at = AT + timedelta(hours=hour)
        attempt = ClientResumption(attested, instance.enclave.terms(), at=at)
        attested = attempt.finish(instance.resume(attempt.request), at=at)
        assert attested.peer.age(at) == timedelta(hours=hour)
        instance.keep(attested)


def test_the_old_key_alone_opens_nothing_of_the_new_session(instance) -> None:
    first = instance.attest()
    key_id, key = first.channel.resumption_key()
    attempt = ClientResumption(first, instance.enclave.terms(), at=AT)
    answer = instance.resume(attempt.request)
    second = attempt.finish(answer, at=AT)
    assert second.channel.resumption_key() != (key_id, key)
    # with the key and everything that travelled, but without the one-time private key, another secret comes out
    again = instance.answer(KeyedRequest.from_bytes(attempt.request), key)
    assert canonical.decode(again, path="", max_bytes=5000) != canonical.decode(answer, path="", max_bytes=5000)


# who is refused, by the client


def test_a_ticket_is_used_once(instance) -> None:
    first = instance.attest()
    ClientResumption(first, instance.enclave.terms(), at=AT)
    assert refusal(lambda: ClientResumption(first, instance.enclave.terms(), at=AT)) == step("key-binding", "12")


def test_an_attempt_takes_one_answer(instance) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    answer = instance.resume(attempt.request)
    attempt.finish(answer, at=AT)
    with pytest.raises(ValueError, match="has had its answer"):
        attempt.finish(answer, at=AT)


@pytest.mark.parametrize("hours", [-1, 3])
def test_12_3_a_verdict_that_is_too_old_or_of_the_future(instance, hours: int) -> None:
    terms = replace(instance.enclave.terms(), max_resumed_age=timedelta(hours=2))
    at = AT + timedelta(hours=hours)
    first = instance.attest()
    assert refusal(lambda: ClientResumption(first, terms, at=at)) == step("freshness", "12.3")
    assert not first.ticket.used
    attempt = ClientResumption(first, terms, at=AT + timedelta(hours=2))
    answer = instance.resume(attempt.request)
    assert refusal(lambda: attempt.finish(answer, at=at)) == step("freshness", "12.3")


def test_12_3_an_age_of_nothing_resumes_nothing(instance) -> None:
    terms = replace(instance.enclave.terms(), max_resumed_age=timedelta(0))
    assert refusal(lambda: ClientResumption(instance.attest(), terms, at=AT + timedelta(seconds=1))) == step(
        "freshness", "12.3"
    )


def test_12_4_a_verdict_whose_grounds_have_ended_whatever_age_is_allowed(instance) -> None:
    terms = replace(instance.enclave.terms(), max_resumed_age=timedelta(days=90))
    first = instance.attest()
    at = AT + timedelta(hours=23)  # the certificate's end
    assert first.peer.expires_at_ms == AT_MS + 23 * HOUR_MS
    assert refusal(lambda: ClientResumption(first, terms, at=at)) == step("expiry", "12.4")
    attempt = ClientResumption(first, terms, at=at - timedelta(milliseconds=1))
    answer = instance.resume(attempt.request)
    assert refusal(lambda: attempt.finish(answer, at=at)) == step("expiry", "12.4")


def test_12_1_a_verdict_under_another_policy(instance, platform) -> None:
    stricter = instance.enclave.terms(policy=policy(platform, minimum_tcb_evaluation_data_number=99))
    assert refusal(lambda: ClientResumption(instance.attest(), stricter, at=AT)) == step("configuration", "12.1")


def test_12_2_a_verdict_about_another_deployment(instance, platform) -> None:
    pinned_elsewhere = Enclave(platform).terms()
    assert refusal(lambda: ClientResumption(instance.attest(), pinned_elsewhere, at=AT)) == step("deployment", "12.2")


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"deployment": bytes(32)}, ("deployment", "12.5")),
        ({"epoch": 2}, ("deployment", "12.5")),
        ({"collateral_digest": bytes(32)}, ("revocation", "12.6")),
        ({"collateral_digest": None}, ("revocation", "12.6")),
    ],
)
def test_12_5_and_12_6_an_instance_that_has_changed(
    instance, changes: dict[str, Any], finding: tuple[str, str]
) -> None:
    first = instance.attest()
    _, key = first.channel.resumption_key()
    attempt = ClientResumption(first, instance.enclave.terms(), at=AT)
    answer = instance.answer(KeyedRequest.from_bytes(attempt.request), key, **changes)
    assert refusal(lambda: attempt.finish(answer, at=AT)) == step(*finding)


def test_somebody_without_the_key_cannot_answer(instance) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    answer = instance.answer(KeyedRequest.from_bytes(attempt.request), bytes(32))
    assert refusal(lambda: attempt.finish(answer, at=AT)) == step("key-binding", "12")


def test_the_answer_to_another_attempt_does_not_open(instance) -> None:
    first, other = instance.attest(), instance.attest()
    attempt = ClientResumption(first, instance.enclave.terms(), at=AT)
    another = ClientResumption(other, instance.enclave.terms(), at=AT)
    answer = instance.resume(another.request)
    assert refusal(lambda: attempt.finish(answer, at=AT)) == step("key-binding", "12")


def test_an_answer_for_a_shared_key_is_not_one_for_a_session(instance) -> None:
    first = instance.attest()
    _, key = first.channel.resumption_key()
    attempt = ClientResumption(first, instance.enclave.terms(), at=AT)
    request = replace(KeyedRequest.from_bytes(attempt.request), mode=KeyedMode.SHARED_KEY)
    with pytest.raises(MalformedMessage, match="not offered"):
        attempt.finish(instance.answer(request, key), at=AT)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_answer_is_malformed_or_refused(platform, data: st.DataObject) -> None:
    instance = Instance(Enclave(platform))
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    answer = bytearray(instance.resume(attempt.request))
    answer[data.draw(st.integers(0, len(answer) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((MalformedMessage, AppraisalRefused)):
        attempt.finish(bytes(answer), at=AT)


# who is refused, by the instance


def test_a_request_opens_once(instance) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    instance.resume(attempt.request)
    with pytest.raises(ChannelRefused, match="cannot resume"):
        instance.resume(attempt.request)


def test_another_instance_of_the_same_deployment_does_not_know_the_session(instance, platform) -> None:
    other = Instance(Enclave(platform, deployment_key=instance.enclave.deployment_key))
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    with pytest.raises(ChannelRefused):
        other.resume(attempt.request)
    attempt.finish(instance.resume(attempt.request), at=AT)


def test_after_an_epoch_change_nothing_is_resumed(instance) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    instance.enclave.epoch = 2
    with pytest.raises(ChannelRefused):
        instance.resume(attempt.request)


def test_with_other_collateral_nothing_is_resumed(instance) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    request = KeyedRequest.from_bytes(attempt.request)
    with pytest.raises(ChannelRefused):
        instance.sessions.take(request, epoch=1, collateral_digest=bytes(32))


@pytest.mark.parametrize(("seconds", "known"), [(DAY, True), (DAY + 0.1, False)])
def test_after_the_greatest_age_nothing_is_resumed(instance, seconds: float, known: bool) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    instance.clock.seconds = seconds
    if known:
        instance.resume(attempt.request)
    else:
        with pytest.raises(ChannelRefused):
            instance.resume(attempt.request)


@pytest.mark.parametrize("name", ["key_id", "nonce", "kem_key", "suites", "mode"])
def test_an_altered_request_is_refused_and_leaves_the_ticket_good(instance, name: str) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    outer = canonical.decode(attempt.request, path="", max_bytes=5000)
    assert isinstance(outer, dict)
    hello = canonical.decode(bytes(outer["hello"]), path="", max_bytes=5000)
    assert isinstance(hello, dict)
    altered: dict[str, Any] = {"suites": [1, 2], "mode": "shared-key"}
    value = altered.get(name) or bytes([hello[name][0] ^ 1]) + hello[name][1:]
    request = canonical.encode({**outer, "hello": canonical.encode({**hello, name: value})})
    with pytest.raises(ChannelRefused):
        instance.resume(request)
    attempt.finish(instance.resume(attempt.request), at=AT)


def test_a_proof_that_was_altered_is_refused(instance) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    request = attempt.request[:-1] + bytes([attempt.request[-1] ^ 1])
    with pytest.raises(ChannelRefused):
        instance.resume(request)


def test_the_instance_keeps_a_bounded_number_of_sessions_the_newest(instance) -> None:
    sessions = [instance.attest() for _ in range(12)]
    assert len(instance.sessions) == 10
    oldest = ClientResumption(sessions[0], instance.enclave.terms(), at=AT)
    newest = ClientResumption(sessions[-1], instance.enclave.terms(), at=AT)
    with pytest.raises(ChannelRefused):
        instance.resume(oldest.request)
    newest.finish(instance.resume(newest.request), at=AT)


def test_a_capacity_of_nothing_keeps_nothing(instance) -> None:
    table = ResumptionTable(capacity=0, max_age_seconds=DAY, clock=FakeClock())
    table.keep((bytes(16), bytes(32)), Origin(attested=0.0, epoch=1, collateral_digest=bytes(32)))
    assert len(table) == 0


def test_a_ticket_shows_no_key(instance) -> None:
    ticket = instance.attest().ticket
    assert "object at" in repr(ticket)


# bytes


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_request_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        KeyedRequest.from_bytes(data)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_core_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        KeyedCore.from_bytes(data)


@given(
    core=st.builds(
        KeyedCore,
        mode=st.sampled_from(KeyedMode),
        suite=st.integers(0, 1000),
        sealed_secret=st.binary(min_size=1168, max_size=1168),
        deployment=st.binary(min_size=32, max_size=32),
        epoch=st.integers(0, (1 << 63) - 1),
        collateral_digest=st.none() | st.binary(min_size=32, max_size=32),
    )
)
def test_a_core_reads_as_it_was_written(core: KeyedCore) -> None:
    assert KeyedCore.from_bytes(core.to_bytes()) == core


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": "early-data"}, "'mode'"),
        ({"version": 2}, "'version'"),
        ({"key_id": bytes(15)}, "'key_id'"),
        ({"extra": 1}, "unknown field"),
    ],
)
def test_a_hello_that_is_none_is_malformed(instance, changes: dict[str, Any], says: str) -> None:
    attempt = ClientResumption(instance.attest(), instance.enclave.terms(), at=AT)
    outer = canonical.decode(attempt.request, path="", max_bytes=5000)
    assert isinstance(outer, dict)
    hello = canonical.decode(bytes(outer["hello"]), path="", max_bytes=5000)
    assert isinstance(hello, dict)
    with pytest.raises(MalformedMessage, match=says):
        KeyedRequest.from_bytes(canonical.encode({**outer, "hello": canonical.encode({**hello, **changes})}))


@pytest.mark.parametrize("changes", [{"suites": (2,)}, {"kem_key": bytes(1216)}])
def test_an_instance_refuses_a_request_it_cannot_answer(instance, changes: dict[str, Any]) -> None:
    request = KeyedRequest.from_bytes(ClientResumption(instance.attest(), instance.enclave.terms(), at=AT).request)
    with pytest.raises(MalformedMessage):
        instance.answer(replace(request, **changes), bytes(32))
