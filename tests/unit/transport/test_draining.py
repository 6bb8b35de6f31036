"""Readiness and draining: what a load balancer asks, and where clients go while an instance is being stopped."""

from __future__ import annotations

import httpx2
import pytest

from attested import Enclave, client_of, new_platform
from store_client import FakeClock
from strongroom.base.errors import StorageUnavailable, StoreUnreachable
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import AttestedService
from strongroom.transport.paths import HEALTH_PATH, READY_PATH


@pytest.fixture
def enclave(tmp_path) -> Enclave:
    return Enclave(new_platform(tmp_path / "platform"))


def test_a_service_is_ready_while_its_probe_finds_nothing(enclave) -> None:
    broken: list[bool] = []

    def probe() -> None:
        if broken:
            raise StorageUnavailable("the database is away")

    service = AttestedService(
        None,  # type: ignore[arg-type]
        attester=enclave,
        endorsements=enclave,
        identities=enclave,
        clock=FakeClock(),
        probe=probe,
    )
    with Loopback(service) as url, httpx2.Client(trust_env=False) as http:
        assert http.get(url + READY_PATH).json() == {"status": "ready"}
        broken.append(True)
        answer = http.get(url + READY_PATH)
        assert (answer.status_code, answer.json()["error"]) == (503, "storage-unavailable")
        assert http.get(url + HEALTH_PATH).status_code == 200


def test_a_draining_service_sends_its_clients_elsewhere(enclave) -> None:
    service = enclave.service()
    with Loopback(service) as url, client_of(url, enclave.terms()) as (client, _):
        assert client.post("/", content=b"before").content == b"before"
        service.drain()
        with httpx2.Client(trust_env=False) as http:
            assert http.get(url + READY_PATH).status_code == 503
        # the channel is not known any more, and a new one is not made here
        with pytest.raises(StoreUnreachable, match="being stopped"):
            client.post("/", content=b"after")
