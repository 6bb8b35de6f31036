"""Shares against the published vectors of SLIP-0039 (those of one group), and what does not fit."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.crypto.shares import Share, SharesDoNotFit, combine, split

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "slip39" / "one-group.json").read_text())
GOOD = [(item["shares"], item["secret"]) for item in VECTORS["good"]]
BAD: dict[str, list[str]] = VECTORS["bad"]


@pytest.mark.parametrize(("lines", "secret"), GOOD)
def test_published_shares_give_their_secret(lines: list[str], secret: str) -> None:
    shares = [Share.from_words(line) for line in lines]
    assert combine(shares, passphrase=b"TREZOR").hex() == secret
    assert [share.to_words() for share in shares] == lines


@pytest.mark.parametrize("reason", BAD)
def test_published_faults_are_named(reason: str) -> None:
    with pytest.raises(SharesDoNotFit, match=reason):
        combine([Share.from_words(line) for line in BAD[reason]])


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (16, 16)])
def test_any_sufficient_shares_give_the_secret_and_fewer_do_not(threshold: int, count: int) -> None:
    secret = os.urandom(32)
    shares = [Share.from_words(share.to_words()) for share in split(secret, threshold=threshold, count=count)]
    for chosen in itertools.islice(itertools.combinations(shares, threshold), 10):
        assert combine(reversed(chosen)) == secret
    with pytest.raises(SharesDoNotFit, match="are needed"):
        combine(shares[: threshold - 1])
    if count > threshold:
        with pytest.raises(SharesDoNotFit, match="are needed"):
            combine(shares[: threshold + 1])


def test_mixed_and_doubled_shares_are_named() -> None:
    mine, yours = (split(os.urandom(32), threshold=2, count=2) for _ in range(2))
    with pytest.raises(SharesDoNotFit):
        combine([mine[0], yours[1]])
    with pytest.raises(SharesDoNotFit, match="twice"):
        combine([mine[0], mine[0]])
    with pytest.raises(SharesDoNotFit):
        combine([])


@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (1, 3), (3, 2), (2, 17)])
def test_a_rule_that_protects_nothing_is_refused(threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="shares"):
        split(bytes(32), threshold=threshold, count=count)


@settings(max_examples=100)
@given(text=st.text(max_size=400))
def test_any_text_is_a_share_or_named(text: str) -> None:
    with pytest.raises(SharesDoNotFit):
        Share.from_words(text)
