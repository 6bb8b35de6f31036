"""OPAQUE against the ristretto255 vectors of RFC 9807, real and fake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.crypto import ristretto255
from strongroom.crypto.opaque import Identities, ServerSetup, client, envelope, identity_for_test_vectors_only, server
from strongroom.crypto.opaque.messages import RegistrationResponse

FILE = json.loads(
    (Path(__file__).parents[3] / "vectors" / "rfc9807" / "opaque_3dh_ristretto255.json").read_text(encoding="utf-8")
)
CONTEXT = bytes.fromhex(FILE["context"])


def scripted(*draws: bytes) -> Callable[[int], bytes]:
    """Give these bytes in turn; a scalar is drawn as 64 bytes and reduced, so a given one is padded with zeros."""
    left = iter(draws)
    return lambda count: next(left).ljust(count, b"\x00")


@pytest.fixture(params=FILE["real"], ids=["C.1.1", "C.1.2"])
def real(request):
    return {name: bytes.fromhex(value) for name, value in request.param.items()}


def setup_of(vector: dict[str, bytes]) -> ServerSetup:
    setup = ServerSetup.explicit(
        oprf_seed=vector["oprf_seed"],
        private_key=ristretto255.decode_scalar(vector["server_private_key"]),
        fake_public_key=ristretto255.decode_element(vector["client_public_key"]),
        fake_masking_key=vector.get("masking_key", bytes(64)),
    )
    assert setup.public_key == vector["server_public_key"]
    return setup


def identities_of(vector: dict[str, bytes]) -> Identities:
    return Identities(client=vector.get("client_identity"), server=vector.get("server_identity"))


def test_registration_is_the_rfcs(real):
    state, request = client.start_registration(real["password"], entropy=scripted(real["blind_registration"]))
    assert request == real["registration_request"]
    response = server.registration_response(setup_of(real), real["credential_identifier"], request)
    assert response == real["registration_response"]
    randomized = envelope.randomized_password(
        state.password, state.blind, RegistrationResponse.from_bytes(response).evaluated, identity_for_test_vectors_only
    )
    assert randomized == real["randomized_password"]
    record, export_key = client.finish_registration(
        state,
        response,
        stretching=identity_for_test_vectors_only,
        identities=identities_of(real),
        entropy=scripted(real["envelope_nonce"]),
    )
    assert record == real["registration_upload"]
    assert export_key == real["export_key"]


def test_login_is_the_rfcs(real):
    state, ke1 = client.start_login(
        real["password"], entropy=scripted(real["blind_login"], real["client_nonce"], real["client_keyshare_seed"])
    )
    assert ke1 == real["KE1"]
    server_state, ke2 = server.start_login(
        setup_of(real),
        real["credential_identifier"],
        real["registration_upload"],
        ke1,
        identities=identities_of(real),
        context=CONTEXT,
        entropy=scripted(real["masking_nonce"], real["server_nonce"], real["server_keyshare_seed"]),
    )
    assert ke2 == real["KE2"]
    ke3, session_key, export_key = client.finish_login(
        state, ke2, stretching=identity_for_test_vectors_only, identities=identities_of(real), context=CONTEXT
    )
    assert ke3 == real["KE3"]
    assert session_key == real["session_key"]
    assert export_key == real["export_key"]
    assert server.finish_login(server_state, ke3) == session_key


@pytest.mark.parametrize("vector", FILE["fake"], ids=["C.2.1"])
def test_the_answer_for_no_account_is_the_rfcs(vector):
    fake = {name: bytes.fromhex(value) for name, value in vector.items()}
    _, ke2 = server.start_login(
        setup_of(fake),
        fake["credential_identifier"],
        None,
        fake["KE1"],
        identities=identities_of(fake),
        context=CONTEXT,
        entropy=scripted(fake["masking_nonce"], fake["server_nonce"], fake["server_keyshare_seed"]),
    )
    assert ke2 == fake["KE2"]
