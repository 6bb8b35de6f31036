from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.verifier import INTEL_SGX_ROOT, assess
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable


class Counted:
    """A pure function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def parse(self, data: bytes) -> bytes:
        self.calls += 1
        if data == b"bad":
            raise ValueError("bad")
        return data[::-1]

    def holds(self, memo: Memo, first: bytes, second: bytes, third: bytes, what: str = "sum") -> bool:
        def check() -> bool:
            self.calls += 1
            return first == second + third

        return memo.holds(what, first, second, third, check=check)


def test_answers_are_remembered() -> None:
    memo, counted = Memo(capacity=10), Counted()
    assert [memo.parsed("reversed", b"ab", read=counted.parse) for _ in range(3)] == [b"ba"] * 3
    assert counted.calls == 1
    assert [counted.holds(memo, b"ab", b"a", b"b") for _ in range(3)] == [True] * 3
    assert counted.calls == 2


def test_only_good_signatures_and_no_errors_are_remembered() -> None:
    memo, counted = Memo(capacity=10), Counted()
    for _ in range(2):
        assert not counted.holds(memo, b"ab", b"x", b"y")
        with pytest.raises(ValueError, match="bad"):
            memo.parsed("reversed", b"bad", read=counted.parse)
    assert counted.calls == 4


def test_functions_and_splits_are_told_apart() -> None:
    memo, counted = Memo(capacity=10), Counted()
    assert counted.holds(memo, b"ab", b"a", b"b")
    assert counted.holds(memo, b"ab", b"ab", b"")
    assert counted.calls == 2
    assert counted.holds(memo, b"ab", b"ab", b"", what="another")
    assert counted.calls == 3
    assert memo.parsed("hexadecimal", b"ab", read=bytes.hex) == "6162"
    assert memo.parsed("reversed", b"ab", read=counted.parse) == b"ba"


def test_capacity_and_bytes_are_bounded() -> None:
    for memo in (Memo(capacity=2), Memo(capacity=100, max_bytes=5)):
        counted = Counted()
        for data in (b"aa", b"bb", b"cc", b"aa"):
            memo.parsed("reversed", data, read=counted.parse)
        assert counted.calls == 4
        memo.parsed("reversed", b"aa", read=counted.parse)
        assert counted.calls == 4


def test_no_capacity_remembers_nothing() -> None:
    memo, counted = Memo(capacity=0), Counted()
    for _ in range(3):
        memo.parsed("reversed", b"aa", read=counted.parse)
        counted.holds(memo, b"ab", b"a", b"b")
    assert counted.calls == 6


def test_what_was_objected_to_is_judged_again() -> None:
    memo, calls = Memo(capacity=10), []

    def judge() -> tuple[str, bool]:
        calls.append(1)
        return "chain", len(calls) > 2

    assert [memo.lasting((b"content",), judge) for _ in range(5)] == ["chain"] * 5
    assert len(calls) == 3


CHAIN_FAULTS: dict[str, Callable[[IntelPki], object]] = {
    "root signed by another key": lambda pki: setattr(pki.root, "signer", key("somebody")),
    "leaf signed by another key": lambda pki: setattr(pki.leaf, "signer", key("somebody")),
    "expired leaf": lambda pki: setattr(pki.leaf, "not_after", AT - timedelta(days=1)),
    "root of the future": lambda pki: setattr(pki.root, "not_before", AT + timedelta(days=1)),
    "leaf with another name": lambda pki: setattr(pki.leaf, "common_name", "Example SGX PCK"),
    "revoked leaf": lambda pki: setattr(pki.pck_crl, "revoked", [pki.leaf.serial]),
    "revoked intermediate": lambda pki: setattr(pki.root_crl, "revoked", [pki.intermediate.serial]),
}


@pytest.mark.parametrize("name", CHAIN_FAULTS)
def test_the_same_objections_come_with_a_memory_of_good_and_of_bad_chains(name: str) -> None:
    memo = Memo(capacity=1000)
    good, bad = IntelPki(), IntelPki()
    CHAIN_FAULTS[name](bad)
    plain = assess(*bad.build(), [bad.anchor], at=AT)
    assert plain.findings
    for _ in range(3):
        assert assess(*good.build(), [good.anchor], at=AT, memo=memo).genuine
        assert assess(*bad.build(), [bad.anchor], at=AT, memo=memo).findings == plain.findings


def test_a_remembered_chain_is_remembered_for_its_anchors_only() -> None:
    memo, pki = Memo(capacity=1000), IntelPki()
    built = pki.build()
    assert assess(*built, [pki.anchor], at=AT, memo=memo).genuine
    for anchors in ([], [INTEL_SGX_ROOT], [replace(pki.anchor, vendor="Other")]):
        assert not assess(*built, anchors, at=AT, memo=memo).genuine
    for days in (-400, 400):
        later = assess(*built, [pki.anchor], at=AT + timedelta(days=days), memo=memo)
        assert "expiry" in {finding.check for finding in later.findings}
