"""What every counter outside the database does, whatever keeps it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

from memory_anchor import MemoryAnchor
from quorum_group import Group
from software_tpm import software_tpm
from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.attesters.tpm import TpmCounter
from strongroom.base.errors import AnchorMoved
from strongroom.store.freshness import ANCHOR_ID_BYTES, FreshnessAnchor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


@contextmanager
def tpm_counter(directory: Path) -> Iterator[FreshnessAnchor]:
    with software_tpm(directory) as tpm:
        counter = TpmCounter.create(tpm.socket)
        yield counter
        counter.close()


ADAPTERS: dict[str, Callable[[Path], AbstractContextManager[FreshnessAnchor]]] = {
    "memory": lambda _: nullcontext(MemoryAnchor()),
    "tpm": tpm_counter,
    "quorum": lambda _: nullcontext(Group().anchor),
    "simulated": lambda directory: nullcontext(SimulatedCounter.create(directory)),
}
"""Each gives a counter that nobody has advanced yet, for as long as the block lasts."""


@pytest.fixture(params=ADAPTERS)
def anchor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshnessAnchor]:
    with ADAPTERS[request.param](tmp_path) as opened:
        yield opened


def test_it_has_a_name_that_stays(anchor: FreshnessAnchor) -> None:
    name = anchor.anchor_id
    assert len(name) == ANCHOR_ID_BYTES
    anchor.advance(anchor.read().value)
    assert anchor.anchor_id == name


def test_reading_moves_nothing(anchor: FreshnessAnchor) -> None:
    assert anchor.read().value == anchor.read().value


def test_it_advances_by_one_and_gives_the_new_value(anchor: FreshnessAnchor) -> None:
    start = anchor.read().value
    assert [anchor.advance(start + step).value for step in range(3)] == [start + 1, start + 2, start + 3]
    assert anchor.read().value == start + 3


@pytest.mark.parametrize("away", [-1, 1])
def test_whoever_expects_another_value_is_refused(anchor: FreshnessAnchor, away: int) -> None:
    anchor.advance(anchor.read().value)
    value = anchor.read().value
    with pytest.raises(AnchorMoved):
        anchor.advance(value + away)
    assert anchor.read().value >= value


def test_of_several_who_expect_one_value_at_most_one_succeeds(anchor: FreshnessAnchor) -> None:
    start = anchor.read().value

    def attempt(_: int) -> int:
        try:
            anchor.advance(start)
        except AnchorMoved:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(8))) <= 1
    assert anchor.read().value > start


def test_its_clock_if_it_has_one_does_not_go_back(anchor: FreshnessAnchor) -> None:
    first, second = anchor.read().elapsed_ms, anchor.read().elapsed_ms
    assert (first is None) == (second is None)
    assert first is None or second is None or 0 <= first <= second
