"""Key schedule of suite 1: everything from the secret ``s`` and the transcript hash ``h``.

Binder and data keys have the same two parents, so they stand or fall together: whoever made the binder that the
evidence commits to can read the data, and nobody else can (docs/spec/attested-channel.md 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.base import canonical
from strongroom.crypto.hashing import sha256
from strongroom.crypto.kdf import hkdf

__all__ = ["CHANNEL_ID_BYTES", "SECRET_BYTES", "KeySchedule", "hpke_info", "transcript_hash"]

SECRET_BYTES = 32
CHANNEL_ID_BYTES = 16


def hpke_info(hello: bytes) -> bytes:
    """Bind the sealed secret to the hello that asked for it; the library's HPKE takes no associated data."""
    return b"strongroom v1 hello" + sha256(hello)


def transcript_hash(hello: bytes, core: bytes) -> bytes:
    """Give ``h``: SHA-256 over both messages as sent, the sealed secret and the client's key included."""
    return sha256(canonical.encode(["strongroom v1 transcript", hello, core]))


@dataclass(frozen=True, slots=True, repr=False)
class KeySchedule:
    """The keys of one session. No representation, so that nothing prints them."""

    transcript: bytes
    server_binder: bytes
    server_confirmation: bytes
    client_to_server: bytes
    server_to_client: bytes
    channel_id: bytes

    @classmethod
    def derive(cls, secret: bytes, transcript: bytes) -> KeySchedule:
        """Derive all of them: HKDF-SHA-256 without salt, info = label followed by ``h``."""

        def key(label: str, length: int = 32) -> bytes:
            return hkdf(secret, b"strongroom v1 " + label.encode() + transcript, length=length)

        return cls(
            transcript=transcript,
            server_binder=key("server attests"),
            server_confirmation=key("server confirms"),
            client_to_server=key("client to server"),
            server_to_client=key("server to client"),
            channel_id=key("channel id", CHANNEL_ID_BYTES),
        )
