"""Device certificate: the store's word that a device belongs to an account, and what it has proven of its code.

Short-lived, and of no use without the device's key: whoever shows one signs the hash of the session that it is shown
in. docs/spec/enrolment.md section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, sha256
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify

__all__ = [
    "ATTESTED_LIFETIME_MS",
    "MAX_CERTIFICATE_BYTES",
    "SHOWN_LABEL",
    "UNATTESTED_LIFETIME_MS",
    "AttestedGrade",
    "DeviceCertificate",
    "SignedDeviceCertificate",
    "shown_in",
]

ATTESTED_LIFETIME_MS: Final = 24 * 60 * 60 * 1000
"""Counted from the evidence, so that nothing but new evidence gives more time."""

UNATTESTED_LIFETIME_MS: Final = 7 * 24 * 60 * 60 * 1000
SHOWN_LABEL: Final = "strongroom device certificate shown v1"
"""What a device signs to show its certificate in a session: this label, over ``shown_in``."""

MAX_CERTIFICATE_BYTES: Final = 2 * 768
_LABEL: Final = "strongroom device certificate v1"
_MAX_BYTES: Final = 768
_PATH: Final = "device certificate"
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedGrade:
    """What the device's evidence proved: measurement (32 or 48 bytes), kind of platform, when (Unix milliseconds).

    ``platform`` is the kind of evidence, or ``simulated`` for a platform that proves no hardware.
    """

    measurement: bytes
    platform: str
    attested_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCertificate:
    """The statement. Times are Unix milliseconds, ``deployment`` is SHA-256 of the deployment key.

    ``account`` (16 bytes) stands for the account within its tenant and is none of the store's own identifiers.
    ``attested`` is ``None`` for a device that showed no evidence.
    """

    deployment: bytes
    epoch: int
    tenant: bytes
    account: bytes
    device_key: bytes
    attested: AttestedGrade | None
    not_before_ms: int
    not_after_ms: int
    serial: bytes

    @property
    def grade(self) -> str:
        """``attested`` or ``none``."""
        return "none" if self.attested is None else "attested"

    def renew_from_ms(self) -> int:
        """Give when half of its life is over and a client renews it."""
        return (self.not_before_ms + self.not_after_ms) // 2

    def to_bytes(self) -> bytes:
        """Encode what is signed."""
        grade = self.attested
        return canonical.encode(
            {
                "label": _LABEL,
                "deployment": self.deployment,
                "epoch": self.epoch,
                "tenant": self.tenant,
                "account": self.account,
                "device_key": self.device_key,
                "measurement": None if grade is None else grade.measurement,
                "platform": "" if grade is None else grade.platform,
                "attested_at": 0 if grade is None else grade.attested_at_ms,
                "not_before": self.not_before_ms,
                "not_after": self.not_after_ms,
                "serial": self.serial,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> DeviceCertificate:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedMessage, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        measurement = fields.optional_byte_string("measurement", at_most=48)
        platform, attested_at_ms = fields.text("platform", at_most=32), fields.number("attested_at")
        grade = None
        if measurement is not None:
            if len(measurement) not in {32, 48} or not platform:
                raise fields.fail("an attested grade has a measurement of 32 or 48 bytes and a platform")
            grade = AttestedGrade(measurement=measurement, platform=platform, attested_at_ms=attested_at_ms)
        elif platform or attested_at_ms:
            raise fields.fail("a grade without a measurement is none")
        certificate = cls(
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            epoch=fields.number("epoch"),
            tenant=fields.byte_string("tenant", length=_ID_BYTES),
            account=fields.byte_string("account", length=_ID_BYTES),
            device_key=fields.byte_string("device_key", length=PUBLIC_KEY_BYTES),
            attested=grade,
            not_before_ms=fields.number("not_before"),
            not_after_ms=fields.number("not_after"),
            serial=fields.byte_string("serial", length=_ID_BYTES),
        )
        fields.done()
        return certificate

    def sign(self, enrolment_key: SigningKey) -> SignedDeviceCertificate:
        """Sign with a tenant's enrolment key."""
        return SignedDeviceCertificate(certificate=self, signature=enrolment_key.sign(_LABEL, self.to_bytes()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDeviceCertificate:
    """The statement with the enrolment key's signature. Parsing does not check it; ``is_signed_by`` does."""

    certificate: DeviceCertificate
    signature: bytes

    def to_bytes(self) -> bytes:
        """Encode both."""
        return canonical.encode({"certificate": self.certificate.to_bytes(), "signature": self.signature})

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedDeviceCertificate:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedMessage, max_bytes=MAX_CERTIFICATE_BYTES)
        body = fields.byte_string("certificate", at_most=_MAX_BYTES)
        signature = fields.byte_string("signature", length=SIGNATURE_BYTES)
        fields.done()
        return cls(certificate=DeviceCertificate.from_bytes(body), signature=signature)

    def is_signed_by(self, enrolment_key: bytes) -> bool:
        """Tell whether the signature is that key's."""
        return verify(enrolment_key, _LABEL, self.certificate.to_bytes(), self.signature)


def shown_in(session: bytes, signed: bytes) -> bytes:
    """Give what a device signs to show a certificate: the session's hash, then SHA-256 of the signed certificate."""
    return session + sha256(signed)
