"""The gate before every guess: counted before it is answered, whatever the host does to process, disk and clock."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from memory_anchor import MemoryAnchor
from store_client import FakeClock, FakeSealer
from strongroom.base.errors import (
    AnchorUnavailable,
    Conflict,
    Misconfigured,
    StorageUnavailable,
    StrongroomError,
    TooManyGuesses,
)
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store import guess_gate
from strongroom.store.deployment import Deployment
from strongroom.store.guess_gate import AnchoredGuesses, GuessGate, open_guesses
from strongroom.store.guessing import NAME_BYTES, GuessLimits, Limit
from strongroom.store.ports import Table
from strongroom.testing.failing_storage import FailingRecordStore, Fault

VICTIM, OTHER = b"v" * NAME_BYTES, b"o" * NAME_BYTES
LIMITS = GuessLimits(name=Limit(burst=3, interval_ms=60_000), overall=Limit(burst=1000, interval_ms=10))


@dataclass
class World:
    """A deployment, its counter, and a host that starts it as often as it likes."""

    anchor: MemoryAnchor | None = field(default_factory=MemoryAnchor)
    disk: MemoryRecordStore = field(default_factory=MemoryRecordStore)

    def __post_init__(self) -> None:
        Deployment.create(self.disk, FakeSealer(), anchor=self.anchor)

    def start(self, clock: FakeClock | None = None, storage: Any = None) -> GuessGate:
        deployment = Deployment.open(self.disk, FakeSealer())
        storage = storage or self.disk
        return open_guesses(storage, deployment.rows, deployment.keys, clock or FakeClock(), self.anchor, limits=LIMITS)

    def copy(self) -> dict[Any, Any]:
        return dict(self.disk._rows)

    def put_back(self, copy: dict[Any, Any]) -> None:
        self.disk._rows = dict(copy)


def tried(gate: GuessGate, name: bytes = VICTIM) -> bool:
    """Try once; whether it was answered."""
    try:
        gate.admit(name, lambda _: None)
    except TooManyGuesses:
        return False
    return True


def answered(gate: GuessGate, name: bytes = VICTIM, times: int = 10) -> int:
    return sum(tried(gate, name) for _ in range(times))


def test_the_burst_is_answered_and_no_more() -> None:
    gate = World().start()
    assert answered(gate) == 3
    with pytest.raises(TooManyGuesses) as refusal:
        gate.admit(VICTIM, lambda _: None)
    assert refusal.value.retry_after_seconds == 60
    assert "1 minute;" in refusal.value.hint


def test_time_of_a_running_process_brings_attempts_back() -> None:
    clock = FakeClock()
    gate = World().start(clock)
    answered(gate)
    clock.seconds = 59.9
    assert not tried(gate)
    clock.seconds = 60.0
    assert answered(gate) == 1


def test_a_restart_gives_nothing_back() -> None:
    world = World()
    answered(world.start())
    assert not tried(world.start(FakeClock(seconds=1e9)))


def test_dates_are_not_looked_at() -> None:
    world, clock = World(), FakeClock()
    gate = world.start(clock)
    answered(gate)
    for year in (1970, 2099):
        clock.instant = clock.instant.replace(year=year)
        assert not tried(gate)
        assert not tried(world.start(clock))


def test_an_older_database_leaves_nobody_anything() -> None:
    world = World()
    before = world.copy()
    answered(world.start())
    world.put_back(before)
    clock = FakeClock()
    gate = world.start(clock)
    assert not tried(gate)
    assert not tried(gate, OTHER)
    clock.seconds = 60
    assert answered(gate) == 1


def test_a_row_taken_out_leaves_nobody_anything() -> None:
    world = World()
    for key in [key for key in world.disk._rows if key[0] == Table.GUESSES]:
        del world.disk._rows[key]
    assert not tried(world.start())


def test_putting_back_again_and_again_wins_nothing() -> None:
    world = World()
    before = world.copy()
    total = 0
    for _ in range(20):
        total += answered(world.start(), times=4)
        world.put_back(before)
    assert total == 3


def test_the_first_state_is_an_older_one_after_the_first_attempt() -> None:
    world = World()
    first = world.copy()
    assert tried(world.start(), OTHER)
    world.put_back(first)
    assert not tried(world.start())


def test_a_clone_that_runs_on_an_older_copy_answers_nothing_more() -> None:
    world = World()
    before = world.copy()
    first = world.start()
    assert answered(first) == 3
    clone_disk = MemoryRecordStore()
    clone_disk._rows = before
    clone = world.start(storage=clone_disk)
    assert answered(clone) == 0
    assert not tried(first)  # and it pays for it: the counter has moved without it


def test_two_states_for_one_value_of_the_counter_are_not_exchanged() -> None:
    """A state that counts a decoy is put away before the counter moves, and put back after a victim was guessed."""
    world = World()
    before = world.copy()
    gate = world.start()
    advance, world.anchor.advance = world.anchor.advance, _killed  # type: ignore[union-attr, method-assign, assignment]
    with pytest.raises(_Killed):
        gate.admit(OTHER, lambda _: None)
    decoy = world.copy()
    world.anchor.advance = advance  # type: ignore[union-attr, method-assign]
    total = 0
    for _ in range(5):
        world.put_back(before)
        total += answered(world.start(), times=1)
        world.put_back(decoy)
        total += answered(world.start(), times=1)
    assert total == 1


class _Killed(BaseException):
    """The process ends here."""


def _killed(*_: Any) -> Any:
    raise _Killed


@pytest.mark.parametrize("line", ["before the write", "before the counter", "after the counter", "at the confirmation"])
def test_a_crash_at_any_line_never_makes_a_guess_uncounted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    gate = world.start()
    assert isinstance(gate, AnchoredGuesses)
    assert world.anchor is not None
    match line:
        case "before the write":
            monkeypatch.setattr(gate, "_write", _killed)
        case "before the counter":
            monkeypatch.setattr(world.anchor, "advance", _killed)
        case "after the counter":
            advance = world.anchor.advance

            def dying(expected: int) -> Any:
                advance(expected)
                raise _Killed

            monkeypatch.setattr(world.anchor, "advance", dying)
        case _:
            monkeypatch.setattr(gate, "_confirm", _killed)
    with pytest.raises(_Killed):
        gate.admit(VICTIM, lambda _: None)
    monkeypatch.undo()
    after = answered(world.start(), times=5)
    assert after == {"before the write": 3, "before the counter": 2}.get(line, 0)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("write", [0, 1])
def test_a_disk_that_fails_never_makes_an_answered_guess_uncounted(fault: Fault, write: int) -> None:
    world = World()
    disk = FailingRecordStore(world.disk)
    disk.fail_write(write, fault)
    gate = world.start(storage=disk)
    total = 0
    for _ in range(5):
        try:
            total += tried(gate)
        except StorageUnavailable:
            continue
    total += answered(world.start())
    assert total <= 3
    if write == 1:  # the confirmation: the attempt itself was counted and answered
        assert total >= 1


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_counter_that_fails_answers_nothing_and_loses_no_count(side: str) -> None:
    world = World()
    assert world.anchor is not None
    gate = world.start()
    advance = world.anchor.advance

    def failing(expected: int) -> Any:
        if side == "after":
            advance(expected)
        raise AnchorUnavailable("the counter does not answer")

    world.anchor.advance = failing  # type: ignore[method-assign]
    with pytest.raises(AnchorUnavailable):
        gate.admit(VICTIM, lambda _: None)
    world.anchor.advance = advance  # type: ignore[method-assign]
    assert answered(gate) == (2 if side == "before" else 0)


def test_a_counter_out_of_reach_fails_closed() -> None:
    world = World()
    gate = world.start()
    world.anchor.fail = "before"  # type: ignore[union-attr]
    with pytest.raises(AnchorUnavailable, match="out of reach"):
        gate.admit(VICTIM, lambda _: None)


def test_a_counter_that_went_back_is_refused() -> None:
    world = World()
    gate = world.start()
    answered(gate)
    world.anchor.value = 0  # type: ignore[union-attr]
    with pytest.raises(AnchorUnavailable, match="behind what was sealed"):
        gate.admit(OTHER, lambda _: None)


def test_the_counter_s_own_clock_is_believed_before_the_host_s() -> None:
    world, clock = World(anchor=MemoryAnchor(elapsed_ms=0)), FakeClock()
    gate = world.start(clock)
    answered(gate)
    clock.seconds = 1e9
    assert not tried(gate)
    world.anchor.elapsed_ms = 60_000  # type: ignore[union-attr]
    clock.seconds += 60
    assert answered(gate) == 1


def test_a_deployment_keeps_its_counter_for_ever() -> None:
    world = World()
    world.anchor = MemoryAnchor()
    with pytest.raises(Misconfigured, match="another counter"):
        world.start()
    world.anchor = None
    with pytest.raises(Misconfigured, match="another counter"):
        world.start()
    without = World(anchor=None)
    without.anchor = MemoryAnchor()
    with pytest.raises(Misconfigured, match="without a counter"):
        without.start()


def test_a_deployment_that_does_not_say_what_its_limits_hang_on_does_not_start() -> None:
    world = World()
    keys = Deployment.open(world.disk, FakeSealer()).keys
    del world.disk._rows[Table.DEPLOYMENT, keys.identifier("guess limits")]
    with pytest.raises(StorageUnavailable, match="hang on"):
        world.start()


def test_without_a_counter_every_start_begins_with_nothing() -> None:
    world = World(anchor=None)
    total = 0
    for _ in range(50):
        clock = FakeClock()
        gate = world.start(clock)
        clock.seconds = 59.9
        total += answered(gate)
    assert total == 0
    clock.seconds = 60
    assert answered(gate) == 1


def test_a_login_costs_nothing() -> None:
    gate = World().start()
    for _ in range(20):
        assert tried(gate)
        gate.give_back(VICTIM)


def test_a_name_alone_waits() -> None:
    gate = World().start()
    answered(gate, OTHER)
    assert answered(gate) == 3


def test_refused_attempts_do_not_wear_the_counter_out() -> None:
    world = World()
    gate = world.start()
    answered(gate, times=100)
    assert world.anchor.advances == 3  # type: ignore[union-attr]


def test_attempts_at_once_share_a_move_of_the_counter() -> None:
    world = World()
    gate = world.start()
    assert world.anchor is not None
    everybody = threading.Barrier(16)
    advance, entered = world.anchor.advance, threading.Event()

    def slow(expected: int) -> Any:
        entered.wait(0.05)  # long enough for the others to line up behind the first
        return advance(expected)

    world.anchor.advance = slow  # type: ignore[method-assign]

    def one(number: int) -> bool:
        everybody.wait()
        return tried(gate, bytes([number]) * NAME_BYTES)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(16)))
    assert world.anchor.advances < 16


def test_threads_together_get_no_more_than_the_burst() -> None:
    gate = World().start()
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: tried(gate), range(40))) == 3


def test_two_instances_over_one_database_share_one_budget() -> None:
    world = World()
    first, second = world.start(), world.start()
    assert [tried(gate) for gate in (first, second, first, second, first)] == [True, True, True, False, False]


def test_two_instances_at_once_share_one_budget() -> None:
    world = World()
    gates = [world.start(), world.start()]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: tried(gates[number % 2], OTHER), range(12)))
    assert sum(results) == 3


def test_an_instance_that_died_in_the_middle_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guess_gate, "_PAUSE_SECONDS", 0.0)
    world = World()
    dead, alive = world.start(), world.start()
    assert world.anchor is not None
    advance, world.anchor.advance = world.anchor.advance, _killed  # type: ignore[method-assign]
    with pytest.raises(_Killed):
        dead.admit(VICTIM, lambda _: None)
    world.anchor.advance = advance  # type: ignore[method-assign]
    assert answered(alive) == 2


def test_a_note_is_made_in_the_transaction_that_counts() -> None:
    world = World()
    gate = world.start()
    key = b"k" * 32
    gate.admit(VICTIM, lambda transaction: transaction.insert(Table.AUDIT, key, b"noted"))
    with world.disk.read() as transaction:
        assert transaction.get(Table.AUDIT, key) is not None
    with pytest.raises(Conflict):  # a note that fails is the attempt's own failure, and the attempt stays counted
        gate.admit(VICTIM, lambda transaction: transaction.insert(Table.AUDIT, key, b"noted"))
    assert answered(gate) == 1


def test_a_damaged_row_is_named_and_nothing_is_answered() -> None:
    world = World()
    gate = world.start()
    for table, key in [key for key in world.disk._rows if key[0] == Table.GUESSES]:
        row = world.disk._rows[table, key]
        world.disk._rows[table, key] = type(row)(row.version, row.value[:-1] + b"?")
    with pytest.raises(StorageUnavailable, match="altered"):
        gate.admit(VICTIM, lambda _: None)


def test_a_gate_says_the_same_for_every_name() -> None:
    gate = World().start()
    refusals: list[StrongroomError] = []
    for name in (VICTIM, OTHER):
        answered(gate, name)
        with pytest.raises(TooManyGuesses) as refusal:
            gate.admit(name, lambda _: None)
        refusals.append(refusal.value)
    assert refusals[0].message == refusals[1].message
    assert refusals[0].hint == refusals[1].hint
