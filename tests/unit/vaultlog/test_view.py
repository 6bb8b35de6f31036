from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_helpers import ACCOUNT, GENESIS, VAULT, head_of, log, write
from strongroom.base.errors import ForkDetected, MalformedEntry, Misbehaviour, RecordTampered, RollbackDetected
from strongroom.crypto.signatures import SigningKey
from strongroom.vaultlog.chain import extend
from strongroom.vaultlog.entry import SignedEntry, Step
from strongroom.vaultlog.proof import MAX_PROOF_ENTRIES, ProofKind, make_proof, verify_proof
from strongroom.vaultlog.view import View, advance

EMPTY = View.empty(vault=VAULT, account_key=ACCOUNT.public)


def state_of(steps):
    return extend(GENESIS, steps)


def viewed(steps, time_ms: int = 10) -> View:
    return advance(EMPTY, head_of(state_of(steps), time_ms), steps)


def refused(view, head, steps) -> tuple[Misbehaviour, object]:
    with pytest.raises(Misbehaviour) as refusal:
        advance(view, head, steps)
    return refusal.value, verify_proof(refusal.value.proof)


def test_a_view_extends_to_a_longer_head():
    steps = log(4)
    view = viewed(steps[:2])
    longer = advance(view, head_of(state_of(steps), 11), steps[2:])
    assert longer.complete
    assert longer.chain == state_of(steps)
    assert longer.last_head is not None
    assert longer.last_head.length == 4


def test_an_unchanged_log_leaves_the_chain_as_it_is():
    steps = log(2)
    view = viewed(steps)
    later = advance(view, head_of(state_of(steps), 11), [])
    assert later.chain == view.chain
    assert later.head != view.head


def test_a_long_log_is_read_in_parts():
    steps = log(5)
    head = head_of(state_of(steps), 11)
    part = advance(EMPTY, head, steps[:3])
    assert not part.complete
    assert (part.head, part.shown) == (None, head.signed)
    whole = advance(part, head_of(state_of(steps), 12), steps[3:])
    assert whole.complete
    for view in (EMPTY, part, whole):
        assert View.from_bytes(view.to_bytes()) == view


def test_an_empty_view_has_no_head():
    assert EMPTY.last_head is None
    assert not EMPTY.complete


def test_a_shorter_head_is_a_rollback():
    error, verdict = refused(viewed(log(4)), head_of(state_of(log(3)), 11), [])
    assert isinstance(error, RollbackDetected)
    assert verdict.kind is ProofKind.ROLLBACK
    assert verdict.conclusive
    assert verdict.reason == "a head of length 4, then one of length 3, were signed for one vault"


def test_an_old_head_that_is_shown_again_is_a_rollback_that_only_the_device_saw():
    error, verdict = refused(viewed(log(4), time_ms=10), head_of(state_of(log(3)), 9), [])
    assert isinstance(error, RollbackDetected)
    assert not verdict.conclusive
    assert "earlier time" in verdict.reason


def test_two_heads_of_one_length_are_a_fork():
    error, verdict = refused(viewed(log(4)), head_of(state_of(log(4, branch_at=3)), 11), [])
    assert isinstance(error, ForkDetected)
    assert verdict.conclusive
    assert "two heads of length 4" in verdict.reason


def test_a_longer_head_on_another_history_is_a_fork():
    other = log(6, branch_at=2)
    error, verdict = refused(viewed(log(3)), head_of(state_of(other), 11), other[3:])
    assert isinstance(error, ForkDetected)
    assert verdict.conclusive
    assert verdict.reason == "the head of length 6 stands on another history than the head of length 3"


def test_a_part_of_another_history_is_a_fork_without_the_whole_proof():
    other = log(6, branch_at=2)
    error, verdict = refused(viewed(log(3)), head_of(state_of(other), 11), other[3:5])
    assert isinstance(error, ForkDetected)
    assert not verdict.conclusive


def test_entries_that_do_not_lead_to_the_head_are_a_fork():
    steps, other = log(4), log(4, branch_at=3)
    error, verdict = refused(viewed(steps[:2]), head_of(state_of(other), 11), steps[2:])
    assert isinstance(error, ForkDetected)
    assert "do not lead to the head" in error.message
    assert not verdict.conclusive


def test_a_head_shown_while_reading_holds_too():
    steps = log(5)
    part = advance(EMPTY, head_of(state_of(steps), 11), steps[:2])
    error, verdict = refused(part, head_of(state_of(steps[:4]), 12), steps[2:4])
    assert isinstance(error, RollbackDetected)
    assert verdict.conclusive


def test_entries_beyond_the_head_are_a_rollback():
    error, verdict = refused(EMPTY, head_of(state_of(log(2)), 11), log(3))
    assert isinstance(error, RollbackDetected)
    assert not verdict.conclusive


def test_an_entry_that_its_author_did_not_sign_is_proven():
    steps = log(3)
    state = state_of(steps)
    good = write(state, version=3)
    forged = SignedEntry.of(good.entry.body, bytes(64))
    after = replace(state, length=4, chain_hash=forged.chain_hash)
    error, verdict = refused(viewed(steps), head_of(after, 11), [Step(entry=forged, sealed=good.sealed)])
    assert isinstance(error, RecordTampered)
    assert verdict.conclusive
    assert verdict.reason == "the head stands on entry 3, which its author did not sign"


def test_a_stranger_who_signed_is_refused_and_the_proof_says_what_it_lacks():
    steps = log(3)
    state = state_of(steps)
    step = write(state, version=3, key=SigningKey.generate())
    after = replace(state, length=4, chain_hash=step.entry.chain_hash)
    error, verdict = refused(viewed(steps), head_of(after, 11), [step])
    assert isinstance(error, RecordTampered)
    assert not verdict.conclusive


@given(st.binary(max_size=200))
def test_any_bytes_are_no_view_and_no_proof(data: bytes):
    with pytest.raises(MalformedEntry):
        View.from_bytes(data)
    with pytest.raises(MalformedEntry):
        verify_proof(data)


# proofs that accuse falsely ----------------------------------------------------------------------------------------


def head(length: int, time_ms: int, **changes) -> bytes:
    return head_of(state_of(log(length, **changes)), time_ms).signed


def entries(steps) -> list[SignedEntry]:
    return [step.entry for step in steps]


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (make_proof(ProofKind.ROLLBACK, earlier=head(2, 1), later=head(3, 2)), "not shorter"),
        (make_proof(ProofKind.ROLLBACK, earlier=head(3, 2), later=head(2, 1)), "earlier time"),
        (make_proof(ProofKind.FORK, earlier=head(3, 1), later=head(3, 2)), "the same"),
        (make_proof(ProofKind.FORK, earlier=head(3, 1), later=head(4, 2)), "no entries"),
        (
            make_proof(ProofKind.FORK, earlier=head(3, 1), later=head(4, 2), entries=entries(log(4)[3:])),
            "extends the shorter",
        ),
        (
            make_proof(
                ProofKind.FORK,
                earlier=head(2, 1),
                later=head(4, 2, branch_at=1),
                entries=entries(log(4, branch_at=1)[3:]),
            ),
            "do not begin where",
        ),
        (
            make_proof(ProofKind.FORK, earlier=head(2, 1), later=head(4, 2), entries=entries(log(4, branch_at=1)[2:])),
            "no entries show",
        ),
        (
            make_proof(
                ProofKind.FORK, earlier=head(2, 1), later=head(4, 2), entries=[log(4)[3].entry, log(4)[2].entry]
            ),
            "no entries show",
        ),
        (make_proof(ProofKind.TAMPERED, earlier=None, later=head(2, 1)), "no entries show"),
        (
            make_proof(ProofKind.TAMPERED, earlier=None, later=head(3, 1), entries=entries(log(3))),
            "signed by the author",
        ),
    ],
)
def test_an_accusation_without_a_contradiction_is_not_conclusive(proof, reason):
    verdict = verify_proof(proof)
    assert not verdict.conclusive
    assert reason in verdict.reason


def test_a_proof_with_a_wrong_signature_is_none():
    good = head(3, 1)
    with pytest.raises(MalformedEntry, match="signature is wrong"):
        verify_proof(make_proof(ProofKind.FORK, earlier=good[:-1] + bytes([good[-1] ^ 1]), later=good))


def test_a_proof_over_two_vaults_is_none():
    other = head_of(replace(GENESIS, vault=b"w" * 16), 1).signed
    with pytest.raises(MalformedEntry, match="two vaults"):
        verify_proof(make_proof(ProofKind.FORK, earlier=other, later=head(3, 1)))


def test_a_proof_needs_its_parts():
    with pytest.raises(MalformedEntry, match="earlier head is missing"):
        verify_proof(make_proof(ProofKind.FORK, earlier=None, later=head(3, 1)))
    with pytest.raises(MalformedEntry, match="unknown kind"):
        verify_proof(make_proof("gossip", earlier=None, later=head(3, 1)))


def test_a_proof_with_too_many_entries_is_written_without_them():
    proof = make_proof(
        ProofKind.TAMPERED, earlier=None, later=head(1, 1), entries=entries(log(1)) * (MAX_PROOF_ENTRIES + 1)
    )
    assert not verify_proof(proof).conclusive
    assert len(proof) < 2_000
