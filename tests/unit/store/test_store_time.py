"""The store's own time: only what has certainly passed counts, and no interval counts twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strongroom.store.store_time import Moment, StoreTime, passed_ms


def moment(monotonic: int, anchor: int | None = None) -> Moment:
    return Moment(monotonic_ms=monotonic, anchor_ms=anchor)


def test_the_slower_clock_counts() -> None:
    assert passed_ms(moment(0, 0), moment(1000, 10)) == 10
    assert passed_ms(moment(0, 0), moment(10, 1000)) == 10


def test_a_clock_that_goes_back_grants_nothing() -> None:
    assert passed_ms(moment(1000), moment(0)) == 0


def test_an_anchor_that_was_restarted_grants_what_it_has_run_since() -> None:
    assert passed_ms(moment(0, 5000), moment(9000, 30)) == 30


def test_an_anchor_that_has_lost_its_clock_grants_nothing() -> None:
    assert passed_ms(moment(0, 5000), moment(9000)) == 0


def test_a_new_process_begins_with_the_kept_time() -> None:
    time = StoreTime()
    assert time.now(5000, moment(10**9)) == 5000
    assert time.now(5000, moment(10**9 + 300)) == 5300


def test_what_another_instance_has_added_is_not_added_again() -> None:
    time = StoreTime()
    time.now(0, moment(0))
    assert time.now(900, moment(1000)) == 1000
    assert time.now(5000, moment(1100)) == 5000
    assert time.now(5000, moment(1200)) == 5100


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 500)), max_size=60))
def test_two_instances_over_one_state_never_make_more_time_than_passes(steps: list[tuple[bool, int]]) -> None:
    clocks = {False: StoreTime(), True: StoreTime()}
    kept, real = 0, 0
    for clock in clocks.values():
        clock.now(kept, moment(real))
    for which, pause in steps:
        real += pause
        kept = clocks[which].now(kept, moment(real))
        assert kept <= real
    assert kept == (real if steps else 0)
