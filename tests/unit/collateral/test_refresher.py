from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from collateral_sets import ANCHORS, KIND, HandClock, ScriptedSource, checked, generated, unavailable
from strongroom.base.errors import CollateralUnavailable, MalformedCollateral
from strongroom.collateral.refresher import Refresher
from strongroom.formats.collateral import Collateral
from strongroom.testing.intel_pki import AT

OLD = checked(generated())
NEW = checked(generated(number=19, days=1, pck_crl=2, root_crl=2))
DAY = timedelta(days=1)


def refresher(source: object, clock: HandClock | None = None, **settings: object) -> Refresher:
    settings = {"random": lambda: 0.0, "anchors": ANCHORS, **settings}
    return Refresher(source, KIND, clock or HandClock(), **settings)  # type: ignore[arg-type]


def number(data: bytes) -> int:
    return checked(Collateral.from_json(data)).tcb_info.number


def test_nothing_is_given_before_something_was_fetched() -> None:
    held = refresher(ScriptedSource(OLD))
    with pytest.raises(CollateralUnavailable, match="has not been fetched yet") as refused:
        held.collateral(AT)
    assert refused.value.retry_after_seconds == 60.0


def test_the_set_is_given_as_json() -> None:
    held = refresher(ScriptedSource(OLD))
    held.refresh()
    assert held.collateral(AT) == OLD.collateral.to_json()


def test_the_last_good_set_is_given_until_it_expires() -> None:
    clock = HandClock()
    held = refresher(ScriptedSource(OLD, unavailable(30.0)), clock)
    held.refresh()
    clock.advance(20 * DAY)
    with pytest.raises(CollateralUnavailable):
        held.refresh()
    assert number(held.collateral(clock.now())) == 18
    clock.advance(20 * DAY)
    with pytest.raises(CollateralUnavailable, match="expired at") as refused:
        held.collateral(clock.now())
    assert refused.value.retry_after_seconds == 30.0


def test_a_newer_set_takes_over_and_an_older_does_not() -> None:
    held = refresher(ScriptedSource(OLD, NEW, OLD))
    for expected in (18, 19, 19):
        held.refresh()
        assert number(held.collateral(AT)) == expected


def test_a_source_that_only_has_an_older_set_is_refused_once_the_newer_expired() -> None:
    clock = HandClock()
    newest_but_short = checked(generated(number=19, days=-10))
    held = refresher(ScriptedSource(newest_but_short, OLD), clock)
    held.refresh()
    clock.advance(25 * DAY)
    with pytest.raises(CollateralUnavailable, match="goes backwards"):
        held.refresh()
    with pytest.raises(CollateralUnavailable):
        held.collateral(clock.now())


def test_the_status_tells_age_and_failures() -> None:
    clock = HandClock()
    held = refresher(ScriptedSource(OLD, unavailable(), unavailable(), OLD), clock)
    assert held.status().age is None
    assert held.status().expires_at is None
    held.refresh()
    clock.advance(timedelta(hours=3))
    for failures in (1, 2):
        with pytest.raises(CollateralUnavailable):
            held.refresh()
        assert held.status().failures == failures
    status = held.status()
    assert status.age == timedelta(hours=3)
    assert status.expires_at == OLD.expires_at
    assert status.tcb_evaluation_data_number == 18
    assert "away" in status.last_failure
    held.refresh()
    assert (held.status().age, held.status().failures, held.status().last_failure) == (timedelta(0), 0, "")


def test_malformed_answers_are_failures_too() -> None:
    held = refresher(ScriptedSource(MalformedCollateral("not JSON")))
    with pytest.raises(MalformedCollateral):
        held.refresh()
    assert held.status().failures == 1


def test_the_fallback_is_asked_when_nothing_was_ever_fetched() -> None:
    fallback = ScriptedSource(OLD)
    held = refresher(ScriptedSource(unavailable(), NEW, unavailable()), fallback=fallback)
    with pytest.raises(CollateralUnavailable):
        held.refresh()
    assert number(held.collateral(AT)) == 18
    assert held.status().failures == 1
    held.refresh()
    assert number(held.collateral(AT)) == 19
    with pytest.raises(CollateralUnavailable):
        held.refresh()
    assert fallback.asked == 1


def test_delays() -> None:
    clock = HandClock()
    held = refresher(ScriptedSource(OLD, unavailable()), clock, interval=timedelta(hours=6))
    held.refresh()
    assert held.next_delay() == 6 * 3600
    clock.advance(OLD.expires_at - clock.now() - timedelta(hours=2))
    assert held.next_delay() == 3600  # half of what is left
    clock.advance(timedelta(hours=3))
    assert held.next_delay() == 60
    delays = []
    for _ in range(12):
        with pytest.raises(CollateralUnavailable):
            held.refresh()
        delays.append(held.next_delay())
    assert delays[:5] == [60, 120, 240, 480, 960]
    assert delays[-1] == 6 * 3600


def test_chance_makes_delays_shorter_but_never_a_wish_to_be_left_alone() -> None:
    held = refresher(ScriptedSource(OLD, unavailable(1000.0)), random=lambda: 1.0)
    held.refresh()
    assert held.next_delay() == 6 * 3600 * 0.75
    with pytest.raises(CollateralUnavailable):
        held.refresh()
    assert held.next_delay() == 1250


class SlowSource(ScriptedSource):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__(OLD)
        self.entered, self.let = threading.Event(), threading.Event()

    def collateral(self, kind: object, at: object) -> object:  # type: ignore[override]
        self.entered.set()
        assert self.let.wait(10)
        return super().collateral(kind, at)  # type: ignore[arg-type]


def test_a_request_never_waits_for_the_source() -> None:
    source = SlowSource()
    with refresher(source) as held:
        assert source.entered.wait(10)
        with pytest.raises(CollateralUnavailable):
            held.collateral(AT)
        source.let.set()
        for _ in range(1000):
            if held.status().age is not None:
                break
            threading.Event().wait(0.01)
        assert number(held.collateral(AT)) == 18


def test_the_thread_outlives_what_a_source_does() -> None:
    source = ScriptedSource(ZeroDivisionError("a mistake"))
    with refresher(source) as held:
        for _ in range(1000):
            if held.status().failures:
                break
            threading.Event().wait(0.01)
        assert held.status().last_failure == "unexpected: ZeroDivisionError"
        with pytest.raises(CollateralUnavailable, match="unexpected: ZeroDivisionError"):
            held.collateral(AT)


def test_it_starts_once_and_stops() -> None:
    held = refresher(ScriptedSource(OLD))
    held.start()
    with pytest.raises(RuntimeError):
        held.start()
    held.close()
    (thread,) = [item for item in threading.enumerate() if item is held._thread] or [None]
    if thread is not None:
        thread.join(10)
        assert not thread.is_alive()


def test_a_request_that_finds_the_set_expired_wakes_the_thread() -> None:
    clock = HandClock()
    later = checked(generated(number=19, days=60))
    with refresher(ScriptedSource(OLD, later), clock) as held:
        for _ in range(1000):
            if held.status().age is not None:
                break
            threading.Event().wait(0.01)
        clock.advance(60 * DAY)
        for _ in range(1000):
            try:
                given = held.collateral(clock.now())
                break
            except CollateralUnavailable:
                threading.Event().wait(0.01)
        else:
            pytest.fail("it was never fetched again")
    assert number(given) == 19
