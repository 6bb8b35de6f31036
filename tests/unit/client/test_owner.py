"""An owner at a device that is set up: another password, second factors, the log, everything in one file, the end."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyotp
import pytest

from direct_store import DirectStore
from software_key import SoftwareKey
from strongroom.base.errors import Malformed, NotAuthorised, SecondFactorNeeded, StoreUnreachable
from strongroom.client import owner, security_keys
from strongroom.client.account import Credentials, joined, registered
from strongroom.client.device import unlocked_device
from strongroom.client.driver import sync_device
from strongroom.client.vault import LocalVault
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY as CHEAP
from strongroom.formats import account_api as api
from strongroom.records.account_secret import AccountSecret
from strongroom.records.item import Item, ItemType

ME = Credentials(username="me", password=b"secret", cost=CHEAP)
PAGE = "https://vault.example"


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Any = DirectStore()
        with registered(folder / "a", self.store, ME, self.store.trust) as device:
            sync_device(device, self.store)
            self.secret: AccountSecret = device.account_secret

    def device(self, name: str = "a", password: bytes = ME.password) -> Any:
        return unlocked_device(self.folder / name, password, accepted=(CHEAP,))

    def join(self, name: str, password: bytes = ME.password, second_factor: Any = None) -> None:
        credentials = Credentials(username="me", password=password, cost=CHEAP, second_factor=second_factor)
        other = self.store.another_client()
        with joined(self.folder / name, other, credentials, other.trust, self.secret) as device:
            sync_device(device, other)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_another_password_opens_this_device_and_the_account(world: World) -> None:
    world.join("b")
    with world.device() as device:
        owner.change_password(world.store, device, b"another")
    with pytest.raises(NotAuthorised), world.device():
        pass
    with world.device(password=b"another") as device:
        sync_device(device, world.store)
    with pytest.raises(NotAuthorised):
        world.join("c")
    world.join("c", b"another")
    with world.device("b") as device:  # a sister opens as before, and goes on syncing
        sync_device(device, world.store.another_client())


@pytest.mark.parametrize("call", ["password_start", "password_finish"])
def test_a_change_that_breaks_off_is_mended_by_another(world: World, call: str) -> None:
    def fail(name: str) -> None:
        if name == call:
            raise StoreUnreachable("no")

    for side in ("before", "after"):
        setattr(world.store, side, fail)
        with pytest.raises(StoreUnreachable), world.device() as device:
            owner.change_password(world.store, device, b"another")
        setattr(world.store, side, lambda _: None)
    with world.device() as device:  # the old password opens this device until the store has acknowledged
        owner.change_password(world.store, device, b"another")
    with world.device(password=b"another"):
        world.join("b", b"another")


def test_a_login_asks_for_the_second_factor(world: World) -> None:
    secrets: list[bytes] = []

    def show(secret: bytes) -> str:
        secrets.append(secret)
        return pyotp.TOTP(base64.b32encode(secret).decode()).at(1795521600 - 30)  # the clock of these tests, a step ago

    with world.device() as device:
        codes = owner.add_totp(world.store, device, "phone", show)
    assert len(codes) == 10
    with pytest.raises(SecondFactorNeeded):
        world.join("b")
    asked: list[list[str]] = []

    def by_recovery(question: api.FactorAsked) -> api.ProveFactor:
        asked.append(question.kinds)
        return api.ProveFactor(recovery=codes[0])

    world.join("b", second_factor=by_recovery)
    assert asked == [["totp", "recovery"]]
    with pytest.raises(NotAuthorised):
        world.join("c", second_factor=by_recovery)


def test_a_security_key_in_the_hand(world: World) -> None:
    key = SoftwareKey()
    with world.device() as device:
        owner.add_key(
            world.store,
            device,
            "key",
            "vault.example",
            lambda options: security_keys.answer_registration(options, key, PAGE),
        )
    world.join(
        "b",
        second_factor=lambda asked: api.ProveFactor(assertion=security_keys.answer_assertion(asked.options, key, PAGE)),
    )


def test_a_key_does_not_answer_for_another_page() -> None:
    options = json.dumps({"publicKey": {"challenge": "AAAA", "rpId": "vault.example", "allowCredentials": []}})
    with pytest.raises(NotAuthorised, match="did not answer"):
        security_keys.answer_assertion(options, SoftwareKey(), "https://evil.test")


@pytest.mark.parametrize("options", ["", "[]", "{}", "null", "[" * 9999])
def test_options_that_are_none_are_malformed(options: str) -> None:
    with pytest.raises(Malformed, match="WebAuthn"):
        security_keys.answer_registration(options, SoftwareKey(), PAGE)


def test_everything_is_in_the_export(world: World) -> None:
    with world.device() as device:
        vault = LocalVault(device.store)
        vault.add(
            Item(
                item_type=ItemType.LOGIN,
                fields={"title": "My own bank", "password": "no digits of chance"},
                created_at=1,
                changed_at=1,
            )
        )
        sync_device(device, world.store)
        found = owner.everything(world.store, device)
    assert found["format"] == owner.EXPORT_FORMAT
    assert len(found["entries"]) == 2
    assert [line["event"] for line in found["log"]["lines"]] == ["registered"]
    text = json.dumps(found)
    assert "no digits of chance" not in text
    assert "My own bank" not in text


def test_a_deleted_account_is_gone_and_the_device_keeps_what_it_has(world: World) -> None:
    with world.device() as device:
        owner.delete_account(world.store, device)
        with pytest.raises(NotAuthorised):
            sync_device(device, world.store)
        assert LocalVault(device.store).items() == []
    with pytest.raises(NotAuthorised):
        world.join("b")
