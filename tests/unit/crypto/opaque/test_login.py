"""Registration and login between our two sides: what succeeds, and that everything else fails alike."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedMessage
from strongroom.crypto.opaque import (
    Identities,
    RegistrationRecord,
    ServerSetup,
    WrongPassword,
    argon2id,
    client,
    envelope,
    server,
)
from strongroom.crypto.opaque.messages import KE1_BYTES, KE2_BYTES, RECORD_BYTES, RegistrationResponse
from strongroom.crypto.opaque.suite import xor
from strongroom.crypto.ristretto255 import Element
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY

STRETCH = argon2id(INSECURE_FOR_TESTS_ONLY)
SETUP = ServerSetup.from_secret(bytes(range(32)))
ACCOUNT = b"account-1"
PASSWORD = "Grüße aus dem Tresor".encode()


def register(setup: ServerSetup = SETUP, account: bytes = ACCOUNT, password: bytes = PASSWORD) -> tuple[bytes, bytes]:
    state, request = client.start_registration(password)
    return client.finish_registration(state, server.registration_response(setup, account, request), stretching=STRETCH)


RECORD, EXPORT_KEY = register()


@dataclass(frozen=True)
class Attempt:
    client_state: client.LoginState
    ke1: bytes
    server_state: server.LoginState
    ke2: bytes


def attempt(
    password: bytes = PASSWORD,
    *,
    setup: ServerSetup = SETUP,
    account: bytes = ACCOUNT,
    record: bytes | None = RECORD,
) -> Attempt:
    client_state, ke1 = client.start_login(password)
    server_state, ke2 = server.start_login(setup, account, record, ke1)
    return Attempt(client_state, ke1, server_state, ke2)


def test_both_sides_end_with_one_key_and_the_export_key_of_the_registration():
    login = attempt()
    ke3, session_key, export_key = client.finish_login(login.client_state, login.ke2, stretching=STRETCH)
    assert server.finish_login(login.server_state, ke3) == session_key
    assert export_key == EXPORT_KEY
    assert len(session_key) == len(export_key) == 64


def test_every_login_has_another_session_key():
    keys = set()
    for _ in range(3):
        login = attempt()
        keys.add(client.finish_login(login.client_state, login.ke2, stretching=STRETCH)[1])
    assert len(keys) == 3


def test_a_server_state_can_be_kept_as_bytes():
    login = attempt()
    ke3, session_key, _ = client.finish_login(login.client_state, login.ke2, stretching=STRETCH)
    kept = server.LoginState.from_bytes(login.server_state.to_bytes())
    assert server.finish_login(kept, ke3) == session_key


def test_a_set_up_is_determined_by_its_secret():
    assert ServerSetup.from_secret(bytes(range(32))) == SETUP
    assert ServerSetup.from_secret(bytes(32)).public_key != SETUP.public_key
    with pytest.raises(ValueError, match="32 bytes"):
        ServerSetup.from_secret(bytes(31))


@pytest.mark.parametrize(
    "login",
    [
        pytest.param(lambda: attempt(b"another password"), id="another password"),
        pytest.param(lambda: attempt(b""), id="no password"),
        pytest.param(lambda: attempt(record=None), id="no such account"),
        pytest.param(lambda: attempt(account=b"account-2"), id="the record of another account"),
        pytest.param(lambda: attempt(setup=ServerSetup.from_secret(bytes(32))), id="another server"),
        pytest.param(lambda: attempt(record=register(password=b"other")[0]), id="a record put back"),
    ],
)
def test_whatever_is_wrong_the_client_learns_only_that_something_is(login):
    made = login()
    with pytest.raises(WrongPassword) as caught:
        client.finish_login(made.client_state, made.ke2, stretching=STRETCH)
    assert str(caught.value) == ""


def test_a_server_with_the_right_seed_and_another_key_is_refused():
    impostor = ServerSetup.explicit(
        oprf_seed=SETUP.oprf_seed,
        private_key=ServerSetup.from_secret(bytes(32)).private_key,
        fake_public_key=RegistrationRecord.from_bytes(SETUP.fake_record).client_public_key,
        fake_masking_key=bytes(64),
    )
    login = attempt(setup=impostor)
    with pytest.raises(WrongPassword):
        client.finish_login(login.client_state, login.ke2, stretching=STRETCH)


def test_a_server_that_shows_the_right_key_without_holding_it_is_refused():
    other = ServerSetup.from_secret(bytes(32))
    liar = ServerSetup(
        oprf_seed=SETUP.oprf_seed,
        private_key=other.private_key,
        public_key=SETUP.public_key,
        fake_record=SETUP.fake_record,
    )
    login = attempt(setup=liar)
    with pytest.raises(WrongPassword):
        client.finish_login(login.client_state, login.ke2, stretching=STRETCH)


@given(st.integers(0, KE2_BYTES * 8 - 1))
def test_a_ke2_with_one_bit_changed_is_refused(bit):
    login = attempt()
    changed = bytearray(login.ke2)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((WrongPassword, MalformedMessage)):
        client.finish_login(login.client_state, bytes(changed), stretching=STRETCH)


@given(st.integers(0, 64 * 8 - 1))
def test_a_ke3_with_one_bit_changed_is_refused(bit):
    login = attempt()
    ke3, _, _ = client.finish_login(login.client_state, login.ke2, stretching=STRETCH)
    changed = bytearray(ke3)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WrongPassword):
        server.finish_login(login.server_state, bytes(changed))


def test_a_ke3_of_another_login_is_refused():
    first, second = attempt(), attempt()
    ke3, _, _ = client.finish_login(first.client_state, first.ke2, stretching=STRETCH)
    with pytest.raises(WrongPassword):
        server.finish_login(second.server_state, ke3)


def test_nobody_can_finish_a_login_to_no_account():
    login = attempt(record=None)
    for guess in (bytes(64), os.urandom(64), login.ke2[-64:]):
        with pytest.raises(WrongPassword):
            server.finish_login(login.server_state, guess)


def test_another_context_or_other_identities_fail():
    login = attempt()
    with pytest.raises(WrongPassword):
        client.finish_login(login.client_state, login.ke2, stretching=STRETCH, context=b"another-protocol")
    with pytest.raises(WrongPassword):
        client.finish_login(login.client_state, login.ke2, stretching=STRETCH, identities=Identities(server=b"bob"))


@pytest.mark.parametrize("identities", [Identities(client=b"alice"), Identities(server=b"bob")])
def test_identities_are_bound_on_both_sides(identities):
    state, request = client.start_registration(PASSWORD)
    response = server.registration_response(SETUP, ACCOUNT, request)
    record, _ = client.finish_registration(state, response, stretching=STRETCH, identities=identities)
    client_state, ke1 = client.start_login(PASSWORD)
    server_state, ke2 = server.start_login(SETUP, ACCOUNT, record, ke1, identities=identities)
    ke3, session_key, _ = client.finish_login(client_state, ke2, stretching=STRETCH, identities=identities)
    assert server.finish_login(server_state, ke3) == session_key
    client_state, ke1 = client.start_login(PASSWORD)
    _, ke2 = server.start_login(SETUP, ACCOUNT, record, ke1)  # the server forgets the names
    with pytest.raises(WrongPassword):
        client.finish_login(client_state, ke2, stretching=STRETCH, identities=identities)


@pytest.mark.parametrize("offset", [0, 64])
@pytest.mark.parametrize("encoding", [bytes(32), b"\xff" * 32, b"\x01" + bytes(31)])
def test_a_ke1_with_the_identity_or_no_element_is_malformed(offset, encoding):
    _, ke1 = client.start_login(PASSWORD)
    with pytest.raises(MalformedMessage, match="element"):
        server.start_login(SETUP, ACCOUNT, RECORD, ke1[:offset] + encoding + ke1[offset + 32 :])


@pytest.mark.parametrize("offset", [0, 224])
def test_a_ke2_with_the_identity_is_malformed(offset):
    login = attempt()
    with pytest.raises(MalformedMessage, match="element"):
        client.finish_login(
            login.client_state, login.ke2[:offset] + bytes(32) + login.ke2[offset + 32 :], stretching=STRETCH
        )


@pytest.mark.parametrize("offset", [0, 32])
def test_a_registration_response_with_the_identity_is_malformed(offset):
    state, request = client.start_registration(PASSWORD)
    response = server.registration_response(SETUP, ACCOUNT, request)
    with pytest.raises(MalformedMessage, match="element"):
        client.finish_registration(state, response[:offset] + bytes(32) + response[offset + 32 :], stretching=STRETCH)


def test_a_record_with_the_identity_as_its_key_is_malformed():
    with pytest.raises(MalformedMessage, match="client public key"):
        RegistrationRecord.from_bytes(bytes(32) + RECORD[32:])


def test_an_account_with_a_server_key_that_is_none_cannot_log_in():
    # our client never registers with such a key; a record and a server made for each other reach this far
    nonsense = Element(b"\xff" * 32)
    state, request = client.start_registration(PASSWORD)
    response = RegistrationResponse.from_bytes(server.registration_response(SETUP, ACCOUNT, request))
    randomized = envelope.randomized_password(PASSWORD, state.blind, response.evaluated, STRETCH)
    sealed, credentials = envelope.create(randomized, nonsense, Identities(), os.urandom)
    record = RegistrationRecord(
        client_public_key=credentials.public_key, masking_key=envelope.masking_key(randomized), envelope=sealed
    )
    login = attempt(setup=replace(SETUP, public_key=nonsense), record=record.to_bytes())
    with pytest.raises(WrongPassword):
        client.finish_login(login.client_state, login.ke2, stretching=STRETCH)


def test_strings_of_different_lengths_are_not_combined():
    with pytest.raises(ValueError, match="lengths"):
        xor(b"ab", b"a")


def test_sizes_are_the_rfcs():
    login = attempt()
    assert (len(login.ke1), len(login.ke2), len(RECORD)) == (KE1_BYTES, KE2_BYTES, RECORD_BYTES) == (96, 320, 192)


def test_secrets_do_not_show_in_a_representation():
    login = attempt()
    for secret in (login.client_state, login.server_state, SETUP, RegistrationRecord.from_bytes(RECORD)):
        assert "object at" in repr(secret)
