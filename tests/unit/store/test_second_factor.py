"""What is decided about second factors: codes by RFC 6238, each once; keys by their counters; recovery codes."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import Malformed
from strongroom.store.second_factor import Factors, SecurityKey, Totp, new_factor_id, new_recovery_codes

SECRET = b"12345678901234567890"  # RFC 6238 appendix B, for SHA-1
VECTORS = {  # its last six of eight digits
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}


def totp(**changes: object) -> Totp:
    return replace(Totp(factor_id=bytes(8), name="phone", added_ms=0, secret=SECRET), **changes)  # type: ignore[arg-type]


def key(**changes: object) -> SecurityKey:
    made = SecurityKey(factor_id=bytes(8), name="key", added_ms=0, rp_id="vault.example", credential=b"c" * 77)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "code"), VECTORS.items())
def test_the_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp().step_of(code, seconds * 1000) == seconds // 30
    assert pyotp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", digest=hashlib.sha1).at(seconds) == code


@pytest.mark.parametrize(("drift", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_of_drift_is_forgiven(drift: int, taken: bool) -> None:
    assert (totp().step_of(VECTORS[1111111109], (1111111109 + 30 * drift) * 1000) is not None) is taken


def test_a_code_is_used_once_and_none_before_it_afterwards() -> None:
    at_ms = 1111111111 * 1000
    used = Factors(codes=(totp(),)).by_code(VECTORS[1111111111], at_ms)
    assert used is not None
    assert used.by_code(VECTORS[1111111111], at_ms) is None
    assert used.by_code(VECTORS[1111111109], at_ms) is None  # the step before, not used yet, and older than what was


@pytest.mark.parametrize("code", ["", "287083", "28708", "2870822", "abc", "２８７０８２", "287082\x00"])  # noqa: RUF001
def test_anything_else_is_no_code(code: str) -> None:
    assert totp().step_of(code, 59_000) is None


def test_spaces_are_forgiven() -> None:
    assert totp().step_of(" 287 082 ", 59_000) == 1


def test_a_key_s_counter_has_to_move() -> None:
    factors = Factors(keys=(key(count=5),))
    assert factors.by_key(factors.keys[0], 5) is None
    assert factors.by_key(factors.keys[0], 4) is None
    assert factors.by_key(factors.keys[0], 0) is None
    moved = factors.by_key(factors.keys[0], 6)
    assert moved is not None
    assert moved.keys[0].count == 6


def test_a_key_without_a_counter_is_taken() -> None:
    factors = Factors(keys=(key(),))
    assert factors.by_key(factors.keys[0], 0) is not None


def test_recovery_codes_come_with_the_first_factor_and_work_once_each() -> None:
    factors, codes = Factors().with_one_more(totp())
    assert len(set(codes)) == 10
    assert factors.kinds == ["totp", "recovery"]
    assert factors.with_one_more(key())[1] == []
    used = factors.by_recovery(codes[3].lower().replace("-", " "))
    assert used is not None
    assert len(used.recovery) == 9
    assert used.by_recovery(codes[3]) is None
    assert factors.by_recovery("AAAA-AAAA-AAAA-AAAA") is None
    assert not any(code.encode() in factors.to_bytes() for code in codes)


def test_recovery_codes_go_with_the_last_factor() -> None:
    first, second = totp(factor_id=b"1" * 8), key(factor_id=b"2" * 8)
    factors = Factors().with_one_more(first)[0].with_one_more(second)[0]
    one = factors.without(b"1" * 8)
    assert one is not None
    assert one.recovery
    none = one.without(b"2" * 8)
    assert none == Factors()
    assert not none.required
    assert factors.without(b"3" * 8) is None


def test_secrets_are_in_no_representation() -> None:
    factors, codes = Factors().with_one_more(totp())
    for shown in (repr(factors), repr(factors.codes[0])):
        assert "1234567" not in shown
        assert codes[0] not in shown


names = st.text(max_size=20)
steps = st.integers(0, 2**40)


@given(
    st.lists(st.builds(totp, name=names, last_step=steps, factor_id=st.builds(new_factor_id)), max_size=8),
    st.lists(st.builds(key, name=names, count=steps, credential=st.binary(max_size=200)), max_size=8),
)
def test_factors_are_read_as_they_were_written(codes: list[Totp], keys: list[SecurityKey]) -> None:
    factors = Factors(codes=tuple(codes), keys=tuple(keys), recovery=(b"r" * 32,))
    assert Factors.from_bytes(factors.to_bytes()) == factors


@given(st.binary(max_size=300))
def test_any_bytes_are_factors_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert Factors.from_bytes(data).to_bytes() == data


def test_there_is_an_end_to_factors() -> None:
    assert Factors(codes=(totp(),) * 8).is_full
    assert not Factors(codes=(totp(),) * 7).is_full


def test_recovery_codes_are_drawn() -> None:
    assert not set(new_recovery_codes()) & set(new_recovery_codes())
