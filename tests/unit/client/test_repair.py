"""A store that was put back, and devices that hand it what it lost: an outage, and nothing is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from direct_store import DirectStore
from running import login_item
from strongroom.base.errors import Conflict, ForkDetected, HeadMoved, Misconfigured, RollbackDetected, VaultBehind
from strongroom.client import repair
from strongroom.client.account import Credentials, joined, registered
from strongroom.client.driver import sync_device
from strongroom.client.repair import hand_back
from strongroom.client.vault import LocalVault
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.vaultlog.proof import verify_proof

if TYPE_CHECKING:
    from strongroom.client.device import Device

ME = Credentials(username="me", password=b"secret", cost=INSECURE_FOR_TESTS_ONLY)


class World:
    """Two devices of one account, and a database that can be put back."""

    def __init__(self, a: Device, b: Device, store: DirectStore, second: DirectStore) -> None:
        self.a, self.b, self.store, self.second = a, b, store, second

    def sync(self, *devices: Device) -> None:
        for device in devices:
            sync_device(device, self.of(device), pause=lambda _: None)

    def of(self, device: Device) -> Any:
        return self.store if device is self.a else self.second

    def add(self, device: Device, *titles: str) -> None:
        LocalVault(device.store).add_all([login_item(title) for title in titles])

    def titles(self, device: Device) -> list[str]:
        return [entry.item.title for entry in LocalVault(device.store).items()]

    def backup(self) -> dict[Any, Any]:
        return dict(self.store._storage._rows)

    def put_back(self, rows: dict[Any, Any]) -> None:
        self.store._storage._rows = dict(rows)


@pytest.fixture
def world(tmp_path: Path):
    store: Any = DirectStore(None)
    second: Any = store.another_client()
    assert isinstance(store._storage, MemoryRecordStore)
    with registered(tmp_path / "a", store, ME, store.trust) as a:
        sync_device(a, store)
        with joined(tmp_path / "b", second, ME, store.trust, a.account_secret) as b:
            world = World(a, b, store, second)
            world.add(a, "before")
            world.sync(a, b, a)
            yield world


def test_what_was_lost_is_handed_back_and_both_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "_BATCH", 3)
    backup = world.backup()
    world.add(world.a, *(f"after {number}" for number in range(7)))
    world.sync(world.a, world.b, world.a)
    world.put_back(backup)
    with pytest.raises(RollbackDetected) as refusal:
        world.sync(world.a)
    assert verify_proof(refusal.value.proof).conclusive
    repaired = hand_back(world.a, world.of(world.a))
    assert (repaired.entries, repaired.after - repaired.before) == (7, 7)
    world.sync(world.a, world.b)
    world.add(world.b, "later")
    world.sync(world.b, world.a)
    assert world.titles(world.a) == world.titles(world.b)
    assert len(world.titles(world.a)) == 9


def test_a_store_that_knows_what_it_lost_takes_nothing_new(world: World) -> None:
    backup = world.backup()
    world.add(world.a, "after")
    world.sync(world.a)
    world.put_back(backup)
    with pytest.raises(RollbackDetected):
        world.sync(world.a)
    # b has not seen what was lost, but hears of it; without the mark an entry of its would begin a second history
    world.add(world.b, "by b")
    with pytest.raises(RollbackDetected, match="another device has reached"):
        world.sync(world.b)
    chain = LocalVault(world.b.store).sync_state().view.chain
    anything = api.EntryPair(entry=b"", sealed=b"")
    with pytest.raises(VaultBehind, match="lost entries"):
        world.second.append(
            api.Append(expected_length=chain.length, expected_chain=chain.chain_hash, entries=[anything])
        )
    hand_back(world.a, world.of(world.a))
    world.sync(world.b, world.a)
    assert world.titles(world.a) == world.titles(world.b) == ["after", "before", "by b"]


def test_a_history_that_went_on_without_the_lost_entries_is_a_fork(world: World) -> None:
    backup = world.backup()
    world.add(world.a, "after", "and more")
    world.sync(world.a)
    world.put_back(backup)
    world.add(world.b, "by b")
    world.sync(world.b)
    with pytest.raises(ForkDetected) as refusal:
        hand_back(world.a, world.of(world.a))
    assert verify_proof(refusal.value.proof).conclusive


def test_nothing_lost_nothing_handed_back(world: World) -> None:
    repaired = hand_back(world.a, world.of(world.a))
    assert repaired.entries == 0


def test_a_device_that_has_not_read_the_log_hands_nothing_back(world: World, tmp_path: Path) -> None:
    with (
        joined(tmp_path / "c", world.store.another_client(), ME, world.store.trust, world.a.account_secret) as c,
        pytest.raises(Misconfigured, match="not read the whole log"),
    ):
        hand_back(c, world.store.another_client())


def test_a_device_that_lost_entries_of_its_own_hands_nothing_back(world: World) -> None:
    backup = world.backup()
    world.add(world.a, "after")
    world.sync(world.a)
    world.put_back(backup)
    length = LocalVault(world.a.store).sync_state().view.chain.length
    world.a.store.delete("entry", (length - 1).to_bytes(8, "big"))
    with pytest.raises(Misconfigured, match="does not hold the whole log"):
        hand_back(world.a, world.of(world.a))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"path": [bytes(32)]}, Conflict, "not on the history"),
        ({"path": []}, Conflict, "not on the history"),
        ({"expected_length": 1}, HeadMoved, "entries; these extend 1"),
    ],
)
def test_what_does_not_lead_to_a_head_of_ours_is_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], error: type[Exception], match: str
) -> None:
    monkeypatch.setattr(repair, "_BATCH", 1)
    backup = world.backup()
    world.add(world.a, "one", "two", "three")
    world.sync(world.a)
    world.put_back(backup)
    asked = api.HandBack
    monkeypatch.setattr(repair.api, "HandBack", lambda **fields: asked(**{**fields, **change}))
    before = world.backup()
    with pytest.raises(error, match=match):
        hand_back(world.a, world.of(world.a))
    marked = {key for key, row in world.backup().items() if before.get(key) != row}
    assert len(marked) <= 2  # the device's own view, and the mark that entries are missing; no entry


def test_a_head_that_somebody_else_signed_leads_nowhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other: Any = DirectStore(None)
    backup = world.backup()
    world.add(world.a, "one")
    world.sync(world.a)
    world.put_back(backup)
    vaults = other.service._vaults
    foreign = vaults._sign(
        replace(LocalVault(world.a.store).sync_state().view.chain, length=4, frontier=(bytes(32),)), 1
    )
    asked = api.HandBack
    monkeypatch.setattr(repair.api, "HandBack", lambda **fields: asked(**{**fields, "target": foreign}))
    with pytest.raises(Conflict, match="none of this deployment's"):
        hand_back(world.a, world.of(world.a))
