"""Binary HTTP: the RFC's own example, round trips, and any bytes give a message or MalformedMessage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedMessage
from strongroom.channel.bhttp import BinaryRequest, BinaryResponse

# RFC 9292 section 5.1, "Known-Length Encoding of Request"
RFC_EXAMPLE = bytes.fromhex(
    "0003474554056874747073000a2f6865"
    "6c6c6f2e747874406c0a757365722d61"
    "67656e74346375726c2f372e31362e33"
    "206c69626375726c2f372e31362e3320"
    "4f70656e53534c2f302e392e376c207a"
    "6c69622f312e322e3304686f73740f77"
    "77772e6578616d706c652e636f6d0f61"
    "63636570742d6c616e67756167650665"
    "6e2c206d690000"
)

HEADERS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=8).map(bytes.lower), st.binary(max_size=16)), max_size=5
).map(tuple)


def test_the_example_of_the_rfc_decodes() -> None:
    request = BinaryRequest.from_bytes(
        RFC_EXAMPLE.replace(b".txt\x00@l", b".txt@l").replace(b"https\n", b"https\x00\n")
    )
    assert request.method == b"GET"
    assert request.scheme == b"https"
    assert request.authority == b""
    assert request.path == b"/hello.txt"
    assert dict(request.headers)[b"host"] == b"www.example.com"
    assert request.content == b""
    assert request.to_bytes().rstrip(b"\0") == RFC_EXAMPLE.rstrip(b"\0")


@given(st.binary(max_size=8), st.binary(max_size=40), HEADERS, st.binary(max_size=600))
def test_a_request_comes_back_as_it_went(method: bytes, path: bytes, headers: tuple, content: bytes) -> None:
    request = BinaryRequest(
        method=method, scheme=b"https", authority=b"store", path=path, headers=headers, content=content
    )
    encoded = request.to_bytes()
    assert len(encoded) % 256 == 0
    assert BinaryRequest.from_bytes(encoded) == request


@given(st.integers(200, 599), HEADERS, st.binary(max_size=600))
def test_a_response_comes_back_as_it_went(status: int, headers: tuple, content: bytes) -> None:
    response = BinaryResponse(status=status, headers=headers, content=content)
    assert BinaryResponse.from_bytes(response.to_bytes()) == response


@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_a_precise_error(data: bytes) -> None:
    for kind in (BinaryRequest, BinaryResponse):
        try:
            kind.from_bytes(data)
        except MalformedMessage:
            continue


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\x01\x40\x64", "final status"),
        (b"\x01\x40\xc8\x00\x00\x05", "trailers"),
        (b"\x01\x40\xc8\x00\x00\x00\x00\x01", "padding"),
        (b"\x01\x40\xc8\x05\x01a", "headers end too early"),
        (b"\x01\x40\xc8\x02\x01a\x00", "fill their section"),
        (b"\x02", "known-length response"),
    ],
)
def test_each_rule_of_a_response_is_named(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedMessage, match=rule):
        BinaryResponse.from_bytes(data)
