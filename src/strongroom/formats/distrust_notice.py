"""Distrust notice: a signed word that a machine, an instance or a measurement is not to be believed any more.

docs/spec/floors-and-notices.md 4. The text form is ``strongroom-notice1:`` and the base64url (RFC 4648 section 5,
unpadded) of the signed notice.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey

__all__ = ["DistrustNotice", "Effect", "SignedDistrustNotice", "Subject"]

_LABEL: Final = "strongroom distrust notice v1"
_PREFIX: Final = "strongroom-notice1:"
_MAX_BYTES: Final = 2048
_MAX_REASON: Final = 200
_VALUE_BYTES: Final = {DIGEST_BYTES, 48}  # 48: the measurement of a trust domain


class Subject(StrEnum):
    """What a notice is about."""

    MACHINE = "machine"
    INSTANCE = "instance"
    MEASUREMENT = "measurement"


class Effect(StrEnum):
    """What a notice says of it."""

    DISTRUST = "distrust"
    TRUST_AGAIN = "trust-again"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrustNotice:
    """The statement. ``value`` names the subject: a machine's id, SHA-256 of an instance key, or a measurement.

    ``deployment`` is SHA-256 of the deployment key. Times are Unix milliseconds: ``since_ms`` is from when on the
    subject is not to be believed (from when on it may be again, for ``TRUST_AGAIN``), ``issued_ms`` orders the
    notices of one signer. ``reason`` is one line for people.
    """

    deployment: bytes
    subject: Subject
    value: bytes
    effect: Effect
    since_ms: int
    issued_ms: int
    reason: str

    def __post_init__(self) -> None:
        if len(self.value) not in _VALUE_BYTES or (self.subject is not Subject.MEASUREMENT and len(self.value) != 32):
            raise Malformed(f"a {self.subject} is not named by {len(self.value)} bytes", path="notice")
        if len(self.reason) > _MAX_REASON or not self.reason.isprintable():
            raise Malformed(f"the reason is not one line of at most {_MAX_REASON} characters", path="notice")

    def to_bytes(self) -> bytes:
        """Encode what is signed."""
        return canonical.encode(
            {
                "label": _LABEL,
                "deployment": self.deployment,
                "subject": str(self.subject),
                "value": self.value,
                "effect": str(self.effect),
                "since": self.since_ms,
                "issued": self.issued_ms,
                "reason": self.reason,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> DistrustNotice:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="notice", error=Malformed, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        subject, effect = fields.text("subject", at_most=16), fields.text("effect", at_most=16)
        if subject not in set(Subject) or effect not in set(Effect):
            raise fields.fail("an unknown subject or effect")
        notice = cls(
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            subject=Subject(subject),
            value=fields.byte_string("value", at_most=48),
            effect=Effect(effect),
            since_ms=fields.number("since"),
            issued_ms=fields.number("issued"),
            reason=fields.text("reason", at_most=_MAX_REASON),
        )
        fields.done()
        return notice

    def sign(self, key: SigningKey) -> SignedDistrustNotice:
        """Sign with the deployment key, or with the notice key that an invitation names."""
        body = self.to_bytes()
        return SignedDistrustNotice(notice=self, key=key.public, signature=key.sign(_LABEL, body))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDistrustNotice:
    """The statement with its signature and the public key of whoever made it.

    Parsing does not check the signature, ``is_signed`` does; neither says whether that key is to be believed.
    """

    notice: DistrustNotice
    key: bytes
    signature: bytes

    @property
    def is_signed(self) -> bool:
        """Tell whether the signature is the named key's."""
        return verify(self.key, _LABEL, self.notice.to_bytes(), self.signature)

    def to_bytes(self) -> bytes:
        """Encode all three."""
        return canonical.encode({"notice": self.notice.to_bytes(), "key": self.key, "signature": self.signature})

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedDistrustNotice:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="notice", error=Malformed, max_bytes=2 * _MAX_BYTES)
        signed = cls(
            notice=DistrustNotice.from_bytes(fields.byte_string("notice", at_most=_MAX_BYTES)),
            key=fields.byte_string("key", length=PUBLIC_KEY_BYTES),
            signature=fields.byte_string("signature", length=SIGNATURE_BYTES),
        )
        fields.done()
        return signed

    def to_text(self) -> str:
        """Write it so that it can be mailed."""
        return _PREFIX + base64.urlsafe_b64encode(self.to_bytes()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> SignedDistrustNotice:
        """Read the text form, or raise ``Malformed``. Space around it is forgiven."""
        text = text.strip()
        if not text.startswith(_PREFIX) or len(text) > 2 * _MAX_BYTES:
            raise Malformed(f"a notice begins with {_PREFIX!r}", path="notice")
        encoded = text.removeprefix(_PREFIX)
        try:
            body = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("not base64url", path="notice") from None
        return cls.from_bytes(body)
