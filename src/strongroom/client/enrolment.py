"""This device's certificate: kept in the local store, renewed by itself (docs/spec/enrolment.md 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, MalformedMessage, RecordTampered
from strongroom.base.fields import Fields
from strongroom.client.account import prove_device
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES
from strongroom.formats.device_api import Enrol
from strongroom.formats.device_certificate import (
    MAX_CERTIFICATE_BYTES,
    SHOWN_LABEL,
    DeviceCertificate,
    SignedDeviceCertificate,
    shown_in,
)

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device

__all__ = ["Enrolment", "keep_enrolled", "kept_enrolment"]

_KIND: Final = "enrolment"
_KEY: Final = b"certificate"
_MAX_BYTES: Final = MAX_CERTIFICATE_BYTES + 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A certificate as the store gave it, with the key by which others check it."""

    signed: bytes
    enrolment_key: bytes

    @property
    def certificate(self) -> DeviceCertificate:
        """What it says."""
        return SignedDeviceCertificate.from_bytes(self.signed).certificate

    def shown(self, device: Device, session: bytes) -> tuple[bytes, bytes]:
        """Give what a service in ``session`` needs: the certificate, and the device's signature over that session."""
        return self.signed, device.device_key.sign(SHOWN_LABEL, shown_in(session, self.signed))


def kept_enrolment(device: Device) -> Enrolment | None:
    """Give the kept certificate, valid or not; ``None`` when there is none, or when what is kept is damaged."""
    kept = device.store.get(_KIND, _KEY)
    if kept is None:
        return None
    try:
        fields = Fields.decode(kept, path="enrolment", error=MalformedMessage, max_bytes=_MAX_BYTES)
        enrolment = Enrolment(
            signed=fields.byte_string("certificate", at_most=MAX_CERTIFICATE_BYTES),
            enrolment_key=fields.byte_string("key", length=PUBLIC_KEY_BYTES),
        )
        fields.done()
        SignedDeviceCertificate.from_bytes(enrolment.signed)
    except Malformed:
        return None  # it is renewed, and nothing is lost by it
    return enrolment


def keep_enrolled(device: Device, store: StoreApi, *, at: datetime) -> Enrolment:
    """Give a certificate of which half is still to come, renewing the kept one where it has less.

    A certificate of another epoch or deployment, or of no grade for a device that now attests itself, is renewed too.
    ``RecordTampered`` when the store gives one that is not this device's.
    """
    at_ms = int(at.timestamp() * 1000)
    kept = kept_enrolment(device)
    if kept is not None and _serves(kept.certificate, device, store, at_ms):
        return kept
    prove_device(store, device)
    answer = store.enrol(Enrol())
    signed = SignedDeviceCertificate.from_bytes(answer.certificate)
    certificate = signed.certificate
    if not signed.is_signed_by(answer.enrolment_key) or not _ours(certificate, device, store):
        raise RecordTampered("the store gave a certificate that is not this device's")
    enrolment = Enrolment(signed=answer.certificate, enrolment_key=answer.enrolment_key)
    device.store.put(_KIND, _KEY, canonical.encode({"certificate": enrolment.signed, "key": enrolment.enrolment_key}))
    return enrolment


def _serves(certificate: DeviceCertificate, device: Device, store: StoreApi, at_ms: int) -> bool:
    graded = certificate.attested is not None or device.profile.trust.attest_with is None
    young = certificate.not_before_ms <= at_ms < certificate.renew_from_ms()
    return graded and young and _ours(certificate, device, store)


def _ours(certificate: DeviceCertificate, device: Device, store: StoreApi) -> bool:
    peer = store.peer()
    named = (certificate.device_key, certificate.deployment, certificate.epoch)
    return named == (device.device_key.public, peer.deployment, peer.epoch)
