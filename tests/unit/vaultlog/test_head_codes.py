"""Comparing head codes: what one code says beside a whole log, and what it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import Malformed
from strongroom.vaultlog.head import code_at, read_head_code
from strongroom.vaultlog.head_codes import Agreement, compare_code

VAULT = b"vault-0123456789"


def codes(history: str) -> list[str]:
    """The codes of a history whose entries are letters; an entry stands for all before it."""
    return [code_at(VAULT, end, history[:end].encode().ljust(32)) for end in range(1, len(history) + 1)]


@given(st.text("ab", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=8), st.booleans())
def test_what_a_comparison_says_is_true_of_the_two_histories(mine: str, other: str, with_entries: bool) -> None:
    entries = len(other) if with_entries else None
    found = compare_code(codes(mine), codes(other)[-1], entries=entries)
    match found.agreement:
        case Agreement.SAME:
            assert mine == other
        case Agreement.BEHIND:
            assert mine.startswith(other)
            assert found.entries == len(other) < len(mine)
        case Agreement.AHEAD:
            assert with_entries
            assert len(other) > len(mine)
        case Agreement.DIFFERENT:
            assert with_entries
            assert not mine.startswith(other)
        case Agreement.UNKNOWN:
            assert not with_entries
            assert not mine.startswith(other)


def test_a_number_that_does_not_go_with_the_code_settles_nothing() -> None:
    assert compare_code(codes("abc"), codes("ab")[-1], entries=3).agreement is Agreement.UNKNOWN


def test_a_code_of_another_vault_or_length_is_another() -> None:
    assert len({code_at(vault, length, bytes(32)) for vault in (VAULT, bytes(16)) for length in (1, 2)}) == 4


def test_a_code_is_read_however_it_is_grouped() -> None:
    code = codes("a")[0]
    for given_as in (code, code.replace(" ", ""), code.replace(" ", "-"), f"  {code}\n"):
        assert read_head_code(given_as) == code


@pytest.mark.parametrize("text", ["", "1234", "1" * 31, "1" * 33, "٣" * 32, "x" * 32, "1 " * 200])
def test_what_is_no_code_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_head_code(text)
