"""The server's side of registration and login (RFC 9807 sections 5.2, 6.2, 6.3.2.2 and 6.4.4)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import MalformedMessage
from strongroom.crypto import kdf, ristretto255
from strongroom.crypto.hashing import equal
from strongroom.crypto.opaque import oprf
from strongroom.crypto.opaque.ake import Transcript, derive_diffie_hellman_key_pair, diffie_hellman, exchange
from strongroom.crypto.opaque.messages import (
    CredentialResponse,
    Envelope,
    Ke1,
    Ke2,
    RegistrationRecord,
    RegistrationResponse,
    ke3_tag,
    registration_request,
)
from strongroom.crypto.opaque.suite import (
    CONTEXT,
    ENVELOPE_BYTES,
    NH,
    NM,
    NN,
    NOK,
    NPK,
    NSEED,
    NX,
    Entropy,
    Identities,
    WrongPassword,
    expand,
    xor,
)
from strongroom.crypto.ristretto255 import Element, Scalar

__all__ = ["LoginState", "ServerSetup", "finish_login", "registration_response", "start_login"]

SECRET_BYTES = 32
_NO_IDENTITIES = Identities()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerSetup:
    """The server's long-lived secrets, one set for all accounts, and the record that stands in for no account."""

    oprf_seed: bytes
    private_key: Scalar
    public_key: Element
    fake_record: bytes

    @classmethod
    def from_secret(cls, secret: bytes) -> ServerSetup:
        """Derive everything from one 32-byte secret; the same secret always gives the same set-up."""
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a secret has {SECRET_BYTES} bytes")
        private_key, _ = derive_diffie_hellman_key_pair(kdf.derive(secret, "strongroom v1 opaque server key"))
        _, nobodys_public_key = derive_diffie_hellman_key_pair(kdf.derive(secret, "strongroom v1 opaque nobody's key"))
        return cls.explicit(
            oprf_seed=kdf.derive(secret, "strongroom v1 opaque oprf seed", length=NH),
            private_key=private_key,
            fake_public_key=nobodys_public_key,
            fake_masking_key=kdf.derive(secret, "strongroom v1 opaque nobody's masking key", length=NH),
        )

    @classmethod
    def explicit(
        cls, *, oprf_seed: bytes, private_key: Scalar, fake_public_key: Element, fake_masking_key: bytes
    ) -> ServerSetup:
        """Make a set-up of given parts; the fake record's envelope is zeros (section 6.3.2.2)."""
        nobody = RegistrationRecord(
            client_public_key=fake_public_key,
            masking_key=fake_masking_key,
            envelope=Envelope(nonce=bytes(NN), tag=bytes(NM)),
        )
        return cls(
            oprf_seed=oprf_seed,
            private_key=private_key,
            public_key=ristretto255.multiply_base(private_key),
            fake_record=nobody.to_bytes(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoginState:
    """What a server remembers between KE2 and KE3. Secret: whoever stores it seals it."""

    expected_client_mac: bytes
    session_key: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> LoginState:
        """Parse 128 bytes, or raise ``MalformedMessage``."""
        cursor = ByteCursor(data, path="opaque server login state", error=MalformedMessage)
        state = cls(expected_client_mac=cursor.take(NM, "client MAC"), session_key=cursor.take(NX, "session key"))
        cursor.expect_end()
        return state

    def to_bytes(self) -> bytes:
        """Write the state."""
        return self.expected_client_mac + self.session_key


def registration_response(setup: ServerSetup, credential_identifier: bytes, request: bytes) -> bytes:
    """Answer a registration: 64 bytes. ``credential_identifier`` names one account for ever.

    Raises ``MalformedMessage``. The answer is the same for the same request, and tells nothing about whether the
    account exists already: the caller has to know that before it stores a record.
    """
    blinded = registration_request(request)
    evaluated = oprf.blind_evaluate(_oprf_key(setup, credential_identifier), blinded)
    return RegistrationResponse(evaluated=evaluated, server_public_key=setup.public_key).to_bytes()


def start_login(
    setup: ServerSetup,
    credential_identifier: bytes,
    record: bytes | None,
    ke1: bytes,
    *,
    identities: Identities = _NO_IDENTITIES,
    context: bytes = CONTEXT,
    entropy: Entropy = os.urandom,
) -> tuple[LoginState, bytes]:
    """Answer a KE1: the state to keep and the 320-byte KE2 to send. ``None`` as record: no such account.

    An unknown account takes the fake record through the very same steps, so that neither the answer nor the time
    it takes says whether an account exists. Raises ``MalformedMessage`` for a KE1 or a record that is none.
    """
    message = Ke1.from_bytes(ke1)
    credential = RegistrationRecord.from_bytes(setup.fake_record if record is None else record)
    evaluated = oprf.blind_evaluate(_oprf_key(setup, credential_identifier), message.blinded)
    masking_nonce = entropy(NN)
    pad = expand(credential.masking_key, masking_nonce + b"CredentialResponsePad", NPK + ENVELOPE_BYTES)
    response = CredentialResponse(
        evaluated=evaluated,
        masking_nonce=masking_nonce,
        masked_response=xor(pad, setup.public_key + credential.envelope.to_bytes()),
    )
    server_nonce = entropy(NN)
    private_keyshare, keyshare = derive_diffie_hellman_key_pair(entropy(NSEED))
    result = exchange(
        diffie_hellman(private_keyshare, message.client_keyshare),
        diffie_hellman(setup.private_key, message.client_keyshare),
        diffie_hellman(private_keyshare, credential.client_public_key),
        Transcript(
            context=context,
            client_identity=credential.client_public_key if identities.client is None else identities.client,
            ke1=message,
            server_identity=setup.public_key if identities.server is None else identities.server,
            credential_response=response,
            server_nonce=server_nonce,
            server_keyshare=keyshare,
        ),
    )
    ke2 = Ke2(
        credential_response=response,
        server_nonce=server_nonce,
        server_keyshare=keyshare,
        server_mac=result.server_mac,
    )
    return LoginState(expected_client_mac=result.client_mac, session_key=result.session_key), ke2.to_bytes()


def finish_login(state: LoginState, ke3: bytes) -> bytes:
    """Check the client's tag: the 64-byte session key, or ``WrongPassword``. Nothing is granted before this.

    Raises ``MalformedMessage`` for a KE3 that is none.
    """
    if not equal(ke3_tag(ke3), state.expected_client_mac):
        raise WrongPassword
    return state.session_key


def _oprf_key(setup: ServerSetup, credential_identifier: bytes) -> Scalar:
    seed = expand(setup.oprf_seed, credential_identifier + b"OprfKey", NOK)
    private_key, _ = oprf.derive_key_pair(seed, b"OPAQUE-DeriveKeyPair")
    return private_key
