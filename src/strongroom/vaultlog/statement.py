"""View statements: a device's signed word on the head that it has reached (docs/spec/vault-log.md section 6).

The store passes them on to the other devices, so that a history shown to one device only is seen when any two meet.
A statement holds the store's own signed head: what contradicts it contradicts the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedEntry
from strongroom.base.fields import Fields
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify
from strongroom.vaultlog.head import MAX_HEAD_BYTES, Head, SignedHead

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey

__all__ = ["MAX_STATEMENT_BYTES", "SignedStatement", "ViewStatement", "state_view"]

MAX_STATEMENT_BYTES: Final = 1024
_FORMAT: Final = "strongroom view statement"
_VERSION: Final = 1
_PATH: Final = "view statement"
_SIGNATURE_LABEL: Final = "strongroom device view v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewStatement:
    """What a device states: the signed head that it reached, and when by its own clock, in unix milliseconds."""

    device: bytes
    head: bytes
    time_ms: int

    def to_bytes(self) -> bytes:
        """Encode the body: what is signed."""
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "device": self.device,
                "head": self.head,
                "time": self.time_ms,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedStatement:
    """A statement with its signature. Parsing it checks no signature: ``is_authentic`` does, the head's included."""

    statement: ViewStatement
    head: Head
    body: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedStatement:
        """Decode, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=MAX_STATEMENT_BYTES)
        body = fields.byte_string("body", at_most=MAX_STATEMENT_BYTES)
        signature = fields.byte_string("signature", length=SIGNATURE_BYTES)
        fields.done()
        inner = Fields.decode(body, path=_PATH, error=MalformedEntry, max_bytes=MAX_STATEMENT_BYTES)
        inner.exactly("format", _FORMAT)
        inner.exactly("version", _VERSION)
        statement = ViewStatement(
            device=inner.byte_string("device", length=PUBLIC_KEY_BYTES),
            head=inner.byte_string("head", at_most=MAX_HEAD_BYTES),
            time_ms=inner.number("time"),
        )
        inner.done()
        return cls(statement=statement, head=SignedHead.from_bytes(statement.head).head, body=body, signature=signature)

    def to_bytes(self) -> bytes:
        """Encode for storage and transport."""
        return canonical.encode({"body": self.body, "signature": self.signature})

    def is_authentic(self) -> bool:
        """Tell whether the named device signed it, and the key that the head names signed the head."""
        return (
            verify(self.statement.device, _SIGNATURE_LABEL, self.body, self.signature)
            and SignedHead.from_bytes(self.statement.head).is_authentic()
        )

    def supersedes(self, other: SignedStatement) -> bool:
        """Tell whether this one of the same device goes forward from ``other``, in length and in time."""
        return self.head.length >= other.head.length and self.statement.time_ms > other.statement.time_ms


def state_view(head: bytes, *, device_key: SigningKey, at_ms: int) -> bytes:
    """Sign that this device has reached a signed head, at ``at_ms`` by its own clock."""
    body = ViewStatement(device=device_key.public, head=head, time_ms=at_ms).to_bytes()
    return canonical.encode({"body": body, "signature": device_key.sign(_SIGNATURE_LABEL, body)})
