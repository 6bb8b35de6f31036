"""Messages: any bytes are a value or malformed, and what is parsed writes itself back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedMessage
from strongroom.crypto import ristretto255
from strongroom.crypto.opaque import server
from strongroom.crypto.opaque.messages import (
    KE1_BYTES,
    KE2_BYTES,
    KE3_BYTES,
    RECORD_BYTES,
    REGISTRATION_REQUEST_BYTES,
    REGISTRATION_RESPONSE_BYTES,
    Ke1,
    Ke2,
    RegistrationRecord,
    RegistrationResponse,
    ke3_tag,
    registration_request,
)

PARSERS = {
    "request": (registration_request, REGISTRATION_REQUEST_BYTES, (0,)),
    "response": (RegistrationResponse.from_bytes, REGISTRATION_RESPONSE_BYTES, (0, 32)),
    "record": (RegistrationRecord.from_bytes, RECORD_BYTES, (0,)),
    "ke1": (Ke1.from_bytes, KE1_BYTES, (0, 64)),
    "ke2": (Ke2.from_bytes, KE2_BYTES, (0, 224)),
    "ke3": (ke3_tag, KE3_BYTES, ()),
    "server state": (server.LoginState.from_bytes, 128, ()),
}


def elements() -> st.SearchStrategy[bytes]:
    return st.binary(max_size=16).map(lambda data: ristretto255.hash_to_group(data, b"test"))


@st.composite
def messages(draw, length: int, places: tuple[int, ...]) -> bytes:
    data = bytearray(draw(st.binary(min_size=length, max_size=length)))
    for place in places:
        data[place : place + 32] = draw(elements())
    return bytes(data)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_what_is_parsed_writes_itself_back(name, data):
    parse, length, places = PARSERS[name]
    message = data.draw(messages(length, places))
    parsed = parse(message)
    assert (parsed if isinstance(parsed, bytes) else parsed.to_bytes()) == message


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_value_or_malformed(name, data):
    parse, length, _ = PARSERS[name]
    try:
        parse(data)
    except MalformedMessage:
        return
    assert len(data) == length


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_a_message_cut_short_or_continued_is_malformed(name, data):
    parse, length, places = PARSERS[name]
    message = data.draw(messages(length, places))
    with pytest.raises(MalformedMessage):
        parse(message[: data.draw(st.integers(0, length - 1))])
    with pytest.raises(MalformedMessage, match="after the last field"):
        parse(message + b"\x00")
