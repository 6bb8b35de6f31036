"""Each message number is accepted once, within a window of constant size."""

from hypothesis import given
from hypothesis import strategies as st

from strongroom.channel.replay import WINDOW, ReplayWindow


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=200))
def test_a_number_is_accepted_once_and_never_when_too_old(numbers: list[int]) -> None:
    window, seen = ReplayWindow(), set()
    for number in numbers:
        newest = max(seen, default=-1)
        expected = number not in seen and number > newest - WINDOW
        assert window.may_accept(number) == expected
        if expected:
            window.accept(number)
            seen.add(number)


def test_a_leap_to_the_greatest_number_takes_no_more_memory() -> None:
    window = ReplayWindow()
    window.accept(5)
    window.accept((1 << 64) - 1)
    assert not window.may_accept(5)
    assert not window.may_accept((1 << 64) - 1)
    assert window.may_accept((1 << 64) - 2)
    assert window._seen.bit_length() <= WINDOW
