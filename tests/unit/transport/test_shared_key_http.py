"""Shared-key sessions over real HTTP: beside evidence or without it, with a change of secrets, for one label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import pytest

from attested import Counting, Enclave, body_of, client_of, new_platform
from store_client import FakeClock
from strongroom.base.errors import NotAuthorised, StoreUnreachable
from strongroom.channel.shared_key import SharedKey, SharedKeyPeer, SharedKeyring
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import (
    EXCHANGE_PATH,
    KEYED_PATH,
    MESSAGE_PATH,
    STREAM_PATH,
    AttestedService,
    SharedKeyService,
)
from strongroom.transport.client import SharedKeyTransport
from strongroom.transport.outer import ServiceRefused
from strongroom.transport.table import ChannelLimits

KEY = SharedKey(label="backup", deployment=b"d" * 32, epoch=1, secret=b"s" * 32)


async def who(scope, receive, send) -> None:
    """Answer with the label of the channel, and the size of what was asked."""
    if scope["type"] != "http":
        return
    body = await body_of(receive)
    label = scope["extensions"]["strongroom"]["shared_key"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{label} {len(body)}".encode()})


@contextmanager
def holder(
    url: str, keys: Sequence[SharedKey], clock: FakeClock | None = None
) -> Iterator[tuple[httpx2.Client, SharedKeyTransport]]:
    transport = SharedKeyTransport(url, keys, clock=clock or FakeClock())
    with httpx2.Client(transport=transport, base_url="https://store") as client:
        yield client, transport


@pytest.fixture
def enclave(tmp_path) -> Enclave:
    return Enclave(new_platform(tmp_path / "platform"))


def service(*keys: SharedKey, limits: ChannelLimits | None = None) -> SharedKeyService:
    return SharedKeyService(who, clock=FakeClock(), shared_keys=SharedKeyring(keys), limits=limits)


def test_holders_of_a_secret_talk_without_evidence() -> None:
    counting = Counting(service(KEY))
    with Loopback(counting) as url, holder(url, [KEY]) as (client, transport):
        assert client.post("/", content=b"x" * 10).text == "backup 10"
        assert client.post("/", content=iter([b"x" * 100_000] * 20)).text == "backup 2000000"
        peer = transport.peer()
        assert isinstance(peer, SharedKeyPeer)
        assert peer.label == "backup"
    assert counting.paths == [KEYED_PATH, MESSAGE_PATH, STREAM_PATH]


@pytest.mark.parametrize(
    "changes", [{"label": "restore"}, {"deployment": bytes(32)}, {"epoch": 2}, {"secret": bytes(32)}]
)
def test_a_key_for_another_purpose_or_another_secret_is_refused(changes: dict[str, object]) -> None:
    counting = Counting(service(KEY))
    other = replace(KEY, **changes)
    with Loopback(counting) as url, holder(url, [other]) as (client, _), pytest.raises(NotAuthorised):
        client.post("/", content=b"secret")
    assert counting.paths == [KEYED_PATH], "nothing is sent to it"


def test_during_a_change_both_secrets_are_good_at_either_end() -> None:
    new = replace(KEY, secret=b"n" * 32)
    for accepted, held in (([KEY], [new, KEY]), ([new, KEY], [KEY]), ([new, KEY], [new]), ([new], [new, KEY])):
        with Loopback(service(*accepted)) as url, holder(url, held) as (client, _):
            assert client.get("/").text == "backup 0"
    with Loopback(service(new)) as url, holder(url, [KEY]) as (client, _), pytest.raises(NotAuthorised):
        client.get("/")


def test_a_service_with_evidence_can_accept_shared_keys_besides_and_tells_them_apart(enclave) -> None:
    both = AttestedService(
        who,
        attester=enclave,
        endorsements=enclave,
        identities=enclave,
        clock=FakeClock(),
        shared_keys=SharedKeyring([KEY]),
    )
    with Loopback(both) as url:
        with holder(url, [KEY]) as (client, _):
            assert client.get("/").text == "backup 0"
        assert enclave.quotes == 0
        with client_of(url, enclave.terms()) as (client, transport):
            assert client.get("/").text == "None 0"
            assert transport.peer().deployment == enclave.deployment


def test_a_service_that_was_given_no_shared_key_accepts_none(enclave) -> None:
    with Loopback(enclave.service(who)) as url, holder(url, [KEY]) as (client, _), pytest.raises(NotAuthorised):
        client.get("/")


def test_a_service_without_evidence_cannot_satisfy_a_client_that_wants_it(enclave) -> None:
    counting = Counting(service(KEY))
    with Loopback(counting) as url, client_of(url, enclave.terms()) as (client, _):
        with pytest.raises(StoreUnreachable) as refused:
            client.post("/", content=b"secret")
        assert isinstance(refused.value, ServiceRefused)
    assert counting.paths == [EXCHANGE_PATH]


def test_after_a_restart_or_when_the_channel_is_old_another_is_opened() -> None:
    clock = FakeClock()
    first = Loopback(service(KEY))
    with first as url, holder(url, [KEY], clock) as (client, transport):
        session = transport.peer().session
        client.get("/")
        first.__exit__(None, None, None)
        counting = Counting(service(KEY))
        with Loopback(counting, port=int(url.rpartition(":")[2])):
            assert client.get("/").text == "backup 0"
            assert counting.paths == [MESSAGE_PATH, KEYED_PATH, MESSAGE_PATH]
            assert transport.peer().session != session
            clock.seconds = 1500.1
            client.get("/")
            assert counting.paths[3:] == [KEYED_PATH, MESSAGE_PATH]


def test_a_liar_that_answers_401_to_a_message_is_no_word_on_the_key() -> None:
    inside = service(KEY)

    async def liar(scope, receive, send) -> None:
        if scope.get("path") == MESSAGE_PATH:
            await body_of(receive)
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b'{"error":"not-authorised"}'})
            return
        await inside(scope, receive, send)

    with Loopback(liar) as url, holder(url, [KEY]) as (client, _), pytest.raises(ServiceRefused):
        client.get("/")


def test_a_full_table_is_said_before_a_key_is_looked_at() -> None:
    with Loopback(service(KEY, limits=ChannelLimits(max_channels=1))) as url, holder(url, [KEY]) as (client, _):
        client.get("/")
        with holder(url, [KEY]) as (other, _), pytest.raises(StoreUnreachable, match="too many open channels"):
            other.get("/")


def test_a_recorded_request_for_a_channel_gives_nobody_a_channel() -> None:
    recorded: list[bytes] = []
    inside = service(KEY)

    async def recording(scope, receive, send) -> None:
        async def heard():
            message = await receive()
            if scope.get("path") == KEYED_PATH:
                recorded.append(message.get("body", b""))
            return message

        await inside(scope, heard, send)

    with Loopback(recording) as url, holder(url, [KEY]) as (client, _):
        client.get("/")
        with httpx2.Client(trust_env=False) as http:
            answer = http.post(url + KEYED_PATH, content=b"".join(recorded))
        assert answer.status_code == 200, "it is answered, and nobody can open the answer"
        assert not any(entry.channel.confirmed for entry in inside._channels._unconfirmed.values())


def test_a_transport_without_a_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="without a key"):
        SharedKeyTransport("http://127.0.0.1:1", [], clock=FakeClock())
