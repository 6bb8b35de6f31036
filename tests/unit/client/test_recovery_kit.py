"""The recovery kit: what stands in it, what reading it back refuses, and what its head code catches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from direct_store import DirectStore
from running import login_item
from strongroom.base.errors import ForkDetected, Malformed, RollbackDetected
from strongroom.cli.kit_page import kit_page
from strongroom.client.account import Credentials, registered
from strongroom.client.device import Device
from strongroom.client.driver import sync_device
from strongroom.client.invitation import Invitation
from strongroom.client.recovery_kit import MAX_KIT_BYTES, KitHead, RecoveryKit, check_kit_head, recovery_kit
from strongroom.client.vault import LocalVault
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.records.account_secret import AccountSecret

SECRET = AccountSecret(bytes(range(16)))
INVITATION = Invitation(
    url="https://vault.example",
    deployment=b"d" * 32,
    simulated_root=b"r" * 91,
    machines=(b"m" * 32,),
    notice_key=b"n" * 32,
    tenant=b"t" * 16,
)
HEAD = KitHead(code="0123 4567 8901 2345 6789 0123 4567 8901", entries=12, signed_ms=1_795_000_000_000)
AT = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=64)


def kit(username: str = "me@example.com", head: KitHead | None = HEAD) -> RecoveryKit:
    return RecoveryKit(username=username, account_secret=SECRET, invitation=INVITATION, head=head)


def same(read: RecoveryKit, made: RecoveryKit) -> bool:
    heads = [None if head is None else (head.code, head.entries) for head in (read.head, made.head)]
    return (
        read.username == made.username
        and read.account_secret == made.account_secret
        and read.invitation == made.invitation
        and heads[0] == heads[1]
    )


@given(NAMES | st.sampled_from(["store", "entries", "account", "<b>&amp;", "</dd>"]), st.sampled_from([HEAD, None]))
def test_what_was_written_is_read_back_from_the_text_and_from_the_page(username: str, head: KitHead | None) -> None:
    made = kit(username, head)
    assert same(RecoveryKit.parse(made.to_text().encode()), made)
    assert same(RecoveryKit.parse(kit_page(made, at=AT).encode()), made)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_kit_or_malformed(data: bytes) -> None:
    for content in (data, b"<p>" + data, b"account\nme\naccount secret\n" + data):
        with pytest.raises(Malformed):
            RecoveryKit.parse(content)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("SR1-00", "SR1-01", "checksum"),
        ("strongroom1:", "strongroom2:", "invitation"),
        ("0123 4567", "0123 456", "32 digits"),
        ("entries\n12", "entries\nmany", "number of entries"),
        ("account secret\n", "account\nother\naccount secret\n", "more than one account"),
        ("account\nme@example.com", "", "no account"),
    ],
)
def test_an_altered_kit_is_malformed_and_its_error_shows_none_of_it(old: str, new: str, said: str) -> None:
    text = kit().to_text()
    assert old in text
    with pytest.raises(Malformed) as wrong:
        RecoveryKit.parse(text.replace(old, new, 1).encode())
    assert said in str(wrong.value)
    assert "SR1-" not in str(wrong.value) + wrong.value.hint


def test_a_file_without_end_and_a_picture_are_malformed() -> None:
    for content in (bytes(MAX_KIT_BYTES + 1), b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(Malformed):
            RecoveryKit.parse(content)


def test_a_kit_shows_no_secret_by_accident() -> None:
    assert SECRET.text() not in repr(kit())


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    store = DirectStore()
    me = Credentials(username="me", password=b"secret", cost=INSECURE_FOR_TESTS_ONLY)
    with registered(tmp_path / "device", store, me, store.trust) as device:
        assert recovery_kit(device).head is None
        for title in ("one", "two"):
            LocalVault(device.store).add(login_item(title))
            sync_device(device, store)
        yield device


def test_the_head_of_a_device_agrees_with_its_log(device: Device) -> None:
    made = recovery_kit(device)
    assert made.head is not None
    assert made.account_secret == device.account_secret
    check_kit_head(device, made.head)


def test_a_log_that_lacks_what_the_kit_has_seen_is_a_rollback(device: Device) -> None:
    head = recovery_kit(device).head
    assert head is not None
    with pytest.raises(RollbackDetected):
        check_kit_head(device, KitHead(code=head.code, entries=head.entries + 1))


def test_another_history_than_the_kit_has_seen_is_a_fork(device: Device) -> None:
    head = recovery_kit(device).head
    assert head is not None
    for other in (KitHead(code=HEAD.code, entries=head.entries), KitHead(code=head.code, entries=head.entries - 1)):
        with pytest.raises(ForkDetected):
            check_kit_head(device, other)
