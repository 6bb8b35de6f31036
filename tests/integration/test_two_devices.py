"""Two devices of one person and a store that runs: concurrent edits, and whatever is interrupted goes on."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from in_process import in_process_store
from running import Deployment, Person, login_item
from strongroom.base.errors import Misconfigured, StorageUnavailable, StoreUnreachable
from strongroom.cli import importing
from strongroom.client.account import prove_device
from strongroom.client.api import AccountExists
from strongroom.client.device import Device
from strongroom.client.driver import sync_device
from strongroom.client.profile import ProfileState, load_profile
from strongroom.client.vault import LocalVault
from strongroom.records.account_secret import AccountSecret
from strongroom.storage.memory import MemoryRecordStore
from strongroom.testing.failing_storage import FailingRecordStore, Fault
from strongroom.transport.asgi import MESSAGE_PATH

LATER = 2_000_000_000_000


class Faulty(httpx2.BaseTransport):
    """A network that loses what was sent, or the answer to it, at the messages that a test names.

    Messages inside of the channel are counted from 0, whoever sends them.
    """

    def __init__(self) -> None:
        self._inner = httpx2.HTTPTransport()
        self.sent = 0
        self.lose_request: int | None = None
        self.lose_answer: int | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path != MESSAGE_PATH:
            return self._inner.handle_request(request)
        number, self.sent = self.sent, self.sent + 1
        if number == self.lose_request:
            raise httpx2.ConnectError("lost on the way there", request=request)
        response = self._inner.handle_request(request)
        if number == self.lose_answer:
            response.read()
            response.close()
            raise httpx2.ReadError("lost on the way back", request=request)
        return response

    def close(self) -> None:
        self._inner.close()


class Devices:
    """Two devices of one person, in step to begin with, each with its own way to the store."""

    def __init__(self, person: Person, folder: Path) -> None:
        self.person = person
        self.folder = folder
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Devices":
        deployment = self.person.deployment
        self.store_a = self._open.enter_context(deployment.connected())
        self.a = self._open.enter_context(self.person.register(self.folder / "a", self.store_a))
        self.store_b = self._open.enter_context(deployment.connected())
        joined = self.person.join(self.folder / "b", self.store_b, self.a.account_secret)
        self.b = self._open.enter_context(joined)
        self.settle()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def settle(self) -> None:
        for _ in range(2):
            sync_device(self.a, self.store_a)
            sync_device(self.b, self.store_b)

    def both_have(self) -> dict[str, dict[str, str]]:
        self.settle()
        first, second = contents(self.a), contents(self.b)
        assert first == second
        return {title: dict(item) for title, item in first.items()}


def contents(device: Device) -> dict[str, dict[str, str]]:
    return {entry.item.title: dict(entry.item.fields) for entry in LocalVault(device.store).items()}


def edit(device: Device, title: str, at: int = LATER, **fields: str) -> None:
    vault = LocalVault(device.store)
    entry = vault.find(title)
    vault.change(entry, entry.item.edited(at=at, fields=fields))


def trash(device: Device, title: str, at: int = LATER) -> None:
    vault = LocalVault(device.store)
    entry = vault.find(title)
    vault.change(entry, entry.item.trashed(at=at))


def past_values(device: Device, title: str) -> list[tuple[str, str]]:
    return [(past.field, past.value) for past in LocalVault(device.store).find(title).item.history]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment.create(tmp_path_factory.mktemp("deployment"))
    with deployment.running():
        yield deployment


@pytest.fixture
def person(deployment: Deployment, request: pytest.FixtureRequest) -> Person:
    return Person(deployment, username=request.node.name)


@pytest.fixture
def devices(person: Person, tmp_path: Path) -> Iterator[Devices]:
    with Devices(person, tmp_path) as devices:
        LocalVault(devices.a.store).add(login_item("Mail", username="me", password="first"))
        devices.settle()
        yield devices


# concurrent edits ------------------------------------------------------------------------------------------------


def test_offline_edits_of_different_fields_are_merged(devices: Devices) -> None:
    edit(devices.a, "Mail", username="new name")
    edit(devices.b, "Mail", password="new password")
    assert devices.both_have() == {"Mail": {"title": "Mail", "username": "new name", "password": "new password"}}


def test_offline_edits_of_one_field_keep_both_values(devices: Devices) -> None:
    edit(devices.a, "Mail", at=LATER, password="from a")
    edit(devices.b, "Mail", at=LATER + 1, password="from b")
    assert devices.both_have()["Mail"]["password"] == "from b"
    for device in (devices.a, devices.b):
        assert {("password", "first"), ("password", "from a")} <= set(past_values(device, "Mail"))


@pytest.mark.parametrize("first", ["a", "b"])
def test_an_edit_beats_a_removal_whoever_syncs_first(devices: Devices, first: str) -> None:
    edit(devices.a, "Mail", at=LATER, password="still needed")
    trash(devices.b, "Mail", at=LATER + 1)
    if first == "b":
        sync_device(devices.b, devices.store_b)
    assert devices.both_have()["Mail"]["password"] == "still needed"


def test_removals_and_new_items_of_both_sides_all_count(devices: Devices) -> None:
    trash(devices.a, "Mail")
    LocalVault(devices.a.store).add(login_item("from a"))
    LocalVault(devices.b.store).add(login_item("from b"))
    assert set(devices.both_have()) == {"from a", "from b"}


# interruptions -----------------------------------------------------------------------------------------------------


def count_messages(person: Person, folder: Path) -> int:
    faulty = Faulty()
    with person.deployment.connected(faulty) as store, person.register(folder / "counted", store) as device:
        sync_device(device, store)
    return faulty.sent


def test_a_registration_interrupted_at_every_message_goes_on(deployment: Deployment, tmp_path: Path) -> None:
    messages = count_messages(Person(deployment, username="counted"), tmp_path)
    assert messages >= 4
    for number in range(messages):
        for side in ("lose_request", "lose_answer"):
            person = Person(deployment, username=f"{side} {number}")
            home, faulty = tmp_path / person.username, Faulty()
            setattr(faulty, side, number)
            with deployment.connected(faulty) as store:
                # the last message is the device's word on what it has seen: lost, it is shown with the next sync
                lost = pytest.raises(StoreUnreachable) if number < messages - 1 else contextlib.nullcontext()
                with lost, person.register(home, store) as device:
                    sync_device(device, store)
                # the person tries again, with the same command
                if load_profile(home).state is not ProfileState.READY:
                    with person.register(home, store):
                        pass
                with person.unlock(home) as device:
                    LocalVault(device.store).add(login_item("first"))
                    assert sync_device(device, store).pushed == 1
                    assert_a_new_device_finds(person, device.account_secret, tmp_path / f"{person.username} b")


def assert_a_new_device_finds(person: Person, secret: AccountSecret, home: Path) -> None:
    with person.deployment.connected() as store, person.join(home, store, secret) as device:
        sync_device(device, store)
        assert list(contents(device)) == ["first"]


def test_the_servers_disk_may_fail_before_and_after_a_registrations_commit(tmp_path: Path) -> None:
    """With a record store that fails on either side of the commit, in this process."""

    for fault in Fault:
        storage = FailingRecordStore(MemoryRecordStore())
        with in_process_store(storage, tmp_path / f"platform {fault}") as (person, connected):
            home = tmp_path / f"device {fault}"
            storage.fail_write(0, fault)
            with connected() as store, pytest.raises(StorageUnavailable), person.register(home, store):
                pass
            assert load_profile(home).state is ProfileState.REGISTERING
            with connected() as store, person.register(home, store) as device:
                LocalVault(device.store).add(login_item("first"))
                prove_device(store, device)  # the store notes that it was here, so the next write is the append
                for append_fault in Fault:
                    storage.fail_write(0, append_fault)
                    edit(device, "first", username=str(append_fault))
                    with pytest.raises(StorageUnavailable):
                        sync_device(device, store)
                assert sync_device(device, store).pushed == 1
                with (
                    connected() as other_store,
                    person.join(tmp_path / f"second {fault}", other_store, device.account_secret) as second,
                ):
                    sync_device(second, other_store)
                    assert contents(second) == contents(device)
                    assert past_values(second, "first") == past_values(device, "first")


def test_a_lost_acknowledgement_of_an_append_makes_nothing_twice(devices: Devices, deployment: Deployment) -> None:
    faulty = Faulty()
    LocalVault(devices.a.store).add_all([login_item(f"item {number}") for number in range(3)])
    with deployment.connected(faulty) as store:
        prove_device(store, devices.a)
        before = faulty.sent
        # this sync proves the device, fetches and appends: the answer to the append gets lost
        faulty.lose_answer = before + 2
        with pytest.raises(StoreUnreachable):
            sync_device(devices.a, store)
        # in the meantime the person goes on, and so does the other device
        edit(devices.a, "item 1", username="after")
        edit(devices.b, "Mail", username="b was here")
        sync_device(devices.b, devices.store_b)
        summary = sync_device(devices.a, store)
        assert summary.conflicts == 0
    found = devices.both_have()
    assert sorted(found) == ["Mail", "item 0", "item 1", "item 2"]
    assert found["item 1"]["username"] == "after"
    assert found["Mail"]["username"] == "b was here"


def test_joining_interrupted_at_every_message_goes_on(devices: Devices, deployment: Deployment, tmp_path: Path) -> None:
    person, secret = devices.person, devices.a.account_secret
    counted = Faulty()
    with deployment.connected(counted) as store, person.join(tmp_path / "counted", store, secret) as device:
        sync_device(device, store)
    assert counted.sent >= 5
    for number in range(counted.sent):
        for side in ("lose_request", "lose_answer"):
            home, faulty = tmp_path / f"{side} {number}", Faulty()
            setattr(faulty, side, number)
            with deployment.connected(faulty) as store:
                with (
                    pytest.raises(StoreUnreachable),
                    person.join(home, store, secret) as device,
                ):
                    sync_device(device, store)
                with person.join(home, store, secret) as device:
                    sync_device(device, store)
                    assert list(contents(device)) == ["Mail"]
            assert load_profile(home).state is ProfileState.READY
            with deployment.connected() as store, person.unlock(home) as device:
                assert sync_device(device, store).pulled == 0
    assert list(devices.both_have()) == ["Mail"]


def test_a_name_that_was_taken_meanwhile_leaves_the_directory_as_it_was(deployment: Deployment, tmp_path: Path) -> None:
    """The first try was lost before it arrived, and somebody else was quicker with the name."""
    person, faulty = Person(deployment, username="wanted"), Faulty()
    with deployment.connected(faulty) as store:
        faulty.lose_request = 1
        with pytest.raises(StoreUnreachable), person.register(tmp_path / "late", store):
            pass
        with deployment.connected() as other, person.register(tmp_path / "quick", other):
            pass
        with pytest.raises(AccountExists), person.register(tmp_path / "late", store):
            pass
    assert list((tmp_path / "late").iterdir()) == []


def test_a_restart_of_the_store_between_two_syncs_is_not_noticed(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    person = Person(deployment)
    with deployment.connected() as store, deployment.connected() as second_store:
        with deployment.running():
            with person.register(tmp_path / "a", store) as device:
                sync_device(device, store)
                secret = device.account_secret
            second_store.peer()
        with deployment.running(), person.unlock(tmp_path / "a") as device:
            LocalVault(device.store).add(login_item("kept"))
            assert sync_device(device, store).pushed == 1  # in a channel of which the store knows nothing any more
            with person.join(tmp_path / "b", second_store, secret) as second:
                assert sync_device(second, second_store).pulled == 1


def test_a_joining_device_that_finds_the_store_restarted_is_to_log_in_again(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    person = Person(deployment)
    with deployment.connected() as store, contextlib.ExitStack() as first_life:
        first_life.enter_context(deployment.running())
        with person.register(tmp_path / "a", store) as device:
            secret = device.account_secret
        with person.join(tmp_path / "b", store, secret) as joining:
            first_life.close()
            with deployment.running():
                with pytest.raises(StoreUnreachable, match="in the middle of a login"):
                    sync_device(joining, store)
                with person.join(tmp_path / "c", store, secret) as again:
                    sync_device(again, store)


# importing ---------------------------------------------------------------------------------------------------------


def test_an_import_on_each_device_imports_nothing_twice(
    devices: Devices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second device has synced before it imports; the first imports again after an edit."""
    export = tmp_path / "export.csv"
    export.write_text(
        "name,url,username,password\nBank,https://bank.example,me,one\nShop,https://shop.example,me,two\n"
    )

    def do_import(device: Device) -> int:
        output = io.StringIO()
        monkeypatch.setattr("sys.stdout", output)
        monkeypatch.setattr(importing, "unlocked", lambda _home, _file: contextlib.nullcontext(device))
        importing.import_file(export, dry_run=False, password_file=None, home=None, as_json=True)
        imported = json.loads(output.getvalue())["imported"]
        assert isinstance(imported, int)
        return imported

    assert do_import(devices.a) == 2
    assert do_import(devices.a) == 0
    devices.settle()
    assert do_import(devices.b) == 0
    edit(devices.a, "Bank", password="changed")
    assert set(devices.both_have()) == {"Mail", "Bank", "Shop"}
    assert do_import(devices.b) == 1  # what the file has is in the vault no longer, so it is another item


def test_a_device_that_never_finished_registering_does_not_sync(person: Person, tmp_path: Path) -> None:
    faulty = Faulty()
    faulty.lose_request = 0
    with person.deployment.connected(faulty) as store:
        with pytest.raises(StoreUnreachable), person.register(tmp_path / "a", store):
            pass
        with person.unlock(tmp_path / "a") as device, pytest.raises(Misconfigured, match="was not finished"):
            sync_device(device, store)
