"""What an operator who wants a victim's password gets in a day: the real gate, and a host that does what it likes.

The table in docs/spec/guess-limits.md section 5 is what this measures; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from memory_anchor import MemoryAnchor
from software_tpm import software_tpm
from store_client import FakeClock, FakeSealer
from strongroom.attesters.tpm import TpmCounter
from strongroom.base.errors import AnchorUnavailable, TooManyGuesses
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.freshness import FreshnessAnchor
from strongroom.store.guess_gate import GuessGate, open_guesses
from strongroom.store.guessing import NAME_BYTES, STANDARD_LIMITS

VICTIM, DECOY = b"v" * NAME_BYTES, b"d" * NAME_BYTES
STEP_SECONDS = 300
STEPS = 24 * 60 * 60 // STEP_SECONDS
PAGE = Path(__file__).parents[3] / "docs" / "spec" / "guess-limits.md"
ANCHORS = {"counter and clock": True, "counter": False, "none": None}


@dataclass
class Host:
    """A machine with its disks, its clocks and one counter; ``answered`` is what the victim's name was answered."""

    kind: str
    clones: int = 1
    host_speed: float = 1.0
    answered: int = 0
    seconds: float = 0.0
    clocks: list[FakeClock] = field(default_factory=list)
    gates: list[GuessGate] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = ANCHORS[self.kind]
        self.anchor = None if clock is None else MemoryAnchor(elapsed_ms=0 if clock else None)
        self.disks = [MemoryRecordStore()]
        Deployment.create(self.disks[0], FakeSealer(), anchor=self.anchor)
        self.first = self.copy(0)
        for _ in range(1, self.clones):
            self.disks.append(MemoryRecordStore())
            self.disks[-1]._rows = dict(self.first)
        self.gates = [self.gate(number) for number in range(self.clones)]

    def gate(self, number: int) -> GuessGate:
        deployment = Deployment.open(self.disks[number], FakeSealer())
        clock = FakeClock(seconds=self.seconds * self.host_speed)
        self.clocks = [*self.clocks[:number], clock, *self.clocks[number + 1 :]]
        return open_guesses(self.disks[number], deployment.rows, deployment.keys, clock, self.anchor)

    def restart(self) -> None:
        self.gates = [self.gate(number) for number in range(self.clones)]

    def copy(self, number: int) -> dict[Any, Any]:
        return dict(self.disks[number]._rows)

    def pass_time(self) -> None:
        self.seconds += STEP_SECONDS
        for clock in self.clocks:
            clock.seconds = self.seconds * self.host_speed
        if self.anchor is not None and self.anchor.elapsed_ms is not None:
            self.anchor.elapsed_ms = int(self.seconds * 1000)

    def guess(self) -> None:
        """Guess at every instance until each refuses."""
        for gate in self.gates:
            while tried(gate, VICTIM):
                self.answered += 1


def tried(gate: GuessGate, name: bytes) -> bool:
    try:
        gate.admit(name, lambda _: None)
    except (TooManyGuesses, AnchorUnavailable):
        return False
    return True


def patient(host: Host, step: int) -> None:
    host.guess()


def restarts(host: Host, step: int) -> None:
    host.restart()
    host.guess()


def puts_back(host: Host, step: int) -> None:
    """Puts back, in turn, the very first database, and one of an hour ago."""
    host.guess()
    if step % 12 == 0:
        host.hour_ago = host.copy(0)  # type: ignore[attr-defined]
    host.disks[0]._rows = dict(host.first if step % 2 else host.hour_ago)  # type: ignore[attr-defined]
    host.restart()
    host.guess()


def changes_the_date(host: Host, step: int) -> None:
    for clock in host.clocks:
        clock.instant = clock.instant.replace(year=1980 + 40 * (step % 2))
    host.guess()


def swaps_a_decoy(host: Host, step: int) -> None:
    """Has a decoy counted and the process ended before the counter moves; guesses; puts the decoy's state back."""
    if host.anchor is not None:
        advance, host.anchor.advance = host.anchor.advance, _end  # type: ignore[method-assign]
        before = host.copy(0)
        try:
            tried(host.gates[0], DECOY)
        except _Ended:
            pass
        finally:
            host.anchor.advance = advance  # type: ignore[method-assign]
        decoy = host.copy(0)
        host.disks[0]._rows = before
        host.restart()
        host.guess()
        host.disks[0]._rows = decoy
        host.restart()
    host.guess()


class _Ended(BaseException):
    pass


def _end(_: int) -> Any:
    raise _Ended


OPERATORS: dict[str, tuple[Callable[[Host, int], None], dict[str, Any]]] = {
    "waits": (patient, {}),
    "restarts every five minutes": (restarts, {}),
    "puts older databases back and restarts": (puts_back, {}),
    "sets the date forward and back": (changes_the_date, {}),
    "swaps in a state that counted a decoy": (swaps_a_decoy, {}),
    "runs ten clones": (patient, {"clones": 10}),
    "runs the monotonic clock a hundred times too fast": (patient, {"host_speed": 100.0}),
}


def guesses_in_a_day(kind: str, operator: str) -> int:
    action, settings = OPERATORS[operator]
    host = Host(kind, **settings)
    for step in range(STEPS):
        action(host, step)
        host.pass_time()
    return host.answered


def table_of(page: str) -> dict[tuple[str, str], int]:
    """Read the page's table: operator and kind of counter to guesses in a day."""
    found = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 1 + len(ANCHORS) and cells[0] in OPERATORS:
            found.update(
                {(cells[0], kind): int(re.sub(r"\D", "", cell)) for kind, cell in zip(ANCHORS, cells[1:], strict=True)}
            )
    return found


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_page_says_what_a_hostile_operator_gets(operator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.store.guess_gate._PAUSE_SECONDS", 0.0)
    table = table_of(PAGE.read_text())
    for kind in ANCHORS:
        measured = guesses_in_a_day(kind, operator)
        assert table[operator, kind] == measured


def test_no_operator_gets_more_than_the_rate_of_a_name_where_the_counter_has_a_clock() -> None:
    limit = STANDARD_LIMITS.name
    most = limit.burst + 24 * 60 * 60 * 1000 // limit.interval_ms
    table = table_of(PAGE.read_text())
    assert all(count <= most for (_, kind), count in table.items() if kind == "counter and clock")
    fast, clones = "runs the monotonic clock a hundred times too fast", "runs ten clones"
    assert all(count <= most for (operator, kind), count in table.items() if operator not in {fast, clones})
    assert all(table[clones, kind] <= most for kind in ANCHORS if kind != "none")


def test_a_real_tpm_holds_against_restarts_and_older_databases(tmp_path: Path) -> None:
    with software_tpm(tmp_path) as tpm:
        disk = MemoryRecordStore()
        made = TpmCounter.create(tpm.socket)
        Deployment.create(disk, FakeSealer(), anchor=made)
        made.close()
        first = dict(disk._rows)
        answered = 0
        for round_ in range(6):
            counter: FreshnessAnchor = TpmCounter(tpm.socket, 0x01805352)
            deployment = Deployment.open(disk, FakeSealer())
            # the host's clock runs a million seconds in no time; the TPM's does not
            clock = FakeClock(seconds=round_ * 1e6)
            gate = open_guesses(disk, deployment.rows, deployment.keys, clock, counter)
            for _ in range(20):
                clock.seconds += 1e6
                answered += tried(gate, VICTIM)
            counter.close()  # type: ignore[attr-defined]
            if round_ % 2:
                disk._rows = dict(first)
            if round_ == 3:
                tpm.stop()
                tpm.start()
        assert answered == STANDARD_LIMITS.name.burst
