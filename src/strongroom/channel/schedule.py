"""Key schedule of suite 1: everything from the secret ``s`` and the transcript hash ``h``.

Binder and data keys have the same two parents, so they stand or fall together: whoever made the binder that the
evidence commits to can read the data, and nobody else can (docs/spec/attested-channel.md 3).
"""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.base import canonical
from strongroom.crypto.hashing import sha256
from strongroom.crypto.kdf import expand_each, hkdf

__all__ = [
    "CHANNEL_ID_BYTES",
    "KEY_ID_BYTES",
    "SECRET_BYTES",
    "KeySchedule",
    "hpke_info",
    "mix",
    "transcript_hash",
]

SECRET_BYTES = 32
CHANNEL_ID_BYTES = 16
KEY_ID_BYTES = 16
_LABEL = b"strongroom v1 "
_PURPOSES = (
    b"server attests",
    b"client attests",
    b"server confirms",
    b"client to server",
    b"server to client",
    b"channel id",
    b"further keys",
)


def hpke_info(hello: bytes) -> bytes:
    """Bind the sealed secret to the hello that asked for it; the library's HPKE takes no associated data."""
    return b"strongroom v1 hello" + sha256(hello)


def transcript_hash(hello: bytes, core: bytes) -> bytes:
    """Give ``h``: SHA-256 over both messages as sent, the sealed secret and the client's key included."""
    return sha256(canonical.encode(["strongroom v1 transcript", hello, core]))


def mix(key: bytes, secret: bytes, transcript: bytes) -> bytes:
    """Mix a key that both ends had before with the fresh secret of an exchange (sections 11 and 12).

    The old key is the salt of the extraction, as in TLS 1.3 (RFC 8446 section 7.1): whoever lacks either of the two
    knows nothing of the result.
    """
    return hkdf(secret, b"strongroom v1 mix" + transcript, salt=key)


@dataclass(frozen=True, slots=True, repr=False)
class KeySchedule:
    """The keys of one session. No representation, so that nothing prints them.

    ``client_binder`` is what a client's own evidence commits to, where it shows any (section 14). ``further`` is where
    keys come from that not every session needs (section 10).
    """

    transcript: bytes
    server_binder: bytes
    client_binder: bytes
    server_confirmation: bytes
    client_to_server: bytes
    server_to_client: bytes
    channel_id: bytes
    further: bytes

    @classmethod
    def derive(cls, secret: bytes, transcript: bytes) -> KeySchedule:
        """Derive all of them: HKDF-SHA-256 without salt, info = label followed by ``h``."""

        keys = expand_each(secret, [_LABEL + label + transcript for label in _PURPOSES])
        attests, client, confirms, to_server, to_client, channel_id, further = keys
        return cls(
            transcript=transcript,
            server_binder=attests,
            client_binder=client,
            server_confirmation=confirms,
            client_to_server=to_server,
            server_to_client=to_client,
            channel_id=channel_id[:CHANNEL_ID_BYTES],  # HKDF's shorter output is the start of the longer one
            further=further,
        )

    @staticmethod
    def stream_key(further: bytes, direction: str, number: int) -> bytes:
        """Derive the key of one streamed body: ``direction`` is ``request`` or ``answer``, ``number`` the request's."""
        return hkdf(further, f"strongroom v1 stream {direction}".encode() + number.to_bytes(8, "big"))

    @staticmethod
    def resumption_of(further: bytes) -> tuple[bytes, bytes]:
        """Derive the key by which this session can be resumed once: its identifier (16 bytes) and the key (32)."""
        both = hkdf(further, b"strongroom v1 resumption", length=KEY_ID_BYTES + SECRET_BYTES)
        return both[:KEY_ID_BYTES], both[KEY_ID_BYTES:]
