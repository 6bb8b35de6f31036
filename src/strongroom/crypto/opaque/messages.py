"""The messages of registration and login (RFC 9807 sections 4.1.1, 5.1, 6.1 and 6.3.1), of fixed sizes.

Each is parsed completely before any of it is used: elements are canonical and not the identity, nothing follows
the last field. ``from_bytes`` gives a value or ``MalformedMessage``.
"""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import MalformedMessage
from strongroom.crypto.opaque.suite import ENVELOPE_BYTES, NH, NM, NN, NOE, NPK
from strongroom.crypto.ristretto255 import Element, InvalidEncoding, decode_element

__all__ = [
    "KE1_BYTES",
    "KE2_BYTES",
    "KE3_BYTES",
    "RECORD_BYTES",
    "REGISTRATION_REQUEST_BYTES",
    "REGISTRATION_RESPONSE_BYTES",
    "CredentialResponse",
    "Envelope",
    "Ke1",
    "Ke2",
    "RegistrationRecord",
    "RegistrationResponse",
    "ke3_tag",
    "registration_request",
]

REGISTRATION_REQUEST_BYTES = NOE
REGISTRATION_RESPONSE_BYTES = NOE + NPK
RECORD_BYTES = NPK + NH + ENVELOPE_BYTES
KE1_BYTES = NOE + NN + NPK
KE2_BYTES = NOE + NN + NPK + ENVELOPE_BYTES + NN + NPK + NM
KE3_BYTES = NM


def _cursor(data: bytes, path: str) -> ByteCursor:
    return ByteCursor(data, path=path, error=MalformedMessage)


def _element(cursor: ByteCursor, field: str) -> Element:
    encoding = cursor.take(NOE, field)
    try:
        return decode_element(encoding)
    except InvalidEncoding:
        raise cursor.fail(f"{field} is not an element of the group, or is the identity") from None


def registration_request(data: bytes) -> Element:
    """Parse a RegistrationRequest: one blinded element, 32 bytes."""
    cursor = _cursor(data, "opaque registration request")
    blinded = _element(cursor, "blinded message")
    cursor.expect_end()
    return blinded


def ke3_tag(data: bytes) -> bytes:
    """Parse a KE3: the client's tag, 64 bytes."""
    cursor = _cursor(data, "opaque KE3")
    tag = cursor.take(NM, "client MAC")
    cursor.expect_end()
    return tag


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationResponse:
    """What the server answers to a registration: the evaluated element and its public key, 64 bytes."""

    evaluated: Element
    server_public_key: Element

    @classmethod
    def from_bytes(cls, data: bytes) -> RegistrationResponse:
        """Parse, or raise ``MalformedMessage``."""
        cursor = _cursor(data, "opaque registration response")
        message = cls(
            evaluated=_element(cursor, "evaluated message"), server_public_key=_element(cursor, "server public key")
        )
        cursor.expect_end()
        return message

    def to_bytes(self) -> bytes:
        """Write the message."""
        return self.evaluated + self.server_public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What lets a client with the right password recover its key: a nonce and a tag, 96 bytes (section 4.1.1)."""

    nonce: bytes
    tag: bytes

    @classmethod
    def read(cls, cursor: ByteCursor) -> Envelope:
        """Take an envelope out of a larger message."""
        return cls(nonce=cursor.take(NN, "envelope nonce"), tag=cursor.take(NM, "envelope tag"))

    def to_bytes(self) -> bytes:
        """Write the envelope."""
        return self.nonce + self.tag


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RegistrationRecord:
    """What the server keeps of an account, 192 bytes. Without its OPRF seed a thief of it cannot test a guess."""

    client_public_key: Element
    masking_key: bytes
    envelope: Envelope

    @classmethod
    def from_bytes(cls, data: bytes) -> RegistrationRecord:
        """Parse, or raise ``MalformedMessage``. A store does this before it accepts a registration."""
        cursor = _cursor(data, "opaque record")
        record = cls(
            client_public_key=_element(cursor, "client public key"),
            masking_key=cursor.take(NH, "masking key"),
            envelope=Envelope.read(cursor),
        )
        cursor.expect_end()
        return record

    def to_bytes(self) -> bytes:
        """Write the record."""
        return self.client_public_key + self.masking_key + self.envelope.to_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ke1:
    """The client's first message of a login, 96 bytes."""

    blinded: Element
    client_nonce: bytes
    client_keyshare: Element

    @classmethod
    def from_bytes(cls, data: bytes) -> Ke1:
        """Parse, or raise ``MalformedMessage``."""
        cursor = _cursor(data, "opaque KE1")
        message = cls(
            blinded=_element(cursor, "blinded message"),
            client_nonce=cursor.take(NN, "client nonce"),
            client_keyshare=_element(cursor, "client keyshare"),
        )
        cursor.expect_end()
        return message

    def to_bytes(self) -> bytes:
        """Write the message."""
        return self.blinded + self.client_nonce + self.client_keyshare


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialResponse:
    """The half of KE2 from which the client recovers its credentials, 192 bytes (section 6.3.1)."""

    evaluated: Element
    masking_nonce: bytes
    masked_response: bytes

    @classmethod
    def read(cls, cursor: ByteCursor) -> CredentialResponse:
        """Take a response out of a KE2."""
        return cls(
            evaluated=_element(cursor, "evaluated message"),
            masking_nonce=cursor.take(NN, "masking nonce"),
            masked_response=cursor.take(NPK + ENVELOPE_BYTES, "masked response"),
        )

    def to_bytes(self) -> bytes:
        """Write the response."""
        return self.evaluated + self.masking_nonce + self.masked_response


@dataclass(frozen=True, slots=True, kw_only=True)
class Ke2:
    """The server's answer, 320 bytes: credential response, nonce, keyshare, tag."""

    credential_response: CredentialResponse
    server_nonce: bytes
    server_keyshare: Element
    server_mac: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Ke2:
        """Parse, or raise ``MalformedMessage``."""
        cursor = _cursor(data, "opaque KE2")
        message = cls(
            credential_response=CredentialResponse.read(cursor),
            server_nonce=cursor.take(NN, "server nonce"),
            server_keyshare=_element(cursor, "server keyshare"),
            server_mac=cursor.take(NM, "server MAC"),
        )
        cursor.expect_end()
        return message

    def to_bytes(self) -> bytes:
        """Write the message."""
        return self.credential_response.to_bytes() + self.server_nonce + self.server_keyshare + self.server_mac
