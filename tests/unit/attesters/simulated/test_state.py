"""The platform's directory: its modes, what survives, and that damage is reported and never papered over."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.attesters.sealing import SealingPolicy
from strongroom.attesters.simulated import EnclaveIdentity, PlatformSettings, SimulatedPlatform
from strongroom.attesters.simulated.state import STATE_FILE, PlatformState
from strongroom.base.errors import AttesterUnavailable, Malformed, Misconfigured
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32))
OUTDATED = PlatformSettings(tcb=TcbStatus.OUT_OF_DATE)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state" / "platform"


def sealing_key(platform: SimulatedPlatform) -> bytes:
    return platform.enclave(IDENTITY).sealing_key(SealingPolicy.MRENCLAVE, "test")


def test_the_directory_and_the_file_are_private(directory):
    SimulatedPlatform.open(directory, create=True)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [path.name for path in directory.iterdir()] == [STATE_FILE]
    assert stat.S_IMODE((directory / STATE_FILE).stat().st_mode) == 0o600


def test_a_platform_survives_reopening(directory):
    first = SimulatedPlatform.open(directory, create=True)
    second = SimulatedPlatform.open(directory)
    assert first.root_certificate_pem == second.root_certificate_pem
    assert first.platform_id == second.platform_id
    assert len(first.platform_id) == 16
    assert sealing_key(first) == sealing_key(second)


def test_create_opens_what_is_there(directory):
    first = SimulatedPlatform.open(directory, create=True)
    assert SimulatedPlatform.open(directory, create=True).platform_id == first.platform_id


def test_two_platforms_share_nothing(tmp_path):
    first = SimulatedPlatform.open(tmp_path / "a", create=True)
    second = SimulatedPlatform.open(tmp_path / "b", create=True)
    assert first.root_certificate_pem != second.root_certificate_pem
    assert first.platform_id != second.platform_id
    assert sealing_key(first) != sealing_key(second)


def test_settings_are_kept_and_change_the_platform_but_not_its_keys(directory):
    before = SimulatedPlatform.open(directory, create=True)
    assert SimulatedPlatform.open(directory, settings=OUTDATED).settings == OUTDATED
    after = SimulatedPlatform.open(directory)
    assert after.settings == OUTDATED
    assert after.root_certificate_pem == before.root_certificate_pem
    assert after.platform_id == before.platform_id
    assert sealing_key(after) == sealing_key(before)
    back = SimulatedPlatform.open(directory, settings=PlatformSettings())
    assert back.settings == PlatformSettings()


def test_the_same_settings_write_nothing(directory):
    SimulatedPlatform.open(directory, create=True)
    before = (directory / STATE_FILE).stat().st_mtime_ns
    SimulatedPlatform.open(directory, settings=PlatformSettings())
    assert (directory / STATE_FILE).stat().st_mtime_ns == before


def test_without_create_a_missing_platform_is_named(directory):
    with pytest.raises(Misconfigured, match="no simulated platform"):
        SimulatedPlatform.open(directory)
    assert not directory.exists()


def test_an_empty_directory_is_no_platform_until_one_is_created(directory):
    directory.mkdir(parents=True, mode=0o700)
    with pytest.raises(Misconfigured, match="no simulated platform"):
        SimulatedPlatform.open(directory)
    SimulatedPlatform.open(directory, create=True)


@pytest.mark.parametrize("target", ["", STATE_FILE])
def test_a_state_that_others_can_read_is_refused(directory, target):
    SimulatedPlatform.open(directory, create=True)
    path = directory / target
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(Misconfigured, match="other users") as caught:
        SimulatedPlatform.open(directory, create=True)
    assert "chmod" in caught.value.hint


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"[]", b"{}", b'{"sha256":1.5}', b"[" * 60_000, b" " * 70_000])
def test_a_damaged_state_is_reported_and_left_alone(directory, damage):
    SimulatedPlatform.open(directory, create=True)
    (directory / STATE_FILE).write_bytes(damage)
    with pytest.raises(Misconfigured, match="damaged"):
        SimulatedPlatform.open(directory, create=True)
    assert (directory / STATE_FILE).read_bytes() == damage


STATE = PlatformState.new(PlatformSettings()).to_bytes()


@given(st.data())
def test_any_change_of_a_state_is_noticed(data):
    place = data.draw(st.integers(0, len(STATE) - 1))
    changed = bytearray(STATE)
    changed[place] = data.draw(st.integers(0, 255).filter(lambda value: value != STATE[place]))
    try:
        parsed = PlatformState._parse(bytes(changed))
    except (Malformed, ValueError):
        return
    assert parsed == PlatformState._parse(STATE)  # white space, or a digit's letter case


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 2),
        ("format", "something else"),
        ("secret", "00" * 32),
        ("secret", "00"),
        ("settings", {"tcb": "Revoked", "pck_revoked": 0}),
        ("settings", {"tcb": "Perfect", "pck_revoked": 0}),
        ("settings", {"tcb": "UpToDate", "pck_revoked": 2}),
        ("settings", {"tcb": "UpToDate", "pck_revoked": 0, "more": 1}),
        ("settings", None),
        ("pck", "3000"),
        ("pck", "zz"),
        ("revision", 1.5),
    ],
)
def test_a_state_with_a_wrong_field_is_damaged_even_with_a_right_checksum(directory, name, value, monkeypatch):
    SimulatedPlatform.open(directory, create=True)
    monkeypatch.setattr("strongroom.attesters.simulated.state._checksum", lambda content: "right")
    content = json.loads((directory / STATE_FILE).read_bytes()) | {name: value, "sha256": "right"}
    (directory / STATE_FILE).write_text(json.dumps(content))
    with pytest.raises(Misconfigured, match="damaged"):
        SimulatedPlatform.open(directory, create=True)


@pytest.mark.parametrize("function", ["os.fsync", "os.open"])
def test_a_disk_that_fails_leaves_the_old_state(directory, monkeypatch, function):
    SimulatedPlatform.open(directory, create=True)
    before = (directory / STATE_FILE).read_bytes()

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(function, full)
        with pytest.raises(AttesterUnavailable, match="No space left"):
            SimulatedPlatform.open(directory, settings=OUTDATED)
    assert (directory / STATE_FILE).read_bytes() == before
    assert [path.name for path in directory.iterdir()] == [STATE_FILE]


def test_a_crash_before_the_commit_point_leaves_the_old_state(directory, monkeypatch):
    platform = SimulatedPlatform.open(directory, create=True)

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", crash)
        patch.setattr("pathlib.Path.unlink", crash)  # a crash does not tidy up, either
        with pytest.raises(Crash):
            SimulatedPlatform.open(directory, settings=OUTDATED)
    assert len(list(directory.iterdir())) == 2
    again = SimulatedPlatform.open(directory)
    assert again.settings == PlatformSettings()
    assert again.platform_id == platform.platform_id


def test_of_two_that_create_at_once_one_wins(directory):
    first, second = PlatformState.new(PlatformSettings()), PlatformState.new(PlatformSettings())
    first.create(directory)
    second.create(directory)
    assert PlatformState.load(directory) == first


def test_a_file_where_the_directory_should_be_is_unavailable(directory):
    directory.parent.mkdir()
    directory.write_bytes(b"")
    directory.chmod(0o600)
    with pytest.raises(AttesterUnavailable):
        SimulatedPlatform.open(directory, create=True)


def test_a_directory_that_cannot_be_made_is_unavailable(directory, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refused)
    with pytest.raises(AttesterUnavailable, match="cannot be made: Permission denied"):
        SimulatedPlatform.open(directory, create=True)


def test_a_platform_has_one_of_two_statuses():
    with pytest.raises(ValueError, match="UpToDate or OutOfDate"):
        PlatformSettings(tcb=TcbStatus.REVOKED)
