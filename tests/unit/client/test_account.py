"""Registering and joining, by direct calls to a store's service: who is refused, and what a restart does to it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from direct_store import DirectStore
from strongroom.base.errors import Malformed, Misconfigured, NotAuthorised, RecordTampered, StoreUnreachable
from strongroom.client.account import Credentials, joined, mark_ready, prove_device, registered
from strongroom.client.api import AccountExists
from strongroom.client.device import Device, unlocked_device
from strongroom.client.driver import sync_device
from strongroom.client.profile import ProfileState, load_profile
from strongroom.crypto.signatures import SigningKey
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.formats import store_api as api
from strongroom.records.account_secret import AccountSecret
from strongroom.store import accounts

ME = Credentials(username="me", password=b"secret", cost=INSECURE_FOR_TESTS_ONLY)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Any:
    # over the network a refusal becomes the client's own class of the same code; here both are one
    monkeypatch.setattr(accounts, "AccountExists", AccountExists)
    return DirectStore()


def register(store: Any, home: Path, credentials: Credentials = ME) -> AccountSecret:
    with registered(home, store, credentials, store.trust) as device:
        assert device.profile.state is ProfileState.READY
        sync_device(device, store)
        return device.account_secret


def test_registering_and_joining(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    other = store.another_client()
    with joined(tmp_path / "b", other, ME, store.trust, secret) as device:
        assert load_profile(tmp_path / "b").state is ProfileState.JOINING
        sync_device(device, other)
        other.restart()
        sync_device(device, other)  # it proves itself by now, whatever this object was told when it was made
    assert load_profile(tmp_path / "b").state is ProfileState.READY


def test_credentials_show_nothing_and_are_text() -> None:
    assert "secret" not in repr(ME)
    with pytest.raises(Malformed, match="username"):
        Credentials(username="\udcff", password=b"")


def test_a_directory_belongs_to_one_device(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    with pytest.raises(Misconfigured, match="already belongs"), registered(tmp_path / "a", store, ME, store.trust):
        pass
    with (
        pytest.raises(Misconfigured, match="already belongs"),
        joined(tmp_path / "a", store, ME, store.trust, secret),
    ):
        pass


def test_a_begun_registration_goes_on_for_the_same_name_only(store: Any, tmp_path: Path) -> None:
    def fail(name: str) -> None:
        raise StoreUnreachable("no")

    store.before = fail
    with pytest.raises(StoreUnreachable), registered(tmp_path / "a", store, ME, store.trust):
        pass
    store.before = lambda _: None
    other = Credentials(username="other", password=ME.password, cost=ME.cost)
    with pytest.raises(Misconfigured, match="already belongs"), registered(tmp_path / "a", store, other, store.trust):
        pass
    wrong = Credentials(username="me", password=b"another", cost=ME.cost)
    with pytest.raises(NotAuthorised), registered(tmp_path / "a", store, wrong, store.trust):
        pass
    register(store, tmp_path / "a")


def test_what_cannot_be_kept_stops_a_registration_before_it_is_over(store: Any, tmp_path: Path) -> None:
    kept: list[AccountSecret] = []

    def fail(_: Device) -> None:
        raise OSError("no paper")

    with (
        pytest.raises(OSError, match="no paper"),
        registered(tmp_path / "a", store, ME, store.trust, before_ready=fail),
    ):
        pass
    assert load_profile(tmp_path / "a").state is ProfileState.REGISTERING
    with registered(
        tmp_path / "a", store, ME, store.trust, before_ready=lambda device: kept.append(device.account_secret)
    ) as device:
        assert kept == [device.account_secret]


@pytest.mark.parametrize("restarts_before", ["register_finish", "prove_device"])
def test_a_restart_never_makes_an_own_account_look_like_somebody_elses(
    store: Any, tmp_path: Path, restarts_before: str
) -> None:
    """The store took the account, its answer was lost, and it was restarted while the client asked again."""

    def lose(name: str) -> None:
        if name == "register_finish":
            raise StoreUnreachable("the answer was lost")

    store.after = lose
    with pytest.raises(StoreUnreachable), registered(tmp_path / "a", store, ME, store.trust):
        pass
    restarts = [restarts_before]

    def restart(name: str) -> None:
        if name in restarts:
            restarts.remove(name)
            store.restart()

    store.before, store.after = restart, lambda _: None
    register(store, tmp_path / "a")
    assert restarts == []


def test_somebody_elses_name_and_no_name_leave_nothing(store: Any, tmp_path: Path) -> None:
    register(store, tmp_path / "a")
    with pytest.raises(AccountExists), registered(tmp_path / "b", store, ME, store.trust):
        pass
    nobody = Credentials(username="\n", password=b"secret", cost=ME.cost)
    with pytest.raises(Malformed), registered(tmp_path / "b", store, nobody, store.trust):
        pass
    assert list((tmp_path / "b").iterdir()) == []


def test_a_store_that_is_restarted_all_the_time_is_unreachable(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    store.before = lambda _: store.restart()
    with pytest.raises(StoreUnreachable, match="again and again"):
        joined(tmp_path / "b", store, ME, store.trust, secret).__enter__()
    with (
        unlocked_device(tmp_path / "a", ME.password, accepted=(ME.cost,)) as device,
        pytest.raises(StoreUnreachable, match="again and again"),
    ):
        prove_device(store, device)


def test_a_login_survives_one_restart_between_its_halves(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    pending = ["login_finish"]

    def restart(name: str) -> None:
        if name in pending:
            pending.remove(name)
            store.restart()

    store.before = restart
    with joined(tmp_path / "b", store, ME, store.trust, secret) as device:
        sync_device(device, store)


def test_wrong_password_unknown_name_and_wrong_secret_are_refused(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    wrong = Credentials(username="me", password=b"guess", cost=ME.cost)
    unknown = Credentials(username="nobody", password=b"secret", cost=ME.cost)
    for credentials in (wrong, unknown):
        with pytest.raises(NotAuthorised, match="unknown account or wrong password"):
            joined(tmp_path / "b", store, credentials, store.trust, secret).__enter__()
    with pytest.raises(NotAuthorised, match="account secret"):
        joined(tmp_path / "b", store, ME, store.trust, AccountSecret.generate()).__enter__()
    assert not (tmp_path / "b").exists()


def test_a_store_that_refuses_the_end_of_a_login_is_believed(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")

    def refuse(name: str) -> None:
        if name == "login_finish":
            raise NotAuthorised("no")

    store.before = refuse
    with pytest.raises(NotAuthorised, match="no"):
        joined(tmp_path / "b", store, ME, store.trust, secret).__enter__()
    assert store.calls.count("login_start") == 1


@pytest.mark.parametrize("lie", ["account_key", "vault_id"])
def test_another_key_or_vault_than_the_accounts_own_is_tampering(store: Any, tmp_path: Path, lie: str) -> None:
    secret = register(store, tmp_path / "a")
    finish = store.service.login_finish
    false = {"account_key": SigningKey.generate().public, "vault_id": bytes(16)}

    def tell(session: Any, body: api.LoginFinish) -> api.AccountView:
        view: api.AccountView = finish(session, body)
        return msgspec.structs.replace(view, **{lie: false[lie]})

    store.service.login_finish = tell
    with pytest.raises(RecordTampered, match="than the account's own"):
        joined(tmp_path / "b", store, ME, store.trust, secret).__enter__()
    assert not (tmp_path / "b").exists()


def test_a_begun_joining_goes_on_for_the_same_account_only(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    with joined(tmp_path / "b", store, ME, store.trust, secret):
        pass  # interrupted before its first sync
    other = Credentials(username="other", password=b"secret", cost=ME.cost)
    with registered(tmp_path / "c", store, other, store.trust) as device:
        other_secret = device.account_secret
    with pytest.raises(Misconfigured, match="already belongs"):
        joined(tmp_path / "b", store, other, store.trust, other_secret).__enter__()
    with joined(tmp_path / "b", store, ME, store.trust, secret) as device:
        sync_device(device, store)


def test_marking_ready_is_written_down(store: Any, tmp_path: Path) -> None:
    secret = register(store, tmp_path / "a")
    with joined(tmp_path / "b", store, ME, store.trust, secret) as device:
        assert mark_ready(device).profile.state is ProfileState.READY
    assert load_profile(tmp_path / "b").state is ProfileState.READY
