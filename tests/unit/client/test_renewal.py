"""New keys when a device is removed: who gets them, who does not, and what a crash or a lying store leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from direct_store import DirectStore
from running import login_item
from strongroom.base.errors import Conflict, MalformedEntry, NotAuthorised, StoreUnreachable, WithheldDetected
from strongroom.client import renewal
from strongroom.client.account import Credentials, joined, registered
from strongroom.client.approval import current_chain
from strongroom.client.device import renewal_begun, unlocked_device
from strongroom.client.devices import revoke_device
from strongroom.client.driver import sync_device
from strongroom.client.repair import hand_back
from strongroom.client.vault import LocalVault
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.formats import store_api as api
from strongroom.records.keyring import Keyring
from strongroom.records.sealed_record import RecordPlace, open_record
from strongroom.vaultlog.chain import renew_keys
from strongroom.vaultlog.entry import RecordWritten, Step

if TYPE_CHECKING:
    from strongroom.client.device import Device

COST = INSECURE_FOR_TESTS_ONLY
ME = Credentials(username="me", password=b"secret", cost=COST)


class Home:
    """Three devices: a laptop, a tablet, and a phone that gets lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Any = DirectStore()
        with registered(folder / "laptop", self.store, ME, self.store.trust) as device:
            sync_device(device, self.store)
            self.secret = device.account_secret
        for name in ("tablet", "phone"):
            self.join(name)

    def join(self, name: str) -> None:
        other = self.store.another_client()
        with joined(self.folder / name, other, ME, self.store.trust, self.secret) as device:
            sync_device(device, other)

    def unlocked(self, name: str) -> Any:
        return unlocked_device(self.folder / name, b"secret", accepted=(COST,))

    def key(self, name: str) -> bytes:
        with self.unlocked(name) as device:
            return device.device_key.public

    def revoke_phone(self) -> None:
        phone = self.key("phone")
        with self.unlocked("laptop") as device:
            revoke_device(self.store.another_client(), device, phone)

    def write(self, name: str, title: str) -> None:
        with self.unlocked(name) as device:
            LocalVault(device.store).add(login_item(title))
            self.sync(device)

    def sync(self, device: Device) -> None:
        sync_device(device, self.store.another_client(), pause=lambda _: None)

    def titles(self, name: str) -> list[str]:
        with self.unlocked(name) as device:
            self.sync(device)
            return [entry.item.title for entry in LocalVault(device.store).items()]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_the_others_get_the_new_keys_and_read_old_and_new(home: Home) -> None:
    home.write("phone", "before")
    home.revoke_phone()
    home.write("laptop", "after")
    assert home.titles("tablet") == home.titles("laptop") == ["after", "before"]
    home.write("tablet", "by tablet")
    assert home.titles("laptop") == ["after", "before", "by tablet"]
    with home.unlocked("tablet") as device:
        assert device.keyring.generation == 2
        assert current_chain(device).account_key == device.keyring.signing_key().public


def test_what_is_written_then_is_closed_to_the_removed_device(home: Home) -> None:
    home.revoke_phone()
    home.write("laptop", "after")
    with home.unlocked("laptop") as laptop:
        step = LocalVault(laptop.store).log()[-1]
    entry = step.entry.entry
    assert isinstance(entry.change, RecordWritten)
    assert entry.epoch == 2
    place = RecordPlace(
        vault=entry.vault,
        record=entry.change.record,
        version=entry.change.version,
        author=entry.author,
        epoch=entry.epoch,
    )
    with home.unlocked("phone") as phone, pytest.raises(KeyError):
        open_record(step.sealed, phone.keyring.vault_key(entry.vault, epoch=2), place)
    with home.unlocked("laptop") as laptop:
        open_record(step.sealed, laptop.keyring.vault_key(entry.vault, epoch=2), place)


def test_a_new_device_gets_every_generation(home: Home) -> None:
    home.write("laptop", "before")
    home.revoke_phone()
    home.write("laptop", "after")
    home.join("desktop")
    assert home.titles("desktop") == ["after", "before"]
    home.write("desktop", "mine")
    assert home.titles("laptop") == ["after", "before", "mine"]


def test_a_renewal_whose_answer_was_lost_goes_on_with_the_keys_that_were_written_down(home: Home) -> None:
    phone = home.key("phone")
    store = home.store.another_client()

    def lose(name: str) -> None:
        if name == "renew_keys":
            raise StoreUnreachable("gone")

    store.after = lose
    with home.unlocked("laptop") as device:
        with pytest.raises(StoreUnreachable):
            revoke_device(store, device, phone)
        assert device.keyring.generation == 1
        begun = renewal_begun(device)
        home.sync(device)
        assert device.keyring == begun
        assert renewal_begun(device) is None
    assert home.titles("tablet") == []


def test_a_renewal_that_never_arrived_changes_nothing_and_is_made_again(home: Home) -> None:
    phone = home.key("phone")
    store = home.store.another_client()

    def lose(name: str) -> None:
        if name == "renew_keys":
            raise StoreUnreachable("gone")

    store.before = lose
    with home.unlocked("laptop") as device:
        with pytest.raises(StoreUnreachable):
            revoke_device(store, device, phone)
        home.sync(device)
        assert phone in current_chain(device).members
        assert device.keyring.generation == 1
    home.revoke_phone()
    home.write("laptop", "after")
    assert home.titles("tablet") == ["after"]


def test_a_device_whose_password_is_not_the_accounts_is_refused(home: Home) -> None:
    home.revoke_phone()
    with home.unlocked("tablet") as device, pytest.raises(NotAuthorised, match="wrong password"):
        home.sync(replace(device, password=b"other"))


def test_a_store_that_keeps_the_renewal_back_from_a_new_device_is_caught(home: Home) -> None:
    before = dict(home.store._storage._rows)
    home.revoke_phone()
    after = home.store._storage._rows
    # the account's copy of the keys is the new one, the log is the old one
    account = {key: row for key, row in after.items() if key[0] == "accounts"}
    other = home.store.another_client()
    with joined(home.folder / "desktop", other, ME, home.store.trust, home.secret) as device:
        home.store._storage._rows = {**before, **account}
        with pytest.raises(WithheldDetected, match="keys were renewed"):
            sync_device(device, other, pause=lambda _: None)


def test_keys_that_do_not_continue_the_old_ones_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.revoke_phone()
    monkeypatch.setattr(renewal, "opened_keyring", lambda *_: Keyring.generate().renewed())
    with home.unlocked("tablet") as device, pytest.raises(Exception, match="do not continue"):
        home.sync(device)


def test_keys_are_renewed_by_the_accounts_request_only(home: Home) -> None:
    store = home.store.another_client()
    with home.unlocked("laptop") as device:
        sync_device(device, store)
        chain = current_chain(device)
        entry = renew_keys(device.device_key, device.keyring.renewed().signing_key().public, chain)
        entry_bytes, sealed = Step(entry=entry, sealed=b"").to_bytes()
        pairs = [api.EntryPair(entry=entry_bytes, sealed=sealed)]
        with pytest.raises(MalformedEntry, match="the account's own request"):
            store.append(api.Append(expected_length=chain.length, expected_chain=chain.chain_hash, entries=pairs))
        asked = api.RenewKeys(
            generation=2,
            wrapped_root_key=b"",
            account_key=bytes(32),
            expected_length=chain.length,
            expected_chain=chain.chain_hash,
            entries=pairs,
        )
        for change, error, match in (
            ({}, MalformedEntry, "the account's own request"),
            ({"entries": []}, MalformedEntry, "the account's own request"),
            ({"generation": 3}, MalformedEntry, "the account's own request"),
        ):
            fields = {name: getattr(asked, name) for name in asked.__struct_fields__}
            with pytest.raises(error, match=match):
                store.renew_keys(api.RenewKeys(**{**fields, **change}))
        sync_device(device, store)
        assert current_chain(device).epoch == 1
    home.revoke_phone()
    with home.unlocked("laptop") as device:
        sync_device(device, store)
    with pytest.raises(Conflict, match="of generation 2"):
        store.renew_keys(asked)


def test_a_store_that_was_put_back_gets_the_copy_of_the_keys_back_too(home: Home) -> None:
    backup = dict(home.store._storage._rows)
    home.revoke_phone()
    home.write("laptop", "after")
    # everything but the count of guesses, of which an older one leaves none for a while
    after = home.store._storage._rows
    lost = {key for key in after if key[0] in {"accounts", "vaults", "entries"}}
    home.store._storage._rows = {
        **{key: row for key, row in after.items() if key not in lost},
        **{key: row for key, row in backup.items() if key[0] in {"accounts", "vaults", "entries"}},
    }
    with home.unlocked("laptop") as device:
        hand_back(device, home.store.another_client())
    home.join("desktop")
    assert home.titles("desktop") == home.titles("tablet") == ["after"]
