"""A login of a name that exists and of one that does not: the same sizes, writes and refusals, and the same time."""

from __future__ import annotations

import statistics
import time

import pytest

from store_client import Person, new_service, new_session
from strongroom.base.errors import TooManyGuesses
from strongroom.crypto import opaque
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.guessing import GuessLimits, Limit
from strongroom.store.service import StoreService
from strongroom.testing.failing_storage import FailingRecordStore

KNOWN, UNKNOWN = "me@example.com", "nobody@example.com"
ROUNDS = 150


def login_start(service: StoreService, name: str) -> int:
    _, ke1 = opaque.client.start_login(b"guess")
    return len(service.login_start(new_session(), api.LoginStart(username=name, ke1=ke1)).ke2)


def test_answers_have_one_size() -> None:
    service = new_service(MemoryRecordStore())
    Person(KNOWN).register(service)
    assert login_start(service, KNOWN) == login_start(service, UNKNOWN) == 320


def test_as_much_is_written_for_either() -> None:
    storage = MemoryRecordStore()
    disk = FailingRecordStore(storage)
    service = new_service(disk)
    Person(KNOWN).register(service)
    for name in (KNOWN, UNKNOWN):
        login_start(service, name)  # the first attempt at all makes nobody's row
    changes = []
    for name in (KNOWN, UNKNOWN):
        before, writes = dict(storage._rows), disk.writes
        login_start(service, name)
        changed = [key for key, row in storage._rows.items() if before.get(key) != row]
        sizes = {table: len(storage._rows[table, key].value) for table, key in changed}
        changes.append((disk.writes - writes, sizes))
    assert [count for count, _ in changes] == [2, 2]
    known, unknown = (sizes for _, sizes in changes)
    assert known["audit"] == unknown["audit"]
    assert set(known) == set(unknown) == {"audit", "guesses"}


def test_refusals_are_the_same() -> None:
    service = new_service(MemoryRecordStore())
    Person(KNOWN).register(service)
    refusals = []
    for name in (KNOWN, UNKNOWN):
        for _ in range(10):
            login_start(service, name)
        with pytest.raises(TooManyGuesses) as refusal:
            login_start(service, name)
        refusals.append((refusal.value.message, refusal.value.hint, refusal.value.code, refusal.value.http_status))
    assert refusals[0] == refusals[1]


def test_either_takes_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken in turns, so that a busy machine is busy for both; medians, so that one pause counts once.

    A look-up that one of them lacks costs some 3 % of the whole. The bound is wide, so that it never fails by chance:
    it finds a stretching, a transaction, a curve operation that only one of them makes.
    """
    generous = GuessLimits(name=Limit(burst=10_000, interval_ms=1), overall=Limit(burst=10_000, interval_ms=1))
    monkeypatch.setattr("store_client.LIMITS", generous)
    service = new_service(MemoryRecordStore())
    person = Person(KNOWN)
    person.register(service)
    taken: dict[str, list[int]] = {KNOWN: [], UNKNOWN: []}
    for round_ in range(ROUNDS):
        for name in (KNOWN, UNKNOWN) if round_ % 2 else (UNKNOWN, KNOWN):
            _, ke1 = opaque.client.start_login(b"guess")
            body, session = api.LoginStart(username=name, ke1=ke1), new_session()
            begun = time.thread_time_ns()
            service.login_start(session, body)
            taken[name].append(time.thread_time_ns() - begun)
    known, unknown = statistics.median(taken[KNOWN]), statistics.median(taken[UNKNOWN])
    assert 0.8 < known / unknown < 1.25
