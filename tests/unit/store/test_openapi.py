"""The OpenAPI document is the committed one, and what schemathesis sends by it gets the answers that it promises.

The interface answers inside the channel only, so it is tried twice: the application by itself, as if in a channel of
somebody who has proven everything, and a few requests through a real channel and a forwarder.
"""

import json
import os
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from attested import Enclave, new_platform
from store_client import FakeClock, Person, guesses_of, new_deployment
from strongroom.cli.instance import tenancy_of
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.admin_routes import ADMIN_ROUTES
from strongroom.store.administration import Administrators, AdminService
from strongroom.store.http import store_application
from strongroom.store.openapi import openapi_document
from strongroom.store.routes import STORE_ROUTES
from strongroom.store.sessions import ChannelSession
from strongroom.testing.loopback import Loopback
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.forward import Forwarder

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
SCHEMA = schemathesis.openapi.from_dict(openapi_document())
PROMISES = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
]
BRIEF = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_the_committed_document_is_current():
    assert json.loads(COMMITTED.read_text()) == openapi_document()


def test_every_route_is_in_it_with_every_error_it_can_end_in():
    document = openapi_document()
    routes = (*STORE_ROUTES, *ADMIN_ROUTES)
    assert set(document["paths"]) == {route.path for route in routes}
    for route in routes:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.name
        assert {str(error.http_status) for error in route.errors} | {"200"} == set(operation["responses"])
        for error in route.errors:
            _, _, name = operation["responses"][str(error.http_status)]["$ref"].rpartition("/")
            assert error.code in document["components"]["responses"][name]["description"]


def application_of(storage):
    clock = FakeClock()
    deployment = new_deployment(storage)
    tenancy = tenancy_of(storage, deployment, clock, guesses_of(storage, deployment, clock))
    administrators = Administrators(keys=frozenset({b"k" * 32}), deletion_approvals=1)
    administration = AdminService(storage, deployment, tenancy, clock, administrators)
    return store_application(tenancy, administration=administration), tenancy


class Proven:
    """Middleware: every request comes in a session that has proven a device and an administrator."""

    def __init__(self, application, tenancy):
        self._application = application
        self._service = tenancy.admit(bytes(16))
        self._person = Person("somebody")
        self._person.register(self._service)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            state = {}
            session = ChannelSession.of(os.urandom(32), state)
            self._person.prove(self._service, session)
            session.administrator = b"k" * 32
            channel = {"session": session.transcript, "state": state, "shared_key": None}
            scope = {**scope, "extensions": {"strongroom": channel}}
        await self._application(scope, receive, send)


@pytest.fixture(scope="module")
def proven_url():
    with Loopback(Proven(*application_of(MemoryRecordStore()))) as url:
        yield url


@pytest.fixture(scope="module")
def forwarded_url(tmp_path_factory):
    enclave = Enclave(new_platform(tmp_path_factory.mktemp("platform") / "platform"))
    application, _ = application_of(MemoryRecordStore())
    with Loopback(enclave.service(application)) as url:
        transport = AsyncAttestedTransport(url, enclave.terms(), clock=FakeClock())
        with Loopback(Forwarder(transport, service=url, hosts=None)) as forwarder:
            yield forwarder


@SCHEMA.parametrize()
@BRIEF
def test_the_service_answers_as_the_document_says(case, proven_url):
    case.call_and_validate(base_url=proven_url, checks=PROMISES)


@SCHEMA.include(path_regex=r"^/v1/(vault/fetch|sessions/device|admin/usage)$").parametrize()
@settings(BRIEF, max_examples=4)
def test_so_it_does_through_the_channel_and_a_forwarder(case, forwarded_url):
    case.call_and_validate(base_url=forwarded_url, checks=PROMISES)


def test_the_document_says_how_long_values_are():
    schemas = openapi_document()["components"]["schemas"]
    account_id = schemas["DeviceSession"]["properties"]["account_id"]
    assert (account_id["minLength"], account_id["maxLength"]) == (24, 24)
    assert api.encode(api.DeviceProven(vault_id=bytes(16))) == b'{"vault_id":"AAAAAAAAAAAAAAAAAAAAAA=="}'
