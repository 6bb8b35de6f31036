"""The simulated platform's counters: durable, one for each name, and never silently made anew."""

from pathlib import Path

import pytest

from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.base.errors import AnchorUnavailable


def test_a_counter_is_there_after_a_restart(tmp_path: Path) -> None:
    first = SimulatedCounter.open(tmp_path, "a")
    first.advance(0)
    again = SimulatedCounter.open(tmp_path, "a")
    assert (again.anchor_id, again.read().value) == (first.anchor_id, 1)


def test_two_names_are_two_counters(tmp_path: Path) -> None:
    first, second = SimulatedCounter.open(tmp_path, "a"), SimulatedCounter.open(tmp_path, "b")
    first.advance(0)
    assert second.read().value == 0
    assert first.anchor_id != second.anchor_id


def test_a_counter_that_was_taken_away_fails_and_a_new_one_has_another_name(tmp_path: Path) -> None:
    counter = SimulatedCounter.open(tmp_path, "a")
    (tmp_path / "a.counter").unlink()
    with pytest.raises(AnchorUnavailable, match="taken away or replaced"):
        counter.read()
    new = SimulatedCounter.open(tmp_path, "a")
    assert new.anchor_id != counter.anchor_id
    with pytest.raises(AnchorUnavailable, match="taken away or replaced"):
        counter.advance(0)


def test_a_damaged_counter_is_reported(tmp_path: Path) -> None:
    counter = SimulatedCounter.open(tmp_path, "a")
    (tmp_path / "a.counter").write_bytes(b"short")
    with pytest.raises(AnchorUnavailable, match="holds no counter"):
        counter.read()


def test_a_directory_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AnchorUnavailable, match="cannot be locked"):
        SimulatedCounter.open(tmp_path / "nowhere", "a")
