"""Client claims: what an enclave that is the *client* of a session says of itself in the report data of its evidence.

They have another label than a server's claims, so that the evidence of one role is none of the other
(docs/spec/attested-channel.md 14). The report data is SHA-256 of the encoded claims and 32 zero bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, labelled_hash

__all__ = ["MAX_CLIENT_CLAIMS_BYTES", "ClientClaims", "ClientRole", "client_leaf"]

MAX_CLIENT_CLAIMS_BYTES: Final = 512
_LABEL: Final = "strongroom client claims v1"


class ClientRole(StrEnum):
    """As what an enclave is a client. Evidence for one role is refused in another."""

    DEVICE = "device"
    """A person's device, at a store that admits attested devices only."""

    INSTANCE = "instance"
    """A store instance that asks a running one for the root key, or to be a member of its quorum."""


def client_leaf(role: ClientRole, binder: bytes) -> bytes:
    """Give what claims hold of a session's client binder, 32 bytes; it tells nothing of the binder."""
    return labelled_hash("strongroom v1 client leaf", role.encode(), binder)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientClaims:
    """``leaf`` ties the evidence to one session and one role; ``context`` (32 bytes) to what the client says beside it.

    For a device that is SHA-256 of its device key, for an instance SHA-256 of its request.
    """

    role: ClientRole
    leaf: bytes
    context: bytes

    def to_bytes(self) -> bytes:
        """Encode; the encoding is what is hashed."""
        return canonical.encode({"label": _LABEL, "role": str(self.role), "leaf": self.leaf, "context": self.context})

    @classmethod
    def from_bytes(cls, data: bytes) -> ClientClaims:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="client claims", error=MalformedMessage, max_bytes=MAX_CLIENT_CLAIMS_BYTES)
        fields.exactly("label", _LABEL)
        role = fields.text("role", at_most=16)
        if role not in set(ClientRole):
            raise fields.fail("field 'role' is no role of a client")
        claims = cls(
            role=ClientRole(role),
            leaf=fields.byte_string("leaf", length=DIGEST_BYTES),
            context=fields.byte_string("context", length=DIGEST_BYTES),
        )
        fields.done()
        return claims
