"""How a client's channels follow one another: resumed, renewed before they end, and without a request lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from attested import AT, Counting, Enclave, body_of, client_of, findings_of, new_platform, policy
from store_client import FakeClock
from strongroom.base.errors import AppraisalRefused, StoreUnreachable
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH
from strongroom.transport.client import AttestedTransport
from strongroom.transport.table import ChannelLimits

RENEW = 1500.1  # seconds


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


class World:
    """A service and a client, each with its clock, that go forward together."""

    def __init__(self, enclave: Enclave, url: str, counting: Counting, client, transport: AttestedTransport) -> None:
        self.enclave = enclave
        self.url = url
        self.counting = counting
        self.client = client
        self.transport = transport
        self.clock = FakeClock()
        self.service_clock = FakeClock()

    def wait(self, seconds: float) -> None:
        for clock in (self.clock, self.service_clock):
            clock.seconds += seconds
            clock.instant += timedelta(seconds=seconds)

    def visit(self) -> list[str]:
        """Make a request; gives the paths that it took."""
        before = len(self.counting.arrived)
        assert self.client.get("/count").status_code == 200
        return self.counting.paths[before:]


@contextmanager
def world(enclave: Enclave, *, limits: ChannelLimits | None = None, **terms) -> Iterator[World]:
    clock, service_clock = FakeClock(), FakeClock()
    counting = Counting(enclave.service(clock=service_clock, limits=limits))
    with (
        Loopback(counting) as url,
        client_of(url, enclave.terms(**terms), clock=clock) as (client, transport),
    ):
        made = World(enclave, url, counting, client, transport)
        made.clock, made.service_clock = clock, service_clock
        yield made


# resumption


def test_a_channel_is_renewed_without_a_quote_and_shows_its_verdicts_age(enclave) -> None:
    with world(enclave) as w:
        assert w.visit() == [EXCHANGE_PATH, MESSAGE_PATH]
        first = w.transport.peer()
        w.wait(600)
        assert w.visit() == [MESSAGE_PATH]
        w.wait(1000)
        assert w.visit() == [KEYED_PATH, MESSAGE_PATH]
        second = w.transport.peer()
        assert second == replace(first, session=second.session, resumed=True)
        assert second.age(w.clock.now()) == timedelta(seconds=1600)
        w.wait(1600)
        assert w.visit() == [KEYED_PATH, MESSAGE_PATH]
        assert w.transport.peer().age(w.clock.now()) == timedelta(seconds=3200)
        assert enclave.quotes == 1


def test_a_channel_that_idled_too_long_for_the_service_is_resumed(enclave) -> None:
    with world(enclave) as w:
        w.visit()
        w.wait(1000)
        assert w.visit() == [MESSAGE_PATH, KEYED_PATH, MESSAGE_PATH]
        assert enclave.quotes == 1


def test_a_session_that_was_never_used_is_not_kept_and_not_resumed(enclave) -> None:
    with world(enclave) as w:
        w.transport.peer()
        w.wait(RENEW)
        assert w.visit() == [KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]


def test_a_session_is_resumed_until_the_terms_say_no_more_and_never_past_the_verdicts_end(enclave) -> None:
    with world(enclave, max_resumed_age=timedelta(hours=1)) as w:
        taken = []
        for _ in range(6):
            taken.append(w.visit()[0])
            w.wait(RENEW)
        assert taken == [EXCHANGE_PATH, KEYED_PATH, KEYED_PATH, EXCHANGE_PATH, KEYED_PATH, KEYED_PATH]
    with world(enclave, max_resumed_age=timedelta(days=9)) as w:
        w.visit()
        ends = w.transport.peer().expires_at_ms
        while w.clock.now().timestamp() * 1000 < ends:
            w.wait(RENEW)
            w.visit()
            assert w.transport.peer().expires_at_ms > w.clock.now().timestamp() * 1000
        assert enclave.quotes > 1
        assert not w.transport.peer().resumed or w.transport.peer().attested_at_ms > AT.timestamp() * 1000


def test_a_resumed_channel_ends_when_its_verdict_gets_too_old(enclave) -> None:
    with world(enclave, max_resumed_age=timedelta(seconds=2000)) as w:
        w.visit()
        w.wait(RENEW)
        assert w.visit()[0] == KEYED_PATH
        w.wait(500)
        assert w.visit()[0] == EXCHANGE_PATH


def test_terms_that_resume_nothing_and_a_service_that_resumes_nothing(enclave) -> None:
    with world(enclave, max_resumed_age=timedelta(0)) as w:
        w.visit()
        w.wait(RENEW)
        assert w.visit() == [EXCHANGE_PATH, MESSAGE_PATH]
    with world(enclave, limits=ChannelLimits(max_resumptions=0)) as w:
        w.visit()
        w.wait(RENEW)
        assert w.visit() == [KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]


def test_with_new_collateral_a_service_resumes_nothing_so_no_revocation_is_passed_over(tmp_path) -> None:
    enclave = Enclave(new_platform(tmp_path / "platform"))
    with world(enclave) as w:
        w.visit()
        enclave.platform = new_platform(tmp_path / "platform", pck_revoked=True)
        w.wait(RENEW)
        with pytest.raises(AppraisalRefused) as refused:
            w.client.get("/")
        assert [check for check, _ in findings_of(refused.value)] == ["revocation"]
        with pytest.raises(AppraisalRefused):
            w.client.get("/")


def test_after_an_epoch_change_a_session_is_not_resumed(enclave) -> None:
    with world(enclave) as w:
        w.visit()
        enclave.epoch = 2
        w.wait(RENEW)
        assert w.visit() == [KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]
        assert w.transport.peer().epoch == 2


def test_a_service_that_knows_nothing_of_resumption_is_attested_again(enclave) -> None:
    with world(enclave) as w:
        service = w.counting._application

        async def old(scope, receive, send) -> None:
            if scope.get("path") == KEYED_PATH:
                await body_of(receive)
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b'{"error":"not-found"}'})
                return
            await service(scope, receive, send)

        w.counting._application = old
        w.visit()
        w.wait(RENEW)
        assert w.visit() == [KEYED_PATH, EXCHANGE_PATH, MESSAGE_PATH]


def test_the_state_of_a_channel_is_not_resumed_with_it(enclave) -> None:
    with world(enclave) as w:
        assert [w.client.get("/count").text for _ in range(3)] == ["1", "2", "3"]
        w.wait(RENEW)
        assert w.client.get("/count").text == "1"


# renewal


def test_requests_on_the_old_channel_finish_while_a_new_one_is_made(enclave) -> None:
    inside, go_on = threading.Event(), threading.Event()

    async def slow(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        if body == b"slow":
            inside.set()
            await asyncio.to_thread(go_on.wait, 10)
        session = scope["extensions"]["strongroom"]["session"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": session})

    clock = FakeClock()
    with (
        Loopback(enclave.service(slow)) as url,
        client_of(url, enclave.terms(), clock=clock) as (client, transport),
        ThreadPoolExecutor(1) as pool,
    ):
        old = client.post("/", content=b"").content
        waiting = pool.submit(lambda: client.post("/", content=b"slow").content)
        assert inside.wait(5)
        clock.seconds = RENEW
        new = client.post("/", content=b"").content
        assert new != old
        assert transport.peer().session == new
        go_on.set()
        assert waiting.result(5) == old


def test_while_one_renews_the_others_go_on_with_what_they_have(enclave) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    class Holding(httpx2.BaseTransport):
        def __init__(self) -> None:
            self.inner = httpx2.HTTPTransport(trust_env=False)
            self.hold = False

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            if self.hold and request.url.path == KEYED_PATH:
                arrived.set()
                go_on.wait(10)
            return self.inner.handle_request(request)

        def close(self) -> None:
            self.inner.close()

    clock, outer = FakeClock(), Holding()
    with (
        Loopback(enclave.service()) as url,
        client_of(url, enclave.terms(), clock=clock, outer=outer) as (client, _),
        ThreadPoolExecutor(1) as pool,
    ):
        assert client.get("/count").text == "1"
        clock.seconds, outer.hold = RENEW, True
        renewing = pool.submit(lambda: client.get("/count").text)
        assert arrived.wait(5)
        assert [client.get("/count").text for _ in range(3)] == ["2", "3", "4"]
        go_on.set()
        assert renewing.result(5) == "1"
        assert client.get("/count").text == "2"


def test_many_threads_lose_no_request_over_many_renewals(enclave) -> None:
    clock = FakeClock()
    sessions: set[str] = set()
    with Loopback(enclave.service()) as url, client_of(url, enclave.terms(), clock=clock) as (client, _):

        def ask(number: int) -> bool:
            if number % 25 == 0:
                clock.seconds += RENEW
            answer = client.post("/x", content=b"%d" % number)
            sessions.add(answer.headers["x-session"])
            return answer.content == b"%d" % number

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(300)))
    assert 4 <= len(sessions) <= 13
    assert enclave.quotes <= 3


class Flaky(httpx2.BaseTransport):
    """Loses whatever goes to some paths."""

    def __init__(self) -> None:
        self.inner = httpx2.HTTPTransport(trust_env=False)
        self.lost: set[str] = set()
        self.tried: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.tried.append(request.url.path)
        if request.url.path in self.lost:
            raise httpx2.ConnectError("lost", request=request)
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


def test_a_renewal_that_finds_nobody_leaves_the_old_channel_in_use_for_as_long_as_it_is_good(enclave) -> None:
    clock, outer = FakeClock(), Flaky()
    with (
        Loopback(enclave.service()) as url,
        client_of(url, enclave.terms(), clock=clock, outer=outer) as (client, _),
    ):
        assert client.get("/count").text == "1"
        outer.lost = {KEYED_PATH, EXCHANGE_PATH}
        clock.seconds = RENEW
        assert client.get("/count").text == "2"
        outer.tried.clear()
        assert client.get("/count").text == "3"
        assert outer.tried == [MESSAGE_PATH], "it is not tried again at once"
        clock.seconds += 11
        assert client.get("/count").text == "4"
        assert outer.tried[1:] == [EXCHANGE_PATH, MESSAGE_PATH], "the ticket was spent at the first attempt"
        clock.seconds = 1800.1
        with pytest.raises(StoreUnreachable):
            client.get("/count")
        outer.lost = set()
        assert client.get("/count").text == "1"


def test_a_refusal_at_a_renewal_ends_the_old_channel_too(enclave, platform) -> None:
    clock = FakeClock()
    with Loopback(enclave.service()) as url, client_of(url, enclave.terms(), clock=clock) as (client, transport):
        client.get("/")
        opener = transport._keeper._opener
        opener.terms = replace(opener.terms, policy=policy(platform, mr_enclaves=frozenset()))
        clock.seconds = RENEW
        for _ in range(2):
            with pytest.raises(AppraisalRefused) as refused:
                client.get("/")
            assert findings_of(refused.value) == [("measurement", "appraisal 8.3")]


def test_close_to_the_verdicts_end_a_channel_is_renewed_by_an_exchange_and_not_at_every_request(enclave) -> None:
    with world(enclave) as w:
        w.visit()
        w.wait(22 * 3600)
        w.visit()
        ends = w.transport.peer().expires_at_ms
        w.clock.instant += timedelta(milliseconds=ends - w.clock.instant.timestamp() * 1000 - 240_000)
        w.wait(70)
        assert EXCHANGE_PATH in w.visit()
        assert w.visit() == [MESSAGE_PATH]
