"""The key exchange 3DH (RFC 9807 section 6.4): transcript, key schedule, tags."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.crypto import ristretto255
from strongroom.crypto.opaque import oprf
from strongroom.crypto.opaque.messages import CredentialResponse, Ke1
from strongroom.crypto.opaque.suite import NX, expand, extract, framed, hashed, mac
from strongroom.crypto.ristretto255 import Element, Scalar

__all__ = ["Exchange", "Transcript", "derive_diffie_hellman_key_pair", "diffie_hellman", "exchange"]


def derive_diffie_hellman_key_pair(seed: bytes) -> tuple[Scalar, Element]:
    """Derive a key pair of the exchange from a 32-byte seed (section 6.4.1.1)."""
    return oprf.derive_key_pair(seed, b"OPAQUE-DeriveDiffieHellmanKeyPair")


def diffie_hellman(private_key: Scalar, public_key: Element) -> bytes:
    """Agree on a secret, 32 bytes."""
    return ristretto255.multiply(private_key, public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """All that both sides saw, in the order in which it is hashed (Preamble, section 6.4.2.1)."""

    context: bytes
    client_identity: bytes
    ke1: Ke1
    server_identity: bytes
    credential_response: CredentialResponse
    server_nonce: bytes
    server_keyshare: bytes

    def to_bytes(self) -> bytes:
        """Write the preamble."""
        return b"".join(
            (
                b"OPAQUEv1-",
                framed(self.context),
                framed(self.client_identity),
                self.ke1.to_bytes(),
                framed(self.server_identity),
                self.credential_response.to_bytes(),
                self.server_nonce,
                self.server_keyshare,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Exchange:
    """What an exchange ends in: both tags and the session key, 64 bytes each."""

    server_mac: bytes
    client_mac: bytes
    session_key: bytes


def exchange(dh1: bytes, dh2: bytes, dh3: bytes, transcript: Transcript) -> Exchange:
    """Derive the keys and both tags from the three agreed secrets (DeriveKeys, section 6.4.2.2)."""
    preamble = transcript.to_bytes()
    preamble_hash = hashed(preamble)
    secret = extract(dh1 + dh2 + dh3)
    handshake = _derive_secret(secret, b"HandshakeSecret", preamble_hash)
    server_mac = mac(_derive_secret(handshake, b"ServerMAC", b""), preamble_hash)
    return Exchange(
        server_mac=server_mac,
        client_mac=mac(_derive_secret(handshake, b"ClientMAC", b""), hashed(preamble + server_mac)),
        session_key=_derive_secret(secret, b"SessionKey", preamble_hash),
    )


def _derive_secret(secret: bytes, label: bytes, transcript_hash: bytes) -> bytes:
    full = b"OPAQUE-" + label
    info = NX.to_bytes(2, "big") + bytes((len(full),)) + full + bytes((len(transcript_hash),)) + transcript_hash
    return expand(secret, info, NX)
