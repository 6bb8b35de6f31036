"""The store's routes: inside a channel only, closed to unknown fields, errors by family and without secrets."""

import json
import logging

import pytest
from starlette.testclient import TestClient

from store_client import new_service
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.http import store_application
from strongroom.store.routes import STORE_ROUTES
from strongroom.store.sessions import Grade
from strongroom.testing.failing_storage import FailingRecordStore

ROUTES = [route.path for route in STORE_ROUTES]


def in_a_channel(application):
    """Wrap an application so that its requests look as if they came through a channel."""
    state = {}

    async def wrapped(scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "extensions": {"strongroom": {"session": b"h" * 32, "state": state}}}
        await application(scope, receive, send)

    return wrapped


@pytest.fixture
def client():
    with TestClient(in_a_channel(store_application(new_service(MemoryRecordStore())))) as http:
        yield http


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_answered_outside_a_channel(route):
    with TestClient(store_application(new_service(MemoryRecordStore()))) as http:
        answer = http.post(route, content=b"{}")
    assert answer.status_code == 421
    assert answer.json()["error"] == "channel-unknown"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x":1}', b'{"username":1}', b"\xff", b"null", b"[" * 100_000])
def test_a_body_that_is_none_is_malformed(client, route, content):
    answer = client.post(route, content=content)
    assert answer.status_code == 400
    assert answer.json()["error"] == "malformed-message"


def test_paths_and_names_are_unique():
    assert len({route.path for route in STORE_ROUTES}) == len({route.name for route in STORE_ROUTES}) == len(ROUTES)


def test_what_asks_for_a_proven_session_says_that_it_can_refuse():
    for route in STORE_ROUTES:
        assert route.grade is Grade.NOTHING or "not-authorised" in {error.code for error in route.errors}


@pytest.mark.parametrize("route", ["/v1/vault/fetch", "/v1/vault/append"])
def test_a_vault_needs_a_proven_account(client, route):
    fetch = api.FetchPage(after=0, limit=1)
    append = api.Append(expected_length=0, expected_chain=bytes(32), entries=[api.EntryPair(entry=b"e", sealed=b"s")])
    answer = client.post(route, content=api.encode(fetch if route.endswith("fetch") else append))
    assert answer.status_code == 401
    assert answer.json()["error"] == "not-authorised"


def test_only_post_and_only_known_routes(client):
    assert client.get("/v1/vault/fetch").status_code == 405
    assert client.post("/v1/nothing", content=b"{}").status_code == 404


def test_a_database_that_fails_is_unavailable_and_the_log_names_nobody(caplog):
    storage = FailingRecordStore(MemoryRecordStore())
    service = new_service(storage)
    storage.fail_reads()
    with TestClient(in_a_channel(store_application(service))) as http, caplog.at_level(logging.WARNING):
        body = api.LoginStart(username="somebody@example.com", ke1=bytes(96))
        answer = http.post("/v1/sessions/login/start", content=api.encode(body))
    assert answer.status_code == 503
    assert answer.json()["error"] == "storage-unavailable"
    assert "storage-unavailable" in caplog.text
    assert "somebody" not in caplog.text + json.dumps(answer.json())
