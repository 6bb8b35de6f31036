"""Devices that hear of each other through a store that lies: what it hides from one, another's word shows."""

from __future__ import annotations

import pytest

from strongroom.base.errors import ForkDetected, MalformedEntry, RollbackDetected, WithheldDetected
from strongroom.crypto.signatures import SigningKey
from strongroom.sync.engine import MAX_LAGS
from strongroom.testing.lying_store import LyingStore
from strongroom.vaultlog.proof import ProofKind, verify_proof
from strongroom.vaultlog.statement import SignedStatement, state_view
from vault_devices import Device, login, lying_store, settle

R1, R2, R3 = b"record-000000001", b"record-000000002", b"record-000000003"


@pytest.fixture
def store() -> LyingStore:
    return lying_store()


@pytest.fixture
def pair(store: LyingStore) -> tuple[Device, Device]:
    """Two devices in step, each of which has heard the other's word."""
    a, b = Device("a"), Device("b")
    a.create(R1, login("one", password="p1"))
    settle(store, a, b)
    return a, b


def write(device: Device, store: LyingStore, record: bytes, title: str, at: int = 5_000) -> None:
    device.create(record, login(title, at=at))
    device.sync(store)
    device.sync(store)  # what a device only wrote itself it states with its next fetch


def caught(device: Device, store: LyingStore, error: type[Exception], match: str) -> bytes:
    before = dict(device.disk)
    with pytest.raises(error, match=match) as refusal:
        device.sync(store)
    assert refusal.type is error
    assert device.disk == before
    return refusal.value.proof


def test_each_device_knows_how_far_the_other_has_seen(store, pair):
    a, b = pair
    [of_b] = [SignedStatement.from_bytes(data) for data in a.state.sisters]
    assert of_b.statement.device == b.key.public
    assert of_b.head.length == len(store.log)


def test_a_statement_is_made_when_there_is_something_new_and_once_a_day(store, pair):
    a, b = pair
    stated = a.state.stated
    a.sync(store)
    assert a.state.stated == stated
    a.at_ms += 24 * 60 * 60 * 1000 - 2
    a.sync(store)
    assert a.state.stated == stated
    a.at_ms += 10
    a.sync(store)
    assert a.state.stated != stated
    write(b, store, R2, "two")
    before = a.state.stated
    a.at_ms -= 10**9  # a clock that is set back makes no word look older
    a.sync(store)
    assert SignedStatement.from_bytes(a.state.stated).supersedes(SignedStatement.from_bytes(before))


def test_a_history_hidden_from_one_device_is_a_rollback_by_the_word_of_the_other(store, pair):
    a, b = pair
    frozen = LyingStore.of(store)
    write(b, store, R2, "two")
    frozen.time_ms = store.time_ms
    frozen.views = dict(store.views)  # the word of b gets through, the entry does not
    verdict = verify_proof(caught(a, frozen, RollbackDetected, "another device has reached"))
    assert verdict.kind is ProofKind.ROLLBACK
    assert verdict.conclusive


def test_an_old_head_under_its_old_time_is_withheld_and_only_the_device_s_word(store, pair):
    a, b = pair
    frozen = LyingStore.of(store)
    frozen.time_ms -= 10_000
    write(b, store, R2, "two")
    frozen.views = dict(store.views)
    verdict = verify_proof(caught(a, frozen, WithheldDetected, "another device has reached"))
    assert verdict.kind is ProofKind.WITHHELD
    assert not verdict.conclusive


def test_an_instance_that_lags_is_asked_again_and_believed(store, pair):
    a, b = pair
    frozen = LyingStore.of(store)
    write(b, store, R2, "two")
    frozen.time_ms, frozen.views = store.time_ms, dict(store.views)
    answers = [frozen] * MAX_LAGS + [store]
    fetch = LyingStore.fetch
    store.fetch = lambda *asked: fetch(answers.pop(0), *asked)  # type: ignore[method-assign]
    assert a.sync(store).pulled == 1
    assert not answers


def test_two_histories_of_one_length_are_a_fork_by_the_word_of_the_other(store, pair):
    a, b = pair
    other = store.branch(len(store.log))
    write(a, store, R2, "for a")
    write(b, other, R3, "for b")
    store.views[b.key.public] = other.views[b.key.public]
    verdict = verify_proof(caught(a, store, ForkDetected, "another device has seen another history of"))
    assert (verdict.kind, verdict.conclusive) == (ProofKind.FORK, True)


@pytest.mark.parametrize("more", [1, 2, 5])
def test_a_shorter_history_of_another_device_is_shown_not_to_be_the_beginning(store, pair, more):
    a, b = pair
    other = store.branch(len(store.log))
    write(b, other, R3, "for b")
    for number in range(more + 1):
        write(a, store, bytes([number]) * 16, "for a")
    store.views[b.key.public] = other.views[b.key.public]
    verdict = verify_proof(caught(a, store, ForkDetected, "another device has seen another history of"))
    assert (verdict.kind, verdict.conclusive) == (ProofKind.FORK, True)
    assert verdict.later.length > verdict.earlier.length


def test_a_store_that_shows_no_path_cannot_be_believed(store, pair, monkeypatch):
    a, b = pair
    write(b, store, R2, "two")
    write(a, store, R3, "three")
    write(b, store, b"four" * 4, "four")
    store.views.pop(a.key.public)
    before = store.views[b.key.public]
    write(a, store, b"five" * 4, "five")
    c = Device("c")
    for paths in ({}, {SignedStatement.from_bytes(before).head.length: (bytes(32),) * 3}):
        monkeypatch.setattr(store, "prove", lambda *_, paths=paths: paths)
        verdict = verify_proof(caught(c, store, ForkDetected, "cannot show"))
        assert not verdict.conclusive
    monkeypatch.undo()
    c.sync(store)


def test_a_word_that_goes_back_is_withheld(store, pair):
    a, b = pair
    old = store.views[b.key.public]
    write(b, store, R2, "two")
    a.sync(store)
    store.views[b.key.public] = old
    verdict = verify_proof(caught(a, store, WithheldDetected, "an older word of a device"))
    assert (verdict.kind, verdict.conclusive) == (ProofKind.WITHHELD, False)


def test_a_word_that_is_not_passed_on_any_more_is_withheld(store, pair):
    a, b = pair
    store.views.pop(b.key.public)
    caught(a, store, WithheldDetected, "keeps a device's word to itself")


def test_the_word_of_a_stranger_or_on_another_vault_counts_for_nothing(store, pair):
    a, _ = pair
    stranger = SigningKey.generate()
    store.views[stranger.public] = state_view(a.state.view.head, device_key=stranger, at_ms=10**13)
    a.sync(store)
    assert len(a.state.sisters) == 1


def test_a_word_that_the_device_did_not_sign_counts_for_nothing(store, pair):
    a, b = pair
    signed = SignedStatement.from_bytes(store.views[b.key.public])
    later = state_view(signed.statement.head, device_key=b.key, at_ms=10**13)
    changed = bytearray(later)
    changed[-1] ^= 1
    store.views[b.key.public] = bytes(changed)
    caught(a, store, WithheldDetected, "keeps a device's word to itself")


def test_bytes_that_are_no_word_are_malformed(store, pair):
    a, b = pair
    store.views[b.key.public] = b"\xa0"
    with pytest.raises(MalformedEntry):
        a.sync(store)
