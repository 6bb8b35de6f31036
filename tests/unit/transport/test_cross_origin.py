"""Which pages a browser lets talk to a service: those listed, and none by default."""

from __future__ import annotations

import httpx2
import pytest

from attested import Enclave, new_platform
from strongroom.base.errors import Misconfigured
from strongroom.channel.client import ClientExchange
from strongroom.testing.loopback import Loopback
from strongroom.transport.cross_origin import cross_origin
from strongroom.transport.paths import CONTENT_TYPE, EXCHANGE_PATH

PAGE = "https://app.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


@pytest.fixture(scope="module")
def enclave(tmp_path_factory) -> Enclave:
    return Enclave(new_platform(tmp_path_factory.mktemp("platform") / "state"))


def asked(enclave: Enclave, origins: list[str], origin: str) -> tuple[httpx2.Response, httpx2.Response]:
    """Ask as a browser does for a page of ``origin``: a preflight, then the hello."""
    with Loopback(cross_origin(enclave.service(), origins)) as url, httpx2.Client(trust_env=False) as http:
        return (
            http.options(url + EXCHANGE_PATH, headers={"origin": origin, **PREFLIGHT}),
            http.post(
                url + EXCHANGE_PATH,
                content=ClientExchange(enclave.terms()).hello,
                headers={"origin": origin, "content-type": CONTENT_TYPE},
            ),
        )


def test_a_listed_page_may(enclave) -> None:
    preflight, answer = asked(enclave, ["https://other.example", PAGE], PAGE)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origins", [[], ["https://other.example"], ["https://app.example:8443"], ["http://app.example"]]
)
def test_another_page_may_not(enclave, origins: list[str]) -> None:
    preflight, answer = asked(enclave, origins, PAGE)
    assert preflight.status_code >= 400
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers
    assert answer.status_code == 200, "the browser keeps it from the page"


def test_none_changes_nothing(enclave) -> None:
    service = enclave.service()
    assert cross_origin(service, []) is service


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example", "https://app.example/", "https://", "ftp://app.example"]
)
def test_what_is_no_origin_is_misconfigured(enclave, origin: str) -> None:
    with pytest.raises(Misconfigured):
        cross_origin(enclave.service(), [origin])
