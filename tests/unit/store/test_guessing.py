"""The decisions about guesses: what is answered, what has to wait, and what comes back when."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import Malformed
from strongroom.store.guessing import (
    NAME_BYTES,
    STANDARD_LIMITS,
    Allowed,
    GuessLimits,
    GuessState,
    Limit,
    Refused,
    attempt,
    exhausted,
    give_back,
    moved_on,
)

A, B = b"a" * NAME_BYTES, b"b" * NAME_BYTES
LIMITS = GuessLimits(name=Limit(burst=3, interval_ms=100), overall=Limit(burst=5, interval_ms=10))


def spend(state: GuessState, name: bytes, times: int) -> GuessState:
    for _ in range(times):
        outcome = attempt(state, name, LIMITS)
        assert isinstance(outcome, Allowed)
        state = outcome.state
    return state


def test_a_name_has_its_burst_and_then_waits_for_one_interval() -> None:
    state = spend(GuessState(), A, 3)
    assert attempt(state, A, LIMITS) == Refused(retry_after_ms=100)
    assert attempt(moved_on(state, 99), A, LIMITS) == Refused(retry_after_ms=1)
    state = spend(moved_on(state, 100), A, 1)
    assert attempt(state, A, LIMITS) == Refused(retry_after_ms=100)


def test_a_refusal_changes_nothing() -> None:
    state = spend(GuessState(), A, 3)
    for _ in range(50):
        attempt(state, A, LIMITS)
    assert isinstance(attempt(moved_on(state, 100), A, LIMITS), Allowed)


def test_one_name_does_not_wait_for_another() -> None:
    assert isinstance(attempt(spend(GuessState(), A, 3), B, LIMITS), Allowed)


def test_all_names_together_have_a_limit() -> None:
    state = GuessState()
    for number in range(5):
        state = spend(state, bytes([number]) * NAME_BYTES, 1)
    assert attempt(state, A, LIMITS) == Refused(retry_after_ms=10)
    assert isinstance(attempt(moved_on(state, 10), A, LIMITS), Allowed)


def test_what_is_given_back_can_be_used_again_and_is_no_more_than_was_taken() -> None:
    state = give_back(spend(GuessState(), A, 3), A, LIMITS)
    state = spend(state, A, 1)
    assert isinstance(attempt(state, A, LIMITS), Refused)
    assert give_back(give_back(spend(GuessState(), A, 1), A, LIMITS), A, LIMITS) == GuessState()


def test_nothing_comes_back_into_an_exhausted_state() -> None:
    state = give_back(exhausted(GuessState(time_ms=7), LIMITS), A, LIMITS)
    assert isinstance(attempt(state, A, LIMITS), Refused)


def test_an_exhausted_state_gives_nobody_anything_before_an_interval_has_passed() -> None:
    state = exhausted(spend(GuessState(time_ms=1000), B, 1), LIMITS)
    assert attempt(moved_on(state, 1050), A, LIMITS) == Refused(retry_after_ms=50)
    later = moved_on(state, 1100)
    assert isinstance(attempt(later, A, LIMITS), Allowed)
    assert isinstance(attempt(spend(later, A, 1), A, LIMITS), Refused)


def test_time_does_not_go_back() -> None:
    state = GuessState(time_ms=500)
    assert moved_on(state, 100).time_ms == 500


def test_settled_lines_are_dropped() -> None:
    state = spend(GuessState(), A, 1)
    assert moved_on(state, 99).due
    assert not moved_on(state, 100).due


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 250)), max_size=80),
    st.booleans(),
)
def test_however_attempts_are_timed_a_name_never_gets_more_than_its_rate(
    steps: list[tuple[int, int]], begins_exhausted: bool
) -> None:
    limits = GuessLimits(name=LIMITS.name, overall=Limit(burst=1000, interval_ms=1))
    state = exhausted(GuessState(), limits) if begins_exhausted else GuessState()
    answered = [0, 0, 0]
    for who, pause in steps:
        state = moved_on(state, state.time_ms + pause)
        outcome = attempt(state, bytes([who]) * NAME_BYTES, limits)
        if isinstance(outcome, Allowed):
            state, answered[who] = outcome.state, answered[who] + 1
        in_hand = 0 if begins_exhausted else limits.name.burst
        assert answered[who] <= in_hand + state.time_ms // limits.name.interval_ms


states = st.builds(
    GuessState,
    time_ms=st.integers(0, 2**60),
    floor_ms=st.integers(0, 2**60),
    overall_due_ms=st.integers(0, 2**60),
    due=st.dictionaries(st.binary(min_size=NAME_BYTES, max_size=NAME_BYTES), st.integers(0, 2**60), max_size=20),
)


@given(states)
def test_a_state_is_read_as_it_was_written(state: GuessState) -> None:
    assert GuessState.from_bytes(state.to_bytes()) == state


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert GuessState.from_bytes(data).to_bytes() == data


def test_doubled_or_unordered_lines_are_malformed() -> None:
    good = GuessState(due={A: 5, B: 6}).to_bytes()
    lines = A + (5).to_bytes(8, "big"), B + (6).to_bytes(8, "big")
    assert b"".join(lines) in good
    for bad in (lines[1] + lines[0], lines[0] + lines[0]):
        with pytest.raises(Malformed, match="out of order or doubled"):
            GuessState.from_bytes(good.replace(b"".join(lines), bad))


def test_a_name_of_another_length_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        attempt(GuessState(), b"short", STANDARD_LIMITS)
