"""The simulated platform's counters: durable, each with a name of its own, and never silently made anew."""

from pathlib import Path

import pytest

from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.base.errors import AnchorUnavailable


def test_a_counter_is_there_after_a_restart(tmp_path: Path) -> None:
    first = SimulatedCounter.create(tmp_path)
    first.advance(0)
    again = SimulatedCounter.open(tmp_path, first.anchor_id)
    assert (again.anchor_id, again.read().value) == (first.anchor_id, 1)


def test_two_counters_do_not_move_each_other(tmp_path: Path) -> None:
    first, second = SimulatedCounter.create(tmp_path), SimulatedCounter.create(tmp_path)
    first.advance(0)
    assert second.read().value == 0
    assert first.anchor_id != second.anchor_id


def test_a_counter_that_was_taken_away_or_exchanged_fails(tmp_path: Path) -> None:
    counter, other = SimulatedCounter.create(tmp_path), SimulatedCounter.create(tmp_path)
    path = tmp_path / f"{counter.anchor_id.hex()}.counter"
    path.write_bytes((tmp_path / f"{other.anchor_id.hex()}.counter").read_bytes())
    with pytest.raises(AnchorUnavailable, match="taken away or replaced"):
        counter.advance(0)
    path.unlink()
    with pytest.raises(AnchorUnavailable, match="taken away or replaced"):
        counter.read()
    with pytest.raises(AnchorUnavailable, match="taken away or replaced"):
        SimulatedCounter.open(tmp_path, counter.anchor_id)


def test_a_damaged_counter_is_reported(tmp_path: Path) -> None:
    counter = SimulatedCounter.create(tmp_path)
    (tmp_path / f"{counter.anchor_id.hex()}.counter").write_bytes(b"short")
    with pytest.raises(AnchorUnavailable, match="holds no counter"):
        counter.read()


def test_a_directory_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AnchorUnavailable, match="cannot be locked"):
        SimulatedCounter.create(tmp_path / "nowhere")
