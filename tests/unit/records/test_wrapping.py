from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import Malformed, NotAuthorised
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY, RFC_9106_LOW_MEMORY
from strongroom.records.account_secret import AccountSecret
from strongroom.records.keyring import Keyring
from strongroom.records.keys import AccountRootKey
from strongroom.records.wrapping import (
    new_device_secret,
    unwrap_keyring,
    unwrap_locally,
    wrap_keyring,
    wrap_locally,
)

ROOT = AccountRootKey(bytes(range(32)))
SECRET = AccountSecret(bytes(16))
KEYRING = Keyring((ROOT, AccountRootKey(b"2" * 32)))
STORED = {"export_key": b"e" * 64, "account_secret": SECRET, "account": b"account"}
OPENED = {**STORED, "generation": 2}
LOCAL = {"password": b"correct horse", "device_secret": b"d" * 32, "account": b"account"}
CHEAP = (INSECURE_FOR_TESTS_ONLY,)


def test_the_root_key_comes_back():
    assert unwrap_keyring(wrap_keyring(KEYRING, **STORED), **OPENED) == KEYRING


@pytest.mark.parametrize(
    "wrong",
    [
        {"export_key": b"f" * 64},
        {"account_secret": AccountSecret(b"x" * 16)},
        {"account": b"another"},
        {"generation": 1},
        {"generation": 3},
    ],
)
def test_nothing_less_than_everything_opens_the_stored_key(wrong):
    wrapped = wrap_keyring(KEYRING, **STORED)
    with pytest.raises(NotAuthorised, match="does not open"):
        unwrap_keyring(wrapped, **{**OPENED, **wrong})


def test_the_root_key_comes_back_on_the_device():
    wrapped = wrap_locally(ROOT, **LOCAL, cost=INSECURE_FOR_TESTS_ONLY)
    assert unwrap_locally(wrapped, **LOCAL, accepted=CHEAP) == ROOT


@pytest.mark.parametrize("wrong", [{"password": b"battery"}, {"device_secret": b"x" * 32}, {"account": b"another"}])
def test_nothing_less_than_everything_opens_the_local_key(wrong):
    wrapped = wrap_locally(ROOT, **LOCAL, cost=INSECURE_FOR_TESTS_ONLY)
    with pytest.raises(NotAuthorised, match="wrong password"):
        unwrap_locally(wrapped, **{**LOCAL, **wrong}, accepted=CHEAP)


def test_a_cheap_profile_is_refused_unless_named():
    wrapped = wrap_locally(ROOT, **LOCAL, cost=INSECURE_FOR_TESTS_ONLY)
    with pytest.raises(Malformed, match="not accepted here"):
        unwrap_locally(wrapped, **LOCAL)


def test_a_relabelled_profile_does_not_open():
    wrapped = wrap_locally(ROOT, **LOCAL, cost=INSECURE_FOR_TESTS_ONLY)
    fields = canonical.decode(wrapped, path="", max_bytes=1000)
    relabelled = canonical.encode({**fields, "profile": RFC_9106_LOW_MEMORY.name})
    with pytest.raises(NotAuthorised):
        unwrap_locally(relabelled, **LOCAL)
    with pytest.raises(Malformed, match="not accepted"):
        unwrap_locally(canonical.encode({**fields, "profile": "x"}), **LOCAL, accepted=CHEAP)


@given(st.binary(max_size=64))
def test_any_bytes_are_malformed(data: bytes):
    with pytest.raises(Malformed):
        unwrap_keyring(data, **OPENED)
    with pytest.raises(Malformed):
        unwrap_locally(data, **LOCAL)


def test_secrets_have_their_sizes():
    assert len(new_device_secret()) == 32
    with pytest.raises(ValueError, match="64 bytes"):
        wrap_keyring(KEYRING, **{**STORED, "export_key": b"short"})
    with pytest.raises(ValueError, match="32 bytes"):
        wrap_locally(ROOT, **{**LOCAL, "device_secret": b"short"}, cost=INSECURE_FOR_TESTS_ONLY)
