from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_helpers import DEVICE, GENESIS, HEAD_KEY, head_of, log
from strongroom.base import canonical
from strongroom.base.errors import MalformedEntry
from strongroom.vaultlog.chain import extend
from strongroom.vaultlog.statement import MAX_STATEMENT_BYTES, SignedStatement, state_view

STATE = extend(GENESIS, log(3))
HEAD = head_of(STATE, 5).signed
STATED = state_view(HEAD, device_key=DEVICE, at_ms=1_000)


def test_a_statement_says_who_has_seen_what_and_when():
    signed = SignedStatement.from_bytes(STATED)
    assert signed.statement.device == DEVICE.public
    assert signed.statement.time_ms == 1_000
    assert (signed.head.length, signed.head.root) == (3, STATE.root)
    assert signed.is_authentic()
    assert signed.to_bytes() == STATED
    assert len(STATED) <= MAX_STATEMENT_BYTES


def test_a_statement_by_another_device_is_not_authentic():
    other = SignedStatement.from_bytes(state_view(HEAD, device_key=HEAD_KEY, at_ms=1_000))
    assert not replace(SignedStatement.from_bytes(STATED), signature=other.signature).is_authentic()


def test_a_statement_on_a_head_that_nobody_signed_is_not_authentic():
    fields = canonical.decode(HEAD, path="", max_bytes=1_000)
    forged = canonical.encode({**fields, "signature": bytes(64)})
    assert not SignedStatement.from_bytes(state_view(forged, device_key=DEVICE, at_ms=1)).is_authentic()


@pytest.mark.parametrize(
    ("length", "at_ms", "supersedes"), [(3, 1_001, True), (4, 1_001, True), (2, 1_001, False), (4, 1_000, False)]
)
def test_a_word_goes_forward_in_length_and_in_time(length, at_ms, supersedes):
    head = head_of(extend(GENESIS, log(length)), 9).signed
    newer = SignedStatement.from_bytes(state_view(head, device_key=DEVICE, at_ms=at_ms))
    assert newer.supersedes(SignedStatement.from_bytes(STATED)) is supersedes


@given(st.binary(max_size=200))
def test_any_bytes_are_a_statement_or_malformed(data: bytes):
    with pytest.raises(MalformedEntry):
        SignedStatement.from_bytes(data)


@given(st.integers(0, len(STATED) - 1), st.integers(1, 255))
def test_a_changed_statement_is_malformed_or_not_authentic(place: int, change: int):
    changed = bytearray(STATED)
    changed[place] ^= change
    try:
        signed = SignedStatement.from_bytes(bytes(changed))
    except MalformedEntry:
        return
    assert not signed.is_authentic()
