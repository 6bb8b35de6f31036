"""Judging a device certificate that is shown in a session (docs/spec/enrolment.md 6.2).

For services that have no look into the store's database: they learn of a revocation when the certificate ends. The
store itself asks its database at each request and needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import equal
from strongroom.crypto.signatures import verify
from strongroom.formats.device_certificate import (
    ATTESTED_LIFETIME_MS,
    SHOWN_LABEL,
    UNATTESTED_LIFETIME_MS,
    DeviceCertificate,
    SignedDeviceCertificate,
    shown_in,
)

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["CertificateRule", "EnrolledDevice", "judge_certificate"]

_CLOCK_SKEW_MS: Final = 10 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """Whose certificates count. ``measurements``: the only ones that do, or ``None`` where no evidence is needed.

    ``enrolment_key`` is the tenant's in this epoch, learned over an attested channel; an empty set admits nobody.
    """

    enrolment_key: bytes
    deployment: bytes
    epoch: int
    tenant: bytes
    measurements: Collection[bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledDevice:
    """A device that showed its certificate in ``session`` and has the key that it names."""

    certificate: DeviceCertificate
    session: bytes


def judge_certificate(
    shown: bytes, signature: bytes, rule: CertificateRule, *, session: bytes, at_ms: int
) -> EnrolledDevice:
    """Judge a certificate and the device's signature; ``MalformedMessage``, or ``AppraisalRefused`` with every finding.

    ``session`` is the transcript hash of the channel in which both came, computed by this end.
    """
    signed = SignedDeviceCertificate.from_bytes(shown)
    certificate = signed.certificate
    grade = certificate.attested
    since_ms = certificate.not_before_ms if grade is None else grade.attested_at_ms
    lifetime_ms = UNATTESTED_LIFETIME_MS if grade is None else ATTESTED_LIFETIME_MS
    admitted = rule.measurements is None or (grade is not None and grade.measurement in rule.measurements)
    checks = [
        (
            "6.2.1",
            Check.SIGNATURE,
            signed.is_signed_by(rule.enrolment_key),
            "the device certificate is not signed by this tenant's enrolment key",
        ),
        (
            "6.2.2",
            Check.DEPLOYMENT,
            equal(certificate.deployment, rule.deployment),
            "the device certificate is of another deployment",
        ),
        ("6.2.3", Check.FRESHNESS, certificate.epoch == rule.epoch, "the device certificate is of another epoch"),
        (
            "6.2.4",
            Check.DEPLOYMENT,
            equal(certificate.tenant, rule.tenant),
            "the device certificate is another tenant's",
        ),
        (
            "6.2.5",
            Check.EXPIRY,
            certificate.not_before_ms - _CLOCK_SKEW_MS <= at_ms < certificate.not_after_ms,
            "the device certificate has expired or is not valid yet",
        ),
        (
            "6.2.6",
            Check.EXPIRY,
            certificate.not_after_ms - since_ms <= lifetime_ms,
            "the device certificate lasts longer than its grade may",
        ),
        (
            "6.2.7",
            Check.KEY_BINDING,
            verify(certificate.device_key, SHOWN_LABEL, shown_in(session, shown), signature),
            "the device has not signed this session",
        ),
        (
            "6.2.8",
            Check.MEASUREMENT,
            admitted,
            "the device has not attested to code that this service admits",
        ),
    ]
    findings = [
        Finding(check=check, message=message, section=f"enrolment {section}")
        for section, check, holds, message in checks
        if not holds
    ]
    if findings:
        raise AppraisalRefused(findings)
    return EnrolledDevice(certificate=certificate, session=session)
