"""The exchange's messages: round trips, limits, and any bytes give a message or MalformedMessage."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.channel.messages import MAX_HELLO_BYTES, AnswerCore, Attestation, ClientHello, ServerAnswer
from strongroom.crypto import hpke
from strongroom.formats.claims import Claims
from strongroom.formats.instance_certificate import InstanceCertificate, SignedInstanceCertificate


def a_hello(**changes: object) -> ClientHello:
    fields: dict[str, object] = {
        "suites": (1,),
        "evidence_kinds": ("sgx-dcap-3",),
        "deployment": None,
        "nonce": bytes(32),
        "kem_key": bytes(hpke.PUBLIC_KEY_BYTES),
        "known_collateral": (),
    }
    return ClientHello(**{**fields, **changes})


def an_answer() -> ServerAnswer:
    core = AnswerCore(
        suite=1,
        evidence_kind="sgx-dcap-3",
        sealed_secret=bytes(hpke.SEALED_SECRET_BYTES),
        deployment_key=bytes(32),
        collateral_digest=bytes(32),
    )
    shown = Attestation(
        evidence=b"quote",
        claims=b"claims",
        claims_signature=bytes(64),
        instance_certificate=b"certificate",
        index=1,
        path=(bytes(32), bytes(32)),
    )
    return ServerAnswer(core=core.to_bytes(), confirmation=bytes(32), attestation=shown, collateral=None)


def test_messages_come_back_as_they_went() -> None:
    for hello in (a_hello(), a_hello(deployment=bytes(32), known_collateral=(bytes(32),) * 8)):
        assert ClientHello.from_bytes(hello.to_bytes()) == hello
    answer = an_answer()
    assert ServerAnswer.from_bytes(answer.to_bytes()) == answer
    assert AnswerCore.from_bytes(answer.core).to_bytes() == answer.core


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": bytes(31)},
        {"kem_key": bytes(33)},
        {"deployment": bytes(31)},
        {"known_collateral": (bytes(32),) * 9},
        {"known_collateral": (bytes(31),)},
        {"suites": tuple(range(9))},
        {"evidence_kinds": (1,)},
    ],
)
def test_a_hello_outside_its_limits_is_malformed(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedMessage):
        ClientHello.from_bytes(a_hello(**changes).to_bytes())


def test_a_field_that_nobody_knows_is_malformed() -> None:
    fields = canonical.decode(a_hello().to_bytes(), path="", max_bytes=10_000)
    assert isinstance(fields, dict)
    with pytest.raises(MalformedMessage, match="unknown field 'early_data'"):
        ClientHello.from_bytes(canonical.encode({**fields, "early_data": b"x"}))


def test_another_version_is_malformed() -> None:
    fields = canonical.decode(a_hello().to_bytes(), path="", max_bytes=10_000)
    assert isinstance(fields, dict)
    with pytest.raises(MalformedMessage, match="version"):
        ClientHello.from_bytes(canonical.encode({**fields, "version": 2}))


def test_an_oversized_hello_is_not_even_read() -> None:
    with pytest.raises(MalformedMessage, match="at most"):
        ClientHello.from_bytes(os.urandom(MAX_HELLO_BYTES + 1))


def claims(**changes: object) -> Claims:
    fields: dict[str, object] = {
        "root": b"r" * 32,
        "size": 3,
        "deployment": b"d" * 32,
        "instance": b"i" * 32,
        "head_key": b"h" * 32,
        "epoch": 1,
        "release": b"v" * 32,
    }
    return Claims(**{**fields, **changes})


def test_claims_come_back_as_they_went() -> None:
    assert Claims.from_bytes(claims().to_bytes()) == claims()


@pytest.mark.parametrize("changes", [{"size": 0}, {"size": (1 << 14) + 1}, {"root": b"short"}, {"epoch": -1}])
def test_claims_outside_their_limits_are_malformed(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedMessage):
        Claims.from_bytes(claims(**changes).to_bytes())


def test_claims_with_a_key_twice_are_malformed() -> None:
    encoded = claims().to_bytes()
    epoch = canonical.encode("epoch") + canonical.encode(1)
    assert epoch in encoded
    doubled = bytes([encoded[0] + 1]) + encoded[1:].replace(epoch, epoch + canonical.encode("epoch") + b"\x02")
    with pytest.raises(MalformedMessage, match="out of order or repeated"):
        Claims.from_bytes(doubled)


def test_claims_with_an_unknown_claim_are_malformed() -> None:
    fields = canonical.decode(claims().to_bytes(), path="", max_bytes=1000)
    assert isinstance(fields, dict)
    with pytest.raises(MalformedMessage, match="unknown field"):
        Claims.from_bytes(canonical.encode({**fields, "debug_ok": True}))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_message_or_a_precise_error(data: bytes) -> None:
    for kind in (ClientHello, AnswerCore, ServerAnswer, Claims, InstanceCertificate, SignedInstanceCertificate):
        try:
            kind.from_bytes(data)
        except MalformedMessage:
            continue


@given(st.data())
def test_a_damaged_answer_is_an_answer_or_malformed(data: st.DataObject) -> None:
    encoded = bytearray(an_answer().to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        ServerAnswer.from_bytes(bytes(encoded))
    except MalformedMessage:
        return
