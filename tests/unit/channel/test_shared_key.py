"""Shared-key sessions: who holds the secret for this purpose gets in, and nobody else."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from attested import AT, AT_MS
from strongroom.base.errors import MalformedMessage, NotAuthorised
from strongroom.channel.keyed import KeyedMode, KeyedRequest, ServerKeyedExchange
from strongroom.channel.shared_key import (
    ClientSharedKeyExchange,
    SharedKey,
    SharedKeyChannel,
    SharedKeyPeer,
    SharedKeyring,
)
from strongroom.verifier.binding import AttestedPeer

KEY = SharedKey(label="backup", deployment=b"d" * 32, epoch=1, secret=b"s" * 32)


def join(key: SharedKey, ring: SharedKeyring) -> tuple[SharedKeyChannel, Any]:
    exchange = ClientSharedKeyExchange(key)
    _, inside = ring.exchange(KeyedRequest.from_bytes(exchange.request))
    return exchange.finish(inside.answer, at=AT), inside.channel()


def test_two_holders_of_a_secret_have_a_channel() -> None:
    shared, inside = join(KEY, SharedKeyring([KEY]))
    peer = shared.peer
    assert peer == SharedKeyPeer(label="backup", deployment=b"d" * 32, epoch=1, session=inside.session, since_ms=AT_MS)
    number, message = shared.channel.seal_request(b"question")
    assert inside.open_request(message) == (number, b"question")
    assert shared.channel.open_answer(inside.seal_answer(number, b"answer"), number) == b"answer"


def test_the_peer_is_no_attested_one_and_cannot_be_taken_for_one() -> None:
    shared, _ = join(KEY, SharedKeyring([KEY]))
    assert not isinstance(shared.peer, AttestedPeer)
    assert not {"result", "head_key_hash"} & {field.name for field in fields(shared.peer)}


def test_two_sessions_under_one_secret_have_nothing_in_common() -> None:
    ring = SharedKeyring([KEY])
    (first, _), (second, inside) = join(KEY, ring), join(KEY, ring)
    assert first.peer.session != second.peer.session
    _, message = first.channel.seal_request(b"x")
    with pytest.raises(MalformedMessage):
        inside.open_request(message)


@pytest.mark.parametrize(
    "changes",
    [{"label": "restore"}, {"deployment": b"e" * 32}, {"epoch": 2}, {"secret": b"t" * 32}],
    ids=["label", "deployment", "epoch", "secret"],
)
def test_another_label_deployment_epoch_or_secret_is_refused_by_both_ends(changes: dict[str, Any]) -> None:
    other = replace(KEY, **changes)
    with pytest.raises(NotAuthorised, match="no shared key that this service accepts"):
        join(other, SharedKeyring([KEY]))
    # a server that answers whatever it is asked, with the key that it has
    exchange = ClientSharedKeyExchange(other)
    request = KeyedRequest.from_bytes(exchange.request)
    answer = ServerKeyedExchange(
        request, KEY.derive()[1], deployment=other.deployment, epoch=other.epoch, collateral_digest=None
    ).answer
    with pytest.raises(NotAuthorised, match="does not hold the shared key"):
        exchange.finish(answer, at=AT)


def test_a_name_without_the_secret_is_refused() -> None:
    false = replace(KEY, secret=b"t" * 32)
    exchange = ClientSharedKeyExchange(false)
    request = replace(KeyedRequest.from_bytes(exchange.request), key_id=KEY.derive()[0])
    with pytest.raises(NotAuthorised):
        SharedKeyring([KEY]).exchange(request)


def test_the_key_of_a_session_is_no_shared_key() -> None:
    request = replace(KeyedRequest.from_bytes(ClientSharedKeyExchange(KEY).request), mode=KeyedMode.RESUMPTION)
    with pytest.raises(NotAuthorised):
        SharedKeyring([KEY]).exchange(request)


def test_an_answer_that_names_another_deployment_is_malformed() -> None:
    exchange = ClientSharedKeyExchange(KEY)
    request = KeyedRequest.from_bytes(exchange.request)
    answer = ServerKeyedExchange(request, KEY.derive()[1], deployment=bytes(32), epoch=1, collateral_digest=None).answer
    with pytest.raises(MalformedMessage, match="another deployment or epoch"):
        exchange.finish(answer, at=AT)


def test_an_altered_answer_is_refused() -> None:
    exchange = ClientSharedKeyExchange(KEY)
    _, inside = SharedKeyring([KEY]).exchange(KeyedRequest.from_bytes(exchange.request))
    answer = inside.answer.replace(b"\x65epoch\x01", b"\x65epoch\x02")
    assert answer != inside.answer
    with pytest.raises(NotAuthorised):
        exchange.finish(answer, at=AT + timedelta(hours=1))


# a change of secrets, and what a key may be


def test_two_secrets_are_good_during_a_change() -> None:
    new = replace(KEY, secret=b"n" * 32)
    ring = SharedKeyring([new, KEY])
    assert join(new, ring)[0].peer.label == join(KEY, ring)[0].peer.label == "backup"
    with pytest.raises(NotAuthorised):
        join(KEY, SharedKeyring([new]))


def test_a_label_has_no_third_secret() -> None:
    keys = [replace(KEY, secret=bytes([number]) * 32) for number in range(3)]
    with pytest.raises(ValueError, match="at most two secrets"):
        SharedKeyring(keys)
    with pytest.raises(ValueError, match="at most 64"):
        SharedKeyring(replace(KEY, label=str(number)) for number in range(65))


@pytest.mark.parametrize(
    "changes",
    [
        {"label": ""},
        {"label": "x" * 65},
        {"label": "ü"},
        {"label": "a\n"},
        {"secret": b"short"},
        {"deployment": b""},
        {"epoch": -1},
    ],
)
def test_a_key_that_cannot_be_one(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a label has|a shared key has"):
        replace(KEY, **changes)


def test_a_key_has_no_representation() -> None:
    assert "object at" in repr(KEY)
    assert KEY.secret.hex() not in repr(KEY)
    assert "sss" not in repr(KEY)


def test_each_purpose_has_its_own_keys() -> None:
    others = [replace(KEY, label="backup2"), replace(KEY, epoch=2), replace(KEY, deployment=bytes(32))]
    derived = [key.derive() for key in (KEY, *others)]
    assert len({key_id for key_id, _ in derived}) == len({key for _, key in derived}) == 4
