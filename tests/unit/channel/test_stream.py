"""Streamed bodies: frames open in order, once, in their own stream, and a stream without its end is noticed."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedMessage
from strongroom.channel.schedule import CHANNEL_ID_BYTES, KeySchedule
from strongroom.channel.secure import STREAM_HEAD_BYTES, ClientChannel, ServerChannel
from strongroom.channel.stream import (
    CHUNK_BYTES,
    MAX_FIRST_BYTES,
    FrameOpener,
    FrameReader,
    FrameSealer,
    chunks_of,
)

KEY = b"k" * 32


def ends(key: bytes = KEY) -> tuple[FrameSealer, FrameOpener]:
    return FrameSealer(key), FrameOpener(key, "answer")


def boxes(frames: bytes, step: int = 1 << 30) -> list[bytes]:
    """Cut frames into boxes, fed in pieces."""
    reader = FrameReader("answer")
    found = [box for start in range(0, len(frames), step) for box in reader.feed(frames[start : start + step])]
    reader.finish()
    return found


@given(contents=st.lists(st.binary(max_size=700), min_size=1, max_size=6), step=st.integers(1, 800))
def test_what_goes_in_comes_out_however_it_is_cut_on_the_way(contents: list[bytes], step: int) -> None:
    sealer, opener = ends()
    *others, last = contents
    frames = b"".join(sealer.frame(content) for content in others) + sealer.frame(last, last=True)
    assert [opener.open(box) for box in boxes(frames, step)] == contents
    assert opener.ended
    opener.finish()


def test_frames_are_padded_so_that_small_ones_look_alike() -> None:
    sealer, _ = ends()
    assert {len(sealer.frame(bytes(size))) for size in (0, 1, 100, 251)} == {4 + 256 + 16}
    assert len(sealer.frame(bytes(252))) == 4 + 512 + 16


def test_a_stream_without_its_last_frame_is_cut_off() -> None:
    sealer, opener = ends()
    opener.open(*boxes(sealer.frame(b"a")))
    with pytest.raises(MalformedMessage, match="cut off"):
        opener.finish()


def test_a_frame_cut_in_the_middle_is_noticed() -> None:
    sealer, _ = ends()
    reader = FrameReader("answer")
    assert list(reader.feed(sealer.frame(b"a", last=True)[:-1])) == []
    with pytest.raises(MalformedMessage, match="a frame was cut off"):
        reader.finish()


def test_frames_left_out_repeated_or_turned_round_do_not_open() -> None:
    sealer, _ = ends()
    first, second, third = (boxes(sealer.frame(content))[0] for content in (b"a", b"b", b"c"))
    for wrong in ([second], [first, third], [first, first], [first, second, first]):
        opener = FrameOpener(KEY, "answer")
        *good, bad = wrong
        for box in good:
            opener.open(box)
        with pytest.raises(MalformedMessage, match="not the next frame"):
            opener.open(bad)


def test_nothing_may_stand_behind_the_end() -> None:
    sealer, opener = ends()
    opener.open(*boxes(sealer.frame(b"", last=True)))
    with pytest.raises(MalformedMessage, match="behind the end"):
        opener.open(bytes(272))
    with pytest.raises(ValueError, match="has ended"):
        sealer.frame(b"more")


def test_a_stream_that_says_it_is_broken_off_is_no_whole_one() -> None:
    sealer, opener = ends()
    with pytest.raises(MalformedMessage, match="broke the stream off"):
        opener.open(*boxes(sealer.broken_off()))
    assert sealer.ended
    assert not opener.ended


def test_a_frame_that_would_be_too_large_is_refused_before_it_is_held() -> None:
    reader = FrameReader("answer")
    with pytest.raises(MalformedMessage, match="a frame has more than"):
        list(reader.feed((MAX_FIRST_BYTES + 1000).to_bytes(4, "big")))
    with pytest.raises(ValueError, match="too much"):
        FrameSealer(KEY).frame(bytes(MAX_FIRST_BYTES + 1))


@pytest.mark.parametrize("inner", [b"", b"\x00\x00\x00\x00", b"\x00\x00\x00\x00\x05abcd", b"\x03" + bytes(255)])
def test_a_frame_whose_inside_is_none_is_malformed(inner: bytes) -> None:
    from strongroom.crypto.aead import CounterBox

    box = CounterBox(KEY).seal(0, inner, b"strongroom v1 frame")
    with pytest.raises(MalformedMessage):
        FrameOpener(KEY, "answer").open(box)


def test_padding_that_is_not_zero_is_malformed() -> None:
    from strongroom.crypto.aead import CounterBox

    box = CounterBox(KEY).seal(0, b"\x01\x00\x00\x00\x01a" + b"x" * 250, b"strongroom v1 frame")
    with pytest.raises(MalformedMessage, match="not filled"):
        FrameOpener(KEY, "answer").open(box)


@given(data=st.binary(max_size=2000))
def test_any_bytes_are_frames_or_malformed(data: bytes) -> None:
    def read() -> None:
        opener, reader = FrameOpener(KEY, "answer"), FrameReader("answer")
        for box in reader.feed(data):
            opener.open(box)
        reader.finish()
        opener.finish()

    with pytest.raises(MalformedMessage):
        read()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_chunks_join_to_the_whole(size: int) -> None:
    content = os.urandom(size)
    pieces = list(chunks_of(content))
    assert b"".join(pieces) == content
    assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)


# on a channel


def a_channel(secret: bytes = b"s" * 32, transcript: bytes = b"h" * 32) -> tuple[ClientChannel, ServerChannel]:
    keys = KeySchedule.derive(secret, transcript)
    return ClientChannel(keys), ServerChannel(keys)


def test_a_streamed_request_and_its_streamed_answer() -> None:
    client, server = a_channel()
    number, head, sealer = client.begin_stream()
    (box,) = boxes(sealer.frame(b"first"))
    assert head[:CHANNEL_ID_BYTES] == server.channel_id
    assert len(head) == STREAM_HEAD_BYTES
    assert not server.confirmed
    taken, first, opener = server.open_stream(head, box)
    assert (taken, first, server.confirmed) == (number, b"first", True)
    assert opener.open(*boxes(sealer.frame(b"second", last=True))) == b"second"
    answer = server.answer_stream(number)
    assert client.answer_stream(number).open(*boxes(answer.frame(b"yes", last=True))) == b"yes"


def test_streams_and_messages_share_their_numbers_and_each_is_taken_once() -> None:
    client, server = a_channel()
    first, message = client.seal_request(b"")
    second, head, sealer = client.begin_stream()
    assert (first, second) == (0, 1)
    (box,) = boxes(sealer.frame(b"x"))
    server.open_stream(head, box)
    with pytest.raises(MalformedMessage, match="replayed"):
        server.open_stream(head, box)
    server.open_request(message)


def test_a_stream_cannot_be_moved_to_another_number_and_a_false_one_takes_no_number() -> None:
    client, server = a_channel()
    _, head, sealer = client.begin_stream()
    _, other_head, _ = client.begin_stream()
    (box,) = boxes(sealer.frame(b"x"))
    with pytest.raises(MalformedMessage, match="not the next frame"):
        server.open_stream(other_head, box)
    assert not server.confirmed
    assert server.open_stream(head, box)[1] == b"x"


def test_a_stream_of_another_direction_request_or_session_does_not_open() -> None:
    client, server = a_channel()
    other_client, _ = a_channel(transcript=b"x" * 32)
    number, _, sealer = client.begin_stream()
    frame = boxes(sealer.frame(b"x"))[0]
    answer = boxes(server.answer_stream(number).frame(b"x"))[0]
    for opener, box in (
        (client.answer_stream(number), frame),
        (client.answer_stream(number + 1), answer),
        (other_client.answer_stream(number), answer),
    ):
        with pytest.raises(MalformedMessage, match="not the next frame"):
            opener.open(box)


def test_a_head_that_is_too_short_is_malformed() -> None:
    _, server = a_channel()
    with pytest.raises(MalformedMessage, match="too short"):
        server.open_stream(bytes(STREAM_HEAD_BYTES - 1), bytes(272))
