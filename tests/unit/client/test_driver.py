"""The driver of the sync engine against a store's service: sessions, pages, conflicts and a profile that lies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from direct_store import DirectStore
from running import login_item
from strongroom.base.errors import Conflict, Malformed, Misconfigured, NotAuthorised, StoreUnreachable
from strongroom.client import driver
from strongroom.client.account import Credentials, joined, registered
from strongroom.client.device import Device
from strongroom.client.driver import sync_device
from strongroom.client.profile import ProfileState
from strongroom.client.vault import LocalVault
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY

ME = Credentials(username="me", password=b"secret", cost=INSECURE_FOR_TESTS_ONLY)


@pytest.fixture
def store() -> Any:
    return DirectStore()


@pytest.fixture
def device(store: Any, tmp_path: Path):
    with registered(tmp_path / "a", store, ME, store.trust) as device:
        sync_device(device, store)
        yield device


def add(device: Device, *titles: str) -> None:
    LocalVault(device.store).add_all([login_item(title) for title in titles])


def test_a_sync_sends_fetches_and_says_how_far_it_got(
    store: Any, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(device, *(f"item {number}" for number in range(7)))
    assert sync_device(device, store).pushed == 7
    monkeypatch.setattr(driver, "_PAGE", 3)
    told: list[tuple[int, int]] = []
    other = store.another_client()
    with joined(tmp_path / "b", other, ME, store.trust, device.account_secret) as second:
        summary = sync_device(second, other, progress=lambda done, total: told.append((done, total)))
    assert summary.pulled == 7
    assert told == [(3, 8), (6, 8), (8, 8)]


def test_a_restart_in_the_middle_of_a_sync_is_not_noticed(store: Any, device: Device) -> None:
    for call in ("fetch", "append", "prove_device"):
        add(device, call)
        pending = [call]

        def restart(name: str, pending: list[str] = pending) -> None:
            if name in pending:
                pending.remove(name)
                store.restart()

        store.restart()
        store.before = restart
        assert sync_device(device, store).pushed == 1
        assert pending == []


def test_a_refusal_in_the_session_that_was_proven_is_final(store: Any, device: Device) -> None:
    def refuse(name: str) -> None:
        if name == "fetch":
            raise NotAuthorised("revoked")

    store.before = refuse
    with pytest.raises(NotAuthorised, match="revoked"):
        sync_device(device, store)
    assert store.calls[-1] == "fetch"


def test_a_lost_race_is_run_again(store: Any, device: Device) -> None:
    add(device, "late")
    races = ["append"]

    def lose(name: str) -> None:
        if name in races:
            races.remove(name)
            raise Conflict("somebody was first")

    store.before = lose
    assert sync_device(device, store).pushed == 1


def test_a_joining_device_whose_session_is_gone_has_to_log_in_again(store: Any, device: Device, tmp_path: Path) -> None:
    other = store.another_client()
    with joined(tmp_path / "b", other, ME, store.trust, device.account_secret) as second:
        other.before = lambda name: other.restart() if name == "fetch" else None
        with pytest.raises(StoreUnreachable, match="in the middle of a login"):
            sync_device(second, other)
        other.before = lambda _: None
        with pytest.raises(NotAuthorised):
            sync_device(second, other)


def test_a_registration_that_was_not_finished_does_not_sync(store: Any, device: Device) -> None:
    profile = msgspec.structs.replace(device.profile, state=ProfileState.REGISTERING)
    with pytest.raises(Misconfigured, match="was not finished"):
        sync_device(replace(device, profile=profile), store)


def test_a_profile_of_another_vault_sends_nothing(store: Any, device: Device) -> None:
    add(device, "unsent")
    profile = msgspec.structs.replace(device.profile, vault_id=bytes(16))
    calls = len(store.calls)
    with pytest.raises(Malformed, match="another vault"):
        sync_device(replace(device, profile=profile), store)
    assert store.calls[calls:] == []


def test_an_engine_that_asks_for_nothing_is_a_mistake(
    store: Any, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        def __init__(self, **_: object) -> None:
            pass

        def handle(self, _: object) -> list[object]:
            return []

    monkeypatch.setattr(driver, "SyncEngine", Silent)
    with pytest.raises(RuntimeError, match="asked for nothing"):
        sync_device(device, store)
