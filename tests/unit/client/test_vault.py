"""The vault on this device: adding, changing, finding and what a sync has to look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from running import login_item
from strongroom.base.errors import StorageUnavailable
from strongroom.client.vault import LocalVault, NoSuchItem
from strongroom.records.item import Uri
from strongroom.storage.local_encrypted import EncryptedLocalStore, create_local_store
from strongroom.sync.effects import Apply
from strongroom.sync.model import RecordState, SyncState


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EncryptedLocalStore]:
    store = create_local_store(tmp_path / "vault.db", bytes(32))
    yield store
    store.close()


@pytest.fixture
def vault(store: EncryptedLocalStore) -> LocalVault:
    return LocalVault(store)


def titles(vault: LocalVault, **which: bool) -> list[str]:
    return [entry.item.title for entry in vault.items(**which)]


def test_items_come_by_title_whatever_its_case(vault: LocalVault) -> None:
    vault.add_all([login_item(title) for title in ("b", "A", "c")])
    assert titles(vault) == ["A", "b", "c"]
    assert [entry.item.title for entry in vault.search("B")] == ["b"]
    assert vault.search("", deleted=True) == []


def test_trash_holds_what_was_removed_until_it_is_purged(vault: LocalVault) -> None:
    entry = vault.add(login_item("gone"))
    entry = vault.change(entry, entry.item.trashed(at=2))
    assert (titles(vault), titles(vault, deleted=True)) == ([], ["gone"])
    vault.change(entry, entry.item.purged(at=3))
    assert (titles(vault), titles(vault, deleted=True)) == ([], [])


def test_an_item_is_found_by_title_identifier_or_a_part_of_it(vault: LocalVault) -> None:
    mail = vault.add(login_item("Mail", username="me@example.com"))
    more = vault.add(login_item("More mail", password="mailbox"))
    shop = vault.add(login_item("Shop").edited(at=2, uris=(Uri(value="https://shop.example"),)))
    assert vault.find("mail").record == mail.record  # the whole title counts more than a part
    assert vault.find("more").record == more.record
    assert vault.find("shop.example").record == shop.record
    assert vault.find(shop.record.hex()[:8]).record == shop.record
    assert vault.find("ME@EXAMPLE").record == mail.record
    with pytest.raises(NoSuchItem, match="no item matches"):
        vault.find("mailbox")  # a password is not looked through
    with pytest.raises(NoSuchItem, match="2 items match") as refused:
        vault.find("ma")
    assert mail.short_id in refused.value.hint
    with pytest.raises(NoSuchItem):
        vault.find("Mail", deleted=True)


def test_two_items_of_one_title_are_told_apart_by_their_identifiers(vault: LocalVault) -> None:
    first, second = vault.add_all([login_item("twin"), login_item("twin")])
    with pytest.raises(NoSuchItem, match="2 items match"):
        vault.find("twin")
    assert vault.find(second.record.hex()).record == second.record != first.record


def test_what_a_sync_has_to_look_at_is_marked(vault: LocalVault) -> None:
    entry = vault.add(login_item("new"))
    assert (vault.pending_count(), entry.pending) == (1, True)
    (state,) = vault.pending()
    empty = SyncState.empty(deployment=bytes(32), vault=bytes(16), account_key=bytes(32))
    synced = RecordState(record=state.record, base=state.current, base_version=1, current=state.current)
    vault.apply(Apply(records=(synced,), state=empty))
    assert (vault.pending_count(), vault.pending(), vault.items()[0].pending) == (0, [], False)
    assert vault.sync_state() == empty
    changed = vault.change(entry, entry.item.edited(at=5, fields={"username": "x"}))
    assert (changed.pending, vault.pending_count()) == (True, 1)
    assert vault.change(entry, state.current).pending is False  # back to what the store has


def test_a_batch_is_added_whole_or_not_at_all(vault: LocalVault, monkeypatch: pytest.MonkeyPatch) -> None:
    put = vault._put

    def put_until_the_second(state: RecordState) -> None:
        put(state)
        if state.current.title == "second":
            raise KeyboardInterrupt

    monkeypatch.setattr(vault, "_put", put_until_the_second)
    with pytest.raises(KeyboardInterrupt):
        vault.add_all([login_item("first"), login_item("second")])
    assert titles(vault) == []


def test_a_record_that_is_spoken_of_and_missing_is_the_databases_fault(
    vault: LocalVault, store: EncryptedLocalStore
) -> None:
    entry = vault.add(login_item("lost"))
    store.delete("record", entry.record)
    with pytest.raises(StorageUnavailable, match="misses a record"):
        vault.pending()


def test_nothing_is_known_of_the_log_before_the_first_sync(vault: LocalVault) -> None:
    assert vault.sync_state() is None
