"""Argon2id: the reference implementation's vectors, and profiles by name."""

from __future__ import annotations

import pytest

from strongroom.crypto.stretching import (
    INSECURE_FOR_TESTS_ONLY,
    RFC_9106_LOW_MEMORY,
    StretchProfile,
    profile,
    stretch,
)


@pytest.mark.parametrize(
    ("memory_kib", "expected"),
    [  # P-H-C/phc-winner-argon2, src/test.c: Argon2id, version 0x13, 2 passes, 1 lane, "password", "somesalt"
        (256, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
        (65536, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
    ],
)
def test_it_is_argon2id(memory_kib, expected):
    cost = StretchProfile(name="vector", memory_kib=memory_kib, passes=2, lanes=1)
    assert stretch(b"password", b"somesalt", cost).hex() == expected


def test_the_recommended_profile_is_the_rfcs():
    cost = profile("rfc9106-low-memory")
    assert cost is RFC_9106_LOW_MEMORY
    assert (cost.memory_kib, cost.passes, cost.lanes) == (65_536, 3, 4)


def test_an_unknown_profile_is_none():
    assert profile("cheap") is None
    assert profile("insecure-for-tests-only") is INSECURE_FOR_TESTS_ONLY


def test_secret_salt_cost_and_length_matter():
    other = StretchProfile(name="other", memory_kib=32, passes=2, lanes=1)
    values = {
        stretch(b"secret", b"somesalt", INSECURE_FOR_TESTS_ONLY),
        stretch(b"Secret", b"somesalt", INSECURE_FOR_TESTS_ONLY),
        stretch(b"secret", b"sumesalt", INSECURE_FOR_TESTS_ONLY),
        stretch(b"secret", b"somesalt", other),
        stretch(b"secret", b"somesalt", INSECURE_FOR_TESTS_ONLY, length=64)[:32],
    }
    assert len(values) == 5


def test_a_short_salt_is_refused():
    with pytest.raises(ValueError, match="salt"):
        stretch(b"secret", b"short", INSECURE_FOR_TESTS_ONLY)
