"""A store that lies with its own keys: each lie ends in the error that names it, and nothing of it is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.base.errors import (
    ForkDetected,
    MalformedEntry,
    Misbehaviour,
    RecordTampered,
    RollbackDetected,
    StoreUnreachable,
)
from strongroom.crypto.signatures import SigningKey
from strongroom.records.sealed_record import RecordPlace, seal_record
from strongroom.sync.model import SyncState
from strongroom.testing.lying_store import LyingStore, MemoryStore
from strongroom.vaultlog.proof import ProofKind, ProofVerdict, verify_proof
from vault_devices import ACCOUNT, HEAD_KEY, ROOT, VAULT, Crashed, Device, login, lying_store, settle

R1, R2, R3 = b"record-000000001", b"record-000000002", b"record-000000003"


@pytest.fixture
def store() -> LyingStore:
    return lying_store()


@pytest.fixture
def a(store: LyingStore) -> Device:
    device = Device("a")
    device.create(R1, login("one", password="p1"))
    device.create(R2, login("two", password="p2"))
    device.sync(store)
    return device


def caught(device: Device, store: MemoryStore, error: type[Misbehaviour], match: str) -> Misbehaviour:
    """The device refuses by this very name, and its disk is as it was."""
    before = dict(device.disk)
    with pytest.raises(error, match=match) as refusal:
        device.sync(store)
    assert refusal.type is error
    assert device.disk == before
    return refusal.value


def proven(error: Misbehaviour) -> ProofVerdict:
    verdict = verify_proof(error.proof)
    assert verdict.vault == VAULT
    return verdict


def test_a_shorter_log_is_a_rollback(store, a):
    store.roll_back(2)
    verdict = proven(caught(a, store, RollbackDetected, "length 2 after one of length 3"))
    assert verdict.kind is ProofKind.ROLLBACK
    assert verdict.conclusive
    assert (verdict.earlier.length, verdict.later.length) == (3, 2)


def test_a_rollback_to_nothing_is_a_rollback(store, a):
    store.roll_back(0)
    assert proven(caught(a, store, RollbackDetected, "length 0")).conclusive


def test_two_logs_of_one_length_are_a_fork(store, a):
    other = store.branch(2)
    b = Device("b")
    b.sync(other)
    assert len(other.log) == len(store.log) == 3
    verdict = proven(caught(a, other, ForkDetected, "two histories of length 3"))
    assert verdict.kind is ProofKind.FORK
    assert verdict.conclusive


def test_a_longer_log_on_another_history_is_a_fork_and_the_proof_shows_it(store, a):
    other = store.branch(2)
    b = Device("b")
    b.create(R3, login("three"))
    b.sync(other)
    b.edit(R3, lambda item: item.edited(at=2_000, fields={"title": "x"}))
    b.sync(other)
    assert len(other.log) == 5
    verdict = proven(caught(a, other, ForkDetected, "continues another history"))
    assert verdict.conclusive
    assert (verdict.earlier.length, verdict.later.length) == (3, 5)


def test_both_sides_of_a_fork_stay_apart(store, a):
    b = Device("b")
    b.sync(store)
    other = store.branch(len(store.log))
    a.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "a"}))
    b.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "b"}))
    a.sync(store)
    b.sync(other)
    assert proven(caught(a, other, ForkDetected, "two histories")).conclusive
    assert proven(caught(b, store, ForkDetected, "two histories")).conclusive


def test_withholding_what_a_head_promises_is_seen_as_no_answer(store, a):
    b = Device("b")
    store.withhold(3)
    with pytest.raises(StoreUnreachable, match="length 3 and shows 0 entries"):
        b.sync(store)


def test_a_promise_that_is_taken_back_is_a_rollback(store, a):
    store.page_size = 1
    b = Device("b")
    with pytest.raises(Crashed):
        b.sync(store, crash_after=2)  # has read one entry under a head of length 3
    assert not b.state.view.complete
    store.roll_back(2)
    assert proven(caught(b, store, RollbackDetected, "length 2 after one of length 3")).conclusive


def test_swapped_sealed_records_are_tampered(store, a):
    store.swap_sealed(1, 2)
    caught(Device("b"), store, RecordTampered, "entry 1 commits to another sealed record")


def test_an_old_version_under_a_new_entry_is_tampered(store, a):
    a.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "new"}))
    a.sync(store)
    store.replay_sealed(1, 3)
    caught(Device("b"), store, RecordTampered, "entry 3 commits to another sealed record")


def test_a_repeated_entry_is_a_fork(store, a):
    store.repeat(1)
    caught(a, store, ForkDetected, "entry 1 stands where entry 3 belongs")


def test_reordered_entries_are_a_fork(store, a):
    store.reorder(1, 2)
    caught(Device("b"), store, ForkDetected, "entry 2 stands where entry 1 belongs")


def test_an_entry_left_out_is_a_fork(store, a):
    del store.log[1]
    verdict = proven(caught(Device("b"), store, ForkDetected, "entry 2 stands where entry 1 belongs"))
    assert not verdict.conclusive


def test_an_entry_of_another_vault_is_tampered(store, a):
    vault = b"another-vault-01"
    other = MemoryStore(vault=vault, account_key=ACCOUNT.public, head_key=HEAD_KEY)
    stranger = Device("s")
    stranger.disk["meta", b"sync"] = SyncState.empty(
        deployment=stranger.state.deployment, vault=vault, account_key=ACCOUNT.public
    ).to_bytes()
    stranger.sync(other)
    store.splice(other.log[0])
    verdict = proven(caught(a, store, RecordTampered, "belongs to another vault"))
    assert verdict.kind is ProofKind.TAMPERED
    assert verdict.conclusive


def test_an_author_that_nobody_admitted_is_tampered(store, a):
    stranger = SigningKey.generate()
    place = RecordPlace(vault=VAULT, record=R3, version=1, author=stranger.public, epoch=1)
    sealed = seal_record(login("bait"), ROOT.vault_key(VAULT, epoch=1), place)
    store.forge_record(stranger.public, stranger, R3, 1, sealed)
    caught(a, store, RecordTampered, "entry 3 is by no device of this vault")


def test_an_entry_in_a_members_name_is_tampered_and_the_proof_shows_it(store, a):
    store.forge_record(a.key.public, SigningKey.generate(), R3, 1, b"sealed by nobody")
    verdict = proven(caught(a, store, RecordTampered, "entry 3 is not signed by its author"))
    assert verdict.kind is ProofKind.TAMPERED
    assert verdict.conclusive


def test_a_device_that_the_account_did_not_admit_is_tampered(store, a):
    spy = SigningKey.generate()
    store.forge_device(spy.public, spy, spy.public)
    caught(a, store, RecordTampered, "without the account's signature")
    for author in (ACCOUNT.public, a.key.public):
        store.roll_back(3)
        store.forge_device(author, spy, spy.public)
        assert proven(caught(a, store, RecordTampered, "entry 3 is not signed by its author")).conclusive


def test_a_sealed_record_that_its_author_sealed_for_another_place_is_tampered(store, a):
    # a member's key in the store's hands still has no vault key: all it can do is reuse what it has seen
    sealed = store.log[1].sealed
    store.forge_record(a.key.public, a.key, R3, 1, sealed)
    caught(a, store, RecordTampered, "was not sealed for this place")


def test_a_head_by_another_key_is_tampered(store, a):
    honest = store.head_key_hash
    store.head_key = SigningKey.generate()

    class Relabelled(LyingStore):
        head_key_hash = honest

    store.__class__ = Relabelled
    caught(a, store, RecordTampered, "another key than the attested one")


def test_a_head_whose_signature_is_wrong_is_tampered(store, a, monkeypatch):
    good = store.head()
    monkeypatch.setattr(store, "head", lambda: good[:-1] + bytes([good[-1] ^ 1]))
    caught(a, store, RecordTampered, "head's signature is wrong")


def test_a_head_of_another_vault_is_tampered(store, a):
    store._state = replace(store._state, vault=b"another-vault-01")
    caught(a, store, RecordTampered, "head belongs to another vault")


def test_entries_that_a_head_leaves_out_are_a_rollback(store, a):
    store._state = replace(store._state, length=1)
    caught(Device("b"), store, RollbackDetected, "leaves out entries")


def test_entries_that_lead_elsewhere_than_to_the_head_are_a_fork(store, a):
    store._state = replace(store._state, chain_hash=bytes(32))
    verdict = proven(caught(Device("b"), store, ForkDetected, "do not lead to the head"))
    assert not verdict.conclusive


def test_bytes_that_are_no_entry_are_malformed(store, a, monkeypatch):
    monkeypatch.setattr(store, "fetch", lambda *_: (store.head(), ((b"\xa0", b""),), ()))
    with pytest.raises(MalformedEntry):
        Device("b").sync(store)


def test_an_honest_store_is_believed(store, a):
    b = Device("b")
    settle(store, a, b)
    assert a.items == b.items
