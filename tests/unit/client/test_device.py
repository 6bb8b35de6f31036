"""A device on disk: made whole or not at all, and whatever part of it is missing or damaged is named."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.base.errors import Malformed, Misconfigured, NotAuthorised, StorageUnavailable
from strongroom.client.device import NewDevice, create_device, discard_device, unlocked_device
from strongroom.client.profile import ProfileState, Trust, load_profile, profile_exists
from strongroom.client.recovery_kit import recovery_kit
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.records.account_secret import AccountSecret
from strongroom.records.keyring import Keyring
from strongroom.storage.local_encrypted import open_local_store

CHEAP = (INSECURE_FOR_TESTS_ONLY,)
TRUST = Trust(url="http://store.invalid", deployment=bytes(32), policy=None, simulated_root=b"root")


def new_device() -> NewDevice:
    return NewDevice(
        username="me",
        account_id=bytes(16),
        vault_id=b"v" * 16,
        keyring=Keyring.generate(),
        account_secret=AccountSecret.generate(),
        trust=TRUST,
        state=ProfileState.READY,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with create_device(tmp_path / "home", new_device(), password=b"secret", cost=INSECURE_FOR_TESTS_ONLY):
        pass
    return tmp_path / "home"


def test_a_device_opens_with_its_password_and_holds_what_it_was_made_of(tmp_path: Path) -> None:
    new, home = new_device(), tmp_path / "deep" / "home"
    with create_device(home, new, password=b"secret", cost=INSECURE_FOR_TESTS_ONLY) as made:
        made.store.put("kind", b"key", b"value")
        assert "secret" not in repr(made)
        assert "secret" not in repr(new)
    with unlocked_device(home, b"secret", accepted=CHEAP) as device:
        assert device.keyring == new.keyring
        assert device.account_secret == new.account_secret
        assert device.device_key.public == made.device_key.public == device.profile.device_key
        assert device.store.get("kind", b"key") == b"value"
        assert new.account_secret.text() in recovery_kit(device).to_text()
        assert "strongroom1:" in recovery_kit(device).to_text()


def test_the_wrong_password_and_a_cheap_stretching_are_refused(home: Path) -> None:
    with pytest.raises(NotAuthorised), unlocked_device(home, b"guess", accepted=CHEAP):
        pass
    with pytest.raises((Malformed, NotAuthorised)), unlocked_device(home, b"secret"):
        pass


@pytest.mark.parametrize("content", [None, b"", bytes(31), bytes(33)])
def test_a_device_secret_that_is_none(home: Path, content: bytes | None) -> None:
    path = home / "device.secret"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises((Misconfigured, Malformed)), unlocked_device(home, b"secret", accepted=CHEAP):
        pass


def test_another_devices_secret_does_not_open(home: Path) -> None:
    (home / "device.secret").write_bytes(bytes(32))
    with pytest.raises(NotAuthorised), unlocked_device(home, b"secret", accepted=CHEAP):
        pass


def test_a_database_that_misses_a_secret(home: Path) -> None:
    with unlocked_device(home, b"secret", accepted=CHEAP) as device:
        device.store.delete("secret", b"device seed")
    with (
        pytest.raises(StorageUnavailable, match="misses one of this device's secrets"),
        unlocked_device(home, b"secret", accepted=CHEAP),
    ):
        pass
    # the failure has let go of the file
    with pytest.raises(StorageUnavailable, match="the key is wrong"):
        open_local_store(home / "vault.db", bytes(32), busy_seconds=0)


def test_what_a_crash_left_of_a_device_does_not_stop_the_next_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "device.secret").write_bytes(b"old")
    (home / "vault.db").write_bytes(b"half a database")
    (home / "vault.db-wal").write_bytes(b"and its log")
    with create_device(home, new_device(), password=b"secret", cost=INSECURE_FOR_TESTS_ONLY):
        pass
    with unlocked_device(home, b"secret", accepted=CHEAP):
        pass


def test_a_discarded_device_leaves_nothing_and_may_be_discarded_twice(home: Path) -> None:
    (home / "mine.txt").write_text("not a part of the device")
    discard_device(home)
    discard_device(home)
    assert [path.name for path in home.iterdir()] == ["mine.txt"]
    assert not profile_exists(home)
    with pytest.raises(Misconfigured, match="has not been set up"):
        load_profile(home)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_any_bytes_are_a_profile_or_malformed(home: Path, data: st.DataObject) -> None:
    path = home / "profile.json"
    if not hasattr(test_any_bytes_are_a_profile_or_malformed, "original"):
        test_any_bytes_are_a_profile_or_malformed.original = path.read_bytes()  # type: ignore[attr-defined]
    original: bytes = test_any_bytes_are_a_profile_or_malformed.original  # type: ignore[attr-defined]
    at = data.draw(st.integers(0, len(original)))
    path.write_bytes(original[:at] + data.draw(st.binary(max_size=8)) + original[at + data.draw(st.integers(0, 8)) :])
    try:
        assert load_profile(home).username is not None
    except Malformed as error:
        assert error.path == "profile.json"  # noqa: PT017 - either outcome is right


def test_a_profile_with_more_than_it_should_have_is_malformed(home: Path) -> None:
    path = home / "profile.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surprise": 1}))
    with pytest.raises(Malformed, match="unknown field"):
        load_profile(home)
