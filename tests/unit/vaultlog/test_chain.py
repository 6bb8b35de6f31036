from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_helpers import ACCOUNT, DEVICE, GENESIS, R1, R2, VAULT, admit, log, write
from strongroom.base import canonical
from strongroom.base.errors import ForkDetected, MalformedEntry, RecordTampered
from strongroom.crypto.merkle import EMPTY_ROOT, MerkleTree
from strongroom.crypto.signatures import SigningKey
from strongroom.vaultlog import chain as chain_module
from strongroom.vaultlog.chain import ChainState, authorise_device, chain_leaf, extend, remove_device
from strongroom.vaultlog.entry import DeviceAdded, DeviceRemoved, SignedEntry, Step

STRANGER = SigningKey.from_seed(b"stranger".ljust(32, b"."))
STATE = extend(GENESIS, log(1))


def test_the_state_follows_the_entries():
    steps = log(4)
    state = extend(GENESIS, steps)
    assert state.length == 4
    assert state.chain_hash == steps[-1].entry.chain_hash
    assert state.members == {DEVICE.public}
    assert extend(extend(GENESIS, steps[:2]), steps[2:]) == state
    assert ChainState.from_bytes(state.to_bytes()) == state


def test_genesis_pins_the_vault_and_the_account():
    hashes = {
        ChainState.genesis(vault=vault, account_key=key).chain_hash
        for vault in (VAULT, b"w" * 16)
        for key in (ACCOUNT.public, DEVICE.public)
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("step", "error", "match"),
    [
        (write(STATE, vault=b"w" * 16), RecordTampered, "another vault"),
        (write(STATE, index=0), ForkDetected, "entry 0 stands where entry 1 belongs"),
        (write(STATE, index=2), ForkDetected, "entry 2 stands where entry 1 belongs"),
        (write(STATE, previous=bytes(32)), ForkDetected, "another history"),
        (write(STATE, epoch=0), RecordTampered, "earlier key epoch"),
        (write(STATE, key=STRANGER), RecordTampered, "by no device"),
        (write(STATE, key=ACCOUNT), RecordTampered, "by no device"),
        (write(STATE, version=2), RecordTampered, "writes version 2 of a record after 0"),
        (replace(write(STATE), sealed=b"other"), RecordTampered, "another sealed record"),
        (admit(STATE), RecordTampered, "a second time"),
        (admit(STATE, ACCOUNT), RecordTampered, "a second time"),
        (
            write(STATE, key=STRANGER, change=DeviceAdded(device=STRANGER.public)),
            RecordTampered,
            "without the account's signature",
        ),
        (
            write(STATE, key=STRANGER, change=DeviceRemoved(device=DEVICE.public)),
            RecordTampered,
            "removes a device without the account's signature",
        ),
        (write(STATE, change=DeviceRemoved(device=STRANGER.public)), RecordTampered, "no device of this vault"),
        (write(STATE, change=DeviceRemoved(device=ACCOUNT.public)), RecordTampered, "no device of this vault"),
        (replace(admit(STATE, STRANGER), sealed=b"x"), RecordTampered, "another sealed record"),
    ],
)
def test_what_may_not_follow_is_named(step, error, match):
    with pytest.raises(error, match=match) as refusal:
        extend(STATE, [step], version_of=lambda _: 0)
    assert refusal.type is error


def test_a_wrong_signature_is_tampered():
    step = write(STATE)
    broken = Step(entry=SignedEntry.of(step.entry.body, bytes(64)), sealed=step.sealed)
    with pytest.raises(RecordTampered, match="not signed by its author"):
        extend(STATE, [broken])


def test_a_record_version_is_written_once():
    state = extend(STATE, [write(STATE)])
    with pytest.raises(RecordTampered, match="writes version 1 of a record after 1"):
        extend(state, [write(state)], version_of={R1: 1}.get)
    first = write(STATE)
    second = write(extend(STATE, [first]), version=3)
    with pytest.raises(RecordTampered, match="writes version 3 of a record after 1"):
        extend(STATE, [first, second], version_of=lambda _: 0)


def test_the_store_leaves_the_versions_out():
    state = extend(STATE, [write(STATE, version=7)])
    assert ChainState.from_bytes(state.to_bytes()) == state


def test_the_root_is_that_of_the_tree_over_the_chain_hashes():
    steps = log(7)
    state = GENESIS
    assert state.root == EMPTY_ROOT
    for count, step in enumerate(steps, start=1):
        state = extend(state, [step])
        assert state.root == MerkleTree([chain_leaf(kept.entry.chain_hash) for kept in steps[:count]]).root
    assert extend(GENESIS, steps) == state


def by(author: SigningKey, change: str, device: SigningKey, state: ChainState) -> Step:
    make = {"add": authorise_device, "remove": remove_device}[change]
    return Step(entry=make(author, device.public, state, epoch=1), sealed=b"")


@pytest.mark.parametrize("author", [DEVICE, ACCOUNT])
def test_a_member_and_the_account_admit_and_remove_devices(author):
    added = extend(STATE, [by(author, "add", STRANGER, STATE)])
    assert added.members == {DEVICE.public, STRANGER.public}
    removed = extend(added, [by(author, "remove", STRANGER, added)])
    assert removed.members == {DEVICE.public}
    assert removed.removed == {STRANGER.public}
    assert ChainState.from_bytes(removed.to_bytes()) == removed


def test_a_device_that_was_removed_writes_admits_and_removes_nothing_and_never_comes_back():
    state = extend(STATE, [by(ACCOUNT, "add", STRANGER, STATE)])
    state = extend(state, [write(state, R2, key=STRANGER)])  # what it wrote before stays
    state = extend(state, [by(DEVICE, "remove", STRANGER, state)])
    other = SigningKey.from_seed(b"other".ljust(32, b"."))
    for step, match in [
        (write(state, R2, key=STRANGER, version=2), "by no device of this vault"),
        (by(STRANGER, "add", other, state), "without the account's signature"),
        (by(STRANGER, "remove", DEVICE, state), "without the account's signature"),
        (by(ACCOUNT, "add", STRANGER, state), "admits a device that was removed"),
        (by(ACCOUNT, "remove", STRANGER, state), "no device of this vault"),
    ]:
        with pytest.raises(RecordTampered, match=match):
            extend(state, [step])


def test_the_number_of_devices_is_limited(monkeypatch):
    monkeypatch.setattr(chain_module, "MAX_DEVICES", 1)
    with pytest.raises(RecordTampered, match="more than 1 devices"):
        extend(STATE, [admit(STATE, STRANGER)])


def test_nothing_is_half_applied():
    before = STATE.to_bytes()
    good = write(STATE)
    with pytest.raises(ForkDetected):
        extend(STATE, [good, good])
    assert STATE.to_bytes() == before


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_malformed(data: bytes):
    with pytest.raises(MalformedEntry):
        ChainState.from_bytes(data)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"frontier": []}, "frontier is not one of this length"),
        ({"frontier": [b"n" * 32, b"n" * 32]}, "frontier is not one of this length"),
        ({"members": [b"z" * 32, b"a" * 32]}, "members out of order"),
        ({"members": [b"z" * 32, b"z" * 32]}, "members out of order"),
    ],
)
def test_what_is_wrong_with_a_state_is_named(change, match):
    fields = canonical.decode(STATE.to_bytes(), path="", max_bytes=10_000)
    with pytest.raises(MalformedEntry, match=match):
        ChainState.from_bytes(canonical.encode({**fields, **change}))
