from __future__ import annotations

import pytest

from strongroom.verifier.memo import Memo


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
