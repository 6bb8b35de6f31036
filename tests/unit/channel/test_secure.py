"""Sealed messages: each opens once, at the other end of its channel, in its direction, for its request."""

import pytest

from strongroom.base.errors import MalformedMessage
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import ClientChannel, ServerChannel, channel_id_of


def a_channel(secret: bytes = b"s" * 32, transcript: bytes = b"h" * 32) -> tuple[ClientChannel, ServerChannel]:
    keys = KeySchedule.derive(secret, transcript)
    return ClientChannel(keys), ServerChannel(keys)


def test_a_request_and_its_answer() -> None:
    client, server = a_channel()
    assert not server.confirmed
    number, message = client.seal_request(b"question")
    assert channel_id_of(message) == server.channel_id
    assert server.open_request(message) == (number, b"question")
    assert server.confirmed
    assert client.open_answer(server.seal_answer(number, b"answer"), number) == b"answer"


def test_requests_may_arrive_out_of_order() -> None:
    client, server = a_channel()
    messages = [client.seal_request(str(i).encode()) for i in range(10)]
    for number, message in reversed(messages):
        assert server.open_request(message) == (number, str(number).encode())


def test_a_replayed_request_is_refused() -> None:
    client, server = a_channel()
    _, message = client.seal_request(b"once")
    server.open_request(message)
    with pytest.raises(MalformedMessage, match="replayed"):
        server.open_request(message)


def test_a_replayed_answer_is_refused() -> None:
    client, server = a_channel()
    answer = server.seal_answer(0, b"yes")
    client.open_answer(answer, 0)
    with pytest.raises(MalformedMessage, match="replayed"):
        client.open_answer(answer, 0)


def test_an_answer_to_another_request_does_not_open() -> None:
    client, server = a_channel()
    with pytest.raises(MalformedMessage, match="not sealed by the other end"):
        client.open_answer(server.seal_answer(0, b"yes"), 1)


def test_a_message_of_the_other_direction_does_not_open() -> None:
    client, _ = a_channel()
    _, message = client.seal_request(b"question")
    with pytest.raises(MalformedMessage, match="not sealed by the other end"):
        client.open_answer(message[16:], 0)


def test_a_message_of_another_session_does_not_open() -> None:
    client, _ = a_channel()
    _, other = a_channel(transcript=b"x" * 32)
    _, message = client.seal_request(b"question")
    with pytest.raises(MalformedMessage, match="not sealed by the other end"):
        other.open_request(message)


def test_every_altered_bit_is_noticed_and_leaves_the_channel_usable() -> None:
    client, server = a_channel()
    _, message = client.seal_request(b"question")
    for bit in range(16 * 8, len(message) * 8):
        altered = bytearray(message)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MalformedMessage):
            server.open_request(bytes(altered))
    assert server.open_request(message) == (0, b"question")


@pytest.mark.parametrize("length", [0, 15, 16, 39])
def test_a_truncated_message_is_malformed(length: int) -> None:
    client, server = a_channel()
    _, message = client.seal_request(b"")
    with pytest.raises(MalformedMessage, match="too short"):
        channel_id_of(message[:length])
    with pytest.raises(MalformedMessage, match="too short"):
        server.open_request(message[:length])


def test_keys_have_no_representation() -> None:
    keys = KeySchedule.derive(b"s" * 32, b"h" * 32)
    assert keys.client_to_server.hex() not in repr(keys)
    assert "object at" in repr(keys)
