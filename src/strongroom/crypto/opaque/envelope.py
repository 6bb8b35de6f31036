"""Keys and envelopes that a password determines (RFC 9807 sections 4 and 6.3.2.3). Only clients run this."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.crypto.hashing import equal
from strongroom.crypto.opaque import oprf
from strongroom.crypto.opaque.ake import derive_diffie_hellman_key_pair
from strongroom.crypto.opaque.messages import Envelope
from strongroom.crypto.opaque.suite import (
    NH,
    NN,
    NSEED,
    Entropy,
    Identities,
    KeyStretching,
    WrongPassword,
    expand,
    extract,
    framed,
    mac,
)
from strongroom.crypto.ristretto255 import Element, Scalar

__all__ = ["ClientCredentials", "create", "masking_key", "randomized_password", "recover"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientCredentials:
    """What the randomized password and a nonce determine."""

    private_key: Scalar
    public_key: Element
    export_key: bytes
    auth_key: bytes


def randomized_password(password: bytes, blind: Scalar, evaluated: Element, stretching: KeyStretching) -> bytes:
    """Combine the OPRF's output with its stretched form; 64 bytes from which all else is derived."""
    output = oprf.finalize(password, blind, evaluated)
    return extract(output + stretching(output))


def masking_key(randomized: bytes) -> bytes:
    """Derive the key under which the server hides whether an account exists."""
    return expand(randomized, b"MaskingKey", NH)


def create(
    randomized: bytes, server_public_key: bytes, identities: Identities, entropy: Entropy
) -> tuple[Envelope, ClientCredentials]:
    """Make a new envelope (Store, section 4.1.2)."""
    nonce = entropy(NN)
    credentials = _credentials(randomized, nonce)
    return Envelope(nonce=nonce, tag=_tag(credentials, nonce, server_public_key, identities)), credentials


def recover(
    randomized: bytes, server_public_key: bytes, envelope: Envelope, identities: Identities
) -> ClientCredentials:
    """Open an envelope (Recover, section 4.1.3), or raise ``WrongPassword``.

    The tag is checked before the server's public key is used for anything: under a wrong password it is noise.
    """
    credentials = _credentials(randomized, envelope.nonce)
    if not equal(envelope.tag, _tag(credentials, envelope.nonce, server_public_key, identities)):
        raise WrongPassword
    return credentials


def _credentials(randomized: bytes, nonce: bytes) -> ClientCredentials:
    private_key, public_key = derive_diffie_hellman_key_pair(expand(randomized, nonce + b"PrivateKey", NSEED))
    return ClientCredentials(
        private_key=private_key,
        public_key=public_key,
        export_key=expand(randomized, nonce + b"ExportKey", NH),
        auth_key=expand(randomized, nonce + b"AuthKey", NH),
    )


def _tag(credentials: ClientCredentials, nonce: bytes, server_public_key: bytes, identities: Identities) -> bytes:
    server = server_public_key if identities.server is None else identities.server
    client = credentials.public_key if identities.client is None else identities.client
    return mac(credentials.auth_key, nonce + server_public_key + framed(server) + framed(client))
