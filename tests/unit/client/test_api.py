"""The store's refusals become the client's errors, family by family; whatever else comes is no store."""

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import errors
from strongroom.client.api import AccountExists, StoreApi
from strongroom.formats import store_api as api


class Answering(httpx2.BaseTransport):
    """Stands for the attested transport: one answer to everything."""

    def __init__(self, status: int, content: bytes) -> None:
        self.answer = status, content
        self.seen: list[httpx2.Request] = []
        self.closed = False

    def peer(self) -> str:
        return "the peer"

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        status, content = self.answer
        return httpx2.Response(status, content=content, request=request)

    def close(self) -> None:
        self.closed = True


def ask(status: int, content: bytes) -> api.Page:
    store = StoreApi(Answering(status, content))  # type: ignore[arg-type]
    try:
        return store.fetch(api.FetchPage(after=0, limit=1))
    finally:
        store.close()


def refusal(code: str, **more: str) -> bytes:
    return json.dumps({"error": code, "message": "a fact", "hint": "a hint", **more}).encode()


@pytest.mark.parametrize(
    "family",
    [
        AccountExists,
        errors.Conflict,
        errors.Denied,
        errors.HeadMoved,
        errors.Malformed,
        errors.MalformedEntry,
        errors.MalformedMessage,
        errors.MalformedRecord,
        errors.NotAuthorised,
        errors.StorageUnavailable,
        errors.Unavailable,
    ],
)
def test_a_refusal_is_raised_as_its_family(family: type[errors.StrongroomError]) -> None:
    with pytest.raises(family) as raised:
        ask(400, refusal(family.code))
    assert type(raised.value) is family
    assert (raised.value.message, raised.value.hint) == ("a fact", "a hint")


@pytest.mark.parametrize("code", ["rollback", "appraisal-refused", "misconfigured", "", "new"])
def test_what_a_store_cannot_claim_is_unavailable(code: str) -> None:
    with pytest.raises(errors.StoreUnreachable):
        ask(400, refusal(code))


def test_a_refusal_without_words_names_its_status() -> None:
    with pytest.raises(errors.NotAuthorised, match="status 401"):
        ask(401, b'{"error": "not-authorised"}')


@given(st.integers(201, 599), st.binary(max_size=50))
def test_anything_else_is_unavailable(status: int, content: bytes) -> None:
    with pytest.raises(errors.StoreUnreachable, match=str(status)):
        ask(status, content)


@given(st.binary(max_size=50))
def test_an_answer_is_what_was_asked_for_or_malformed(content: bytes) -> None:
    with pytest.raises(errors.MalformedMessage):
        ask(200, content)


def test_every_call_goes_to_its_route() -> None:
    transport = Answering(503, b"")
    store = StoreApi(transport)  # type: ignore[arg-type]
    pair = api.EntryPair(entry=b"", sealed=b"")
    calls = [
        (store.register_start, api.RegisterStart(username="me", request=b"")),
        (
            store.register_finish,
            api.RegisterFinish(
                username="me", record=b"", account_id=bytes(16), account_key=bytes(32), wrapped_root_key=b"",
                vault_id=bytes(16), first=pair,
            ),
        ),
        (store.login_start, api.LoginStart(username="me", ke1=b"")),
        (store.login_finish, api.LoginFinish(ke3=b"")),
        (store.prove_device, api.DeviceSession(account_id=bytes(16), device_key=bytes(32), signature=bytes(64))),
        (store.fetch, api.FetchPage(after=0, limit=1)),
        (store.append, api.Append(expected_length=0, expected_chain=bytes(32), entries=[pair])),
    ]  # fmt: skip
    for call, body in calls:
        with pytest.raises(errors.StoreUnreachable):
            call(body)  # type: ignore[operator]
        assert api.decode(transport.seen[-1].read(), type(body)) == body
    assert [request.url.path for request in transport.seen] == [
        "/v1/accounts/register/start",
        "/v1/accounts/register/finish",
        "/v1/sessions/login/start",
        "/v1/sessions/login/finish",
        "/v1/sessions/device",
        "/v1/vault/fetch",
        "/v1/vault/append",
    ]
    assert store.peer() == "the peer"
    store.close()
    assert transport.closed
