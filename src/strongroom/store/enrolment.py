"""Issues device certificates (docs/spec/enrolment.md 6). What a session has proven decides the grade.

An attested certificate lasts from the evidence, not from the renewal: renewing without new evidence gives no time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.crypto.hashing import equal, sha256
from strongroom.formats.device_certificate import (
    ATTESTED_LIFETIME_MS,
    UNATTESTED_LIFETIME_MS,
    AttestedGrade,
    DeviceCertificate,
    SignedDeviceCertificate,
)

if TYPE_CHECKING:
    from strongroom.store.deployment import Branch, Deployment
    from strongroom.store.sessions import DeviceIdentity
    from strongroom.verifier.client_binding import AttestedClient

__all__ = ["Enroller", "attested_grade"]

_ACCOUNT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Enroller:
    """Issues the certificates of one tenant."""

    branch: Branch | Deployment

    @property
    def public(self) -> bytes:
        """The enrolment key by which others check certificates."""
        return self.branch.keys.enrolment.public

    def issue(self, identity: DeviceIdentity, client: AttestedClient | None, *, at_ms: int) -> SignedDeviceCertificate:
        """Issue a certificate for a proven device; ``client`` is what its session has proven of its code."""
        if identity.device_key is None:
            raise ValueError("only a proven device gets a certificate")
        grade = attested_grade(client, identity.device_key)
        not_after_ms = at_ms + UNATTESTED_LIFETIME_MS
        if grade is not None and client is not None:
            not_after_ms = min(grade.attested_at_ms + ATTESTED_LIFETIME_MS, client.expires_at_ms)
        keys = self.branch.keys
        return DeviceCertificate(
            deployment=self.branch.deployment_id,
            epoch=self.branch.epoch,
            tenant=self.branch.tenant,
            account=keys.identifier("enrolled account", identity.account_id)[:_ACCOUNT_BYTES],
            device_key=identity.device_key,
            attested=grade,
            not_before_ms=at_ms,
            not_after_ms=not_after_ms,
            serial=os.urandom(16),
        ).sign(keys.enrolment)


def attested_grade(client: AttestedClient | None, device_key: bytes) -> AttestedGrade | None:
    """Give the grade that a session's evidence earns this device: none, unless it commits to the device's key."""
    if client is None or not equal(client.context, sha256(device_key)):
        return None
    return AttestedGrade(
        measurement=bytes(client.result.claims.measurement),
        platform="simulated" if client.result.simulated else client.result.kind,
        attested_at_ms=client.attested_at_ms,
    )
