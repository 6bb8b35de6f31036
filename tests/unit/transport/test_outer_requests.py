"""What is posted from outside a channel: its headers, its waits, and a guard's password where the address has one."""

from __future__ import annotations

import httpx2
import pytest

from strongroom.transport.outer import HEADERS, OuterRequests

INNER = httpx2.Request("GET", "https://store/", extensions={"timeout": httpx2.Timeout(3.0).as_dict()})


def test_a_post_has_our_headers_and_nothing_that_names_the_program() -> None:
    request = OuterRequests("https://store.example/base", 5.0).post("/path", b"content")
    assert (request.method, str(request.url)) == ("POST", "https://store.example/base/path")
    assert request.read() == b"content"
    assert dict(request.headers) == {**HEADERS, "host": "store.example", "content-length": "7"}


@pytest.mark.parametrize(("own", "expected"), [(5.0, 5.0), (None, 3.0)])
def test_the_own_timeout_goes_before_that_of_the_request_inside(own: float | None, expected: float) -> None:
    request = OuterRequests("http://store.example", own).message("/path", b"", INNER)
    assert request.extensions["timeout"]["read"] == expected


def test_a_password_in_the_address_is_shown_there_and_nowhere_else() -> None:
    requests = OuterRequests("https://me:open%20up@store.example", 5.0)
    assert requests.post("/path", b"").headers["authorization"] == "Basic bWU6b3BlbiB1cA=="
    assert "authorization" in requests.message("/path", b"", INNER).headers
    assert "authorization" not in requests.elsewhere("https://verifier.example/appraise", b"").headers
