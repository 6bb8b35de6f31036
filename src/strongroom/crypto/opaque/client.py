"""The client's side of registration and login (RFC 9807 sections 5.2, 6.2 and 6.4.3).

The password never leaves this module in any form that could be tested against a guess without the server's help.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from strongroom.crypto.hashing import equal
from strongroom.crypto.opaque import envelope, oprf
from strongroom.crypto.opaque.ake import Transcript, derive_diffie_hellman_key_pair, diffie_hellman, exchange
from strongroom.crypto.opaque.messages import Envelope, Ke1, Ke2, RegistrationRecord, RegistrationResponse
from strongroom.crypto.opaque.suite import (
    CONTEXT,
    ENVELOPE_BYTES,
    NN,
    NPK,
    NSEED,
    Entropy,
    Identities,
    KeyStretching,
    WrongPassword,
    expand,
    xor,
)
from strongroom.crypto.ristretto255 import InvalidEncoding, Scalar, decode_element

__all__ = [
    "LoginState",
    "RegistrationState",
    "finish_login",
    "finish_registration",
    "start_login",
    "start_registration",
]

_NO_IDENTITIES = Identities()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RegistrationState:
    """What a client remembers between the two messages of a registration. Never stored."""

    password: bytes
    blind: Scalar


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoginState:
    """What a client remembers between KE1 and KE3. Never stored."""

    password: bytes
    blind: Scalar
    private_keyshare: Scalar
    ke1: Ke1


def start_registration(password: bytes, *, entropy: Entropy = os.urandom) -> tuple[RegistrationState, bytes]:
    """Begin a registration: the state to keep and the 32-byte request to send.

    The password is bytes, at most 65,535 of them; how text becomes bytes is the caller's rule.
    """
    blind, blinded = oprf.blind(password, entropy=entropy)
    return RegistrationState(password=password, blind=blind), blinded


def finish_registration(
    state: RegistrationState,
    response: bytes,
    *,
    stretching: KeyStretching,
    identities: Identities = _NO_IDENTITIES,
    entropy: Entropy = os.urandom,
) -> tuple[bytes, bytes]:
    """End a registration: the 192-byte record for the server, and the 64-byte export key for this client alone.

    Raises ``MalformedMessage`` for a response that is none. Costs one stretching.
    """
    message = RegistrationResponse.from_bytes(response)
    randomized = envelope.randomized_password(state.password, state.blind, message.evaluated, stretching)
    sealed, credentials = envelope.create(randomized, message.server_public_key, identities, entropy)
    record = RegistrationRecord(
        client_public_key=credentials.public_key, masking_key=envelope.masking_key(randomized), envelope=sealed
    )
    return record.to_bytes(), credentials.export_key


def start_login(password: bytes, *, entropy: Entropy = os.urandom) -> tuple[LoginState, bytes]:
    """Begin a login: the state to keep and the 96-byte KE1 to send."""
    blind, blinded = oprf.blind(password, entropy=entropy)
    nonce = entropy(NN)
    private_keyshare, keyshare = derive_diffie_hellman_key_pair(entropy(NSEED))
    ke1 = Ke1(blinded=blinded, client_nonce=nonce, client_keyshare=keyshare)
    return LoginState(password=password, blind=blind, private_keyshare=private_keyshare, ke1=ke1), ke1.to_bytes()


def finish_login(
    state: LoginState,
    ke2: bytes,
    *,
    stretching: KeyStretching,
    identities: Identities = _NO_IDENTITIES,
    context: bytes = CONTEXT,
) -> tuple[bytes, bytes, bytes]:
    """End a login: the 64-byte KE3 to send, the 64-byte session key, and the export key of the registration.

    Raises ``MalformedMessage`` for a KE2 that is none, and ``WrongPassword`` for everything else that can go wrong:
    another password, no such account, another server, a message changed on the way. Costs one stretching.
    """
    message = Ke2.from_bytes(ke2)
    response = message.credential_response
    randomized = envelope.randomized_password(state.password, state.blind, response.evaluated, stretching)
    pad = expand(
        envelope.masking_key(randomized), response.masking_nonce + b"CredentialResponsePad", NPK + ENVELOPE_BYTES
    )
    unmasked = xor(pad, response.masked_response)
    server_public_key = unmasked[:NPK]
    sealed = Envelope(nonce=unmasked[NPK : NPK + NN], tag=unmasked[NPK + NN :])
    credentials = envelope.recover(randomized, server_public_key, sealed, identities)
    try:
        server_key = decode_element(server_public_key)
    except InvalidEncoding:  # a key that this client would not have registered with
        raise WrongPassword from None
    result = exchange(
        diffie_hellman(state.private_keyshare, message.server_keyshare),
        diffie_hellman(state.private_keyshare, server_key),
        diffie_hellman(credentials.private_key, message.server_keyshare),
        Transcript(
            context=context,
            client_identity=credentials.public_key if identities.client is None else identities.client,
            ke1=state.ke1,
            server_identity=server_key if identities.server is None else identities.server,
            credential_response=response,
            server_nonce=message.server_nonce,
            server_keyshare=message.server_keyshare,
        ),
    )
    if not equal(message.server_mac, result.server_mac):
        raise WrongPassword
    return result.client_mac, result.session_key, credentials.export_key
