"""Restore notice: a deployment's signed word that its database was put back to a backup (docs/spec/restores.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, equal, sha256
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey

__all__ = ["MAX_NOTICE_BYTES", "RestoreNotice", "SignedRestoreNotice"]

MAX_NOTICE_BYTES: Final = 1024
_LABEL: Final = "strongroom restore notice v1"
_MAX_REASON: Final = 200
_MAX_MS: Final = 253_402_300_799_999  # the end of the year 9999
_PATH: Final = "restore notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreNotice:
    """The statement. ``deployment`` is SHA-256 of the deployment key; times are Unix milliseconds by the host's clock.

    ``epoch`` is the one that clients see from the restore on, ``taken_ms`` when the backup was made, ``reason`` one
    line of the operator's.
    """

    deployment: bytes
    epoch: int
    taken_ms: int
    restored_ms: int
    reason: str

    def __post_init__(self) -> None:
        if len(self.reason) > _MAX_REASON or not self.reason.isprintable():
            raise Malformed(f"the reason is not one line of at most {_MAX_REASON} characters", path=_PATH)

    def to_bytes(self) -> bytes:
        """Encode what is signed."""
        return canonical.encode(
            {
                "label": _LABEL,
                "deployment": self.deployment,
                "epoch": self.epoch,
                "taken": self.taken_ms,
                "restored": self.restored_ms,
                "reason": self.reason,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> RestoreNotice:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path=_PATH, error=Malformed, max_bytes=MAX_NOTICE_BYTES)
        fields.exactly("label", _LABEL)
        notice = cls(
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            epoch=fields.number("epoch"),
            taken_ms=fields.number("taken", at_most=_MAX_MS),
            restored_ms=fields.number("restored", at_most=_MAX_MS),
            reason=fields.text("reason", at_most=_MAX_REASON),
        )
        fields.done()
        return notice

    def sign(self, key: SigningKey) -> SignedRestoreNotice:
        """Sign with the deployment key."""
        return SignedRestoreNotice(notice=self, key=key.public, signature=key.sign(_LABEL, self.to_bytes()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRestoreNotice:
    """The statement, the deployment key and its signature. Parsing checks neither; ``is_from`` does."""

    notice: RestoreNotice
    key: bytes
    signature: bytes

    def is_from(self, deployment: bytes) -> bool:
        """Tell whether the deployment with this pinned id signed it, about itself."""
        named = equal(sha256(self.key), deployment) and equal(self.notice.deployment, deployment)
        return named and verify(self.key, _LABEL, self.notice.to_bytes(), self.signature)

    def to_bytes(self) -> bytes:
        """Encode all three."""
        return canonical.encode({"notice": self.notice.to_bytes(), "key": self.key, "signature": self.signature})

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedRestoreNotice:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path=_PATH, error=Malformed, max_bytes=2 * MAX_NOTICE_BYTES)
        signed = cls(
            notice=RestoreNotice.from_bytes(fields.byte_string("notice", at_most=MAX_NOTICE_BYTES)),
            key=fields.byte_string("key", length=PUBLIC_KEY_BYTES),
            signature=fields.byte_string("signature", length=SIGNATURE_BYTES),
        )
        fields.done()
        return signed
