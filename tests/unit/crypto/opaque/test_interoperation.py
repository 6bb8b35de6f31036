"""Against another implementation (opaque-ke, through opaque_snake): our client with its server and the reverse.

It knows no context and no identities, and stretches with Argon2id at 19 MiB, 2 passes, 1 lane.
"""

from __future__ import annotations

import opaque_snake
import pytest

from strongroom.crypto.opaque import ServerSetup, WrongPassword, argon2id, client, server
from strongroom.crypto.stretching import StretchProfile

STRETCH = argon2id(StretchProfile(name="opaque-ke", memory_kib=19_456, passes=2, lanes=1))
PASSWORD = "correct horse battery staple"
ACCOUNT = "account-1"


def test_our_client_registers_and_logs_in_with_its_server():
    theirs = opaque_snake.OpaqueServer()
    state, request = client.start_registration(PASSWORD.encode())
    response = theirs.create_registration_response(opaque_snake.RegistrationRequest.from_bytes(request), ACCOUNT)
    record, export_key = client.finish_registration(state, response.to_bytes(), stretching=STRETCH)
    stored = theirs.finish_registration(opaque_snake.RegistrationUpload.from_bytes(record))

    login, ke1 = client.start_login(PASSWORD.encode())
    answer, their_state = theirs.create_credential_response(
        opaque_snake.CredentialRequest.from_bytes(ke1), ACCOUNT, stored
    )
    ke3, session_key, again = client.finish_login(login, answer.to_bytes(), stretching=STRETCH, context=b"")
    keys = theirs.finish_login(opaque_snake.CredentialFinalization.from_bytes(ke3), their_state)
    assert keys.session_key == session_key
    assert again == export_key

    login, ke1 = client.start_login(b"another password")
    answer, _ = theirs.create_credential_response(opaque_snake.CredentialRequest.from_bytes(ke1), ACCOUNT, stored)
    with pytest.raises(WrongPassword):
        client.finish_login(login, answer.to_bytes(), stretching=STRETCH, context=b"")


def test_its_client_registers_and_logs_in_with_our_server():
    setup, theirs = ServerSetup.from_secret(bytes(32)), opaque_snake.OpaqueClient()
    request, state = theirs.start_registration(PASSWORD)
    response = server.registration_response(setup, ACCOUNT.encode(), request.to_bytes())
    registered = theirs.finish_registration(opaque_snake.RegistrationResponse.from_bytes(response), state, PASSWORD)
    assert registered.server_s_pk == setup.public_key
    record = registered.upload.to_bytes()

    ke1, login = theirs.start_login(PASSWORD)
    our_state, ke2 = server.start_login(setup, ACCOUNT.encode(), record, ke1.to_bytes(), context=b"")
    result = theirs.finish_login(opaque_snake.CredentialResponse.from_bytes(ke2), login, PASSWORD)
    assert server.finish_login(our_state, result.finalization.to_bytes()) == result.session_keys.session_key
    assert result.session_keys.export_key == registered.export_key

    ke1, login = theirs.start_login(PASSWORD)
    _, ke2 = server.start_login(setup, ACCOUNT.encode(), None, ke1.to_bytes(), context=b"")
    with pytest.raises(opaque_snake.AuthenticationError):
        theirs.finish_login(opaque_snake.CredentialResponse.from_bytes(ke2), login, PASSWORD)
