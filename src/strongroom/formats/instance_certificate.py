"""Instance certificate: the deployment key's word for one running instance (docs/spec/attested-channel.md 5).

An instance key is born when an instance starts and never leaves its memory. The deployment key, which clients
pin, signs for it: this key, in this epoch, on this machine, for at most a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, labelled_hash, sha256
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify

__all__ = ["MAX_LIFETIME_MS", "InstanceCertificate", "SignedInstanceCertificate", "machine_id"]

MAX_LIFETIME_MS: Final = 24 * 60 * 60 * 1000
_LABEL: Final = "strongroom instance certificate v1"
_MAX_BYTES: Final = 512


def machine_id(platform_id: bytes) -> bytes:
    """Name a machine by a hash of the identifier in its evidence (for SGX the PPID, 16 bytes); 32 bytes."""
    return labelled_hash("strongroom v1 machine", platform_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceCertificate:
    """The statement. Times are Unix milliseconds; ``deployment`` is SHA-256 of the deployment key."""

    deployment: bytes
    instance_key: bytes
    epoch: int
    machine: bytes
    not_before_ms: int
    not_after_ms: int

    def to_bytes(self) -> bytes:
        """Encode what is signed."""
        return canonical.encode(
            {
                "label": _LABEL,
                "deployment": self.deployment,
                "instance_key": self.instance_key,
                "epoch": self.epoch,
                "machine": self.machine,
                "not_before": self.not_before_ms,
                "not_after": self.not_after_ms,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> InstanceCertificate:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="instance certificate", error=MalformedMessage, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        certificate = cls(
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            instance_key=fields.byte_string("instance_key", length=PUBLIC_KEY_BYTES),
            epoch=fields.number("epoch"),
            machine=fields.byte_string("machine", length=DIGEST_BYTES),
            not_before_ms=fields.number("not_before"),
            not_after_ms=fields.number("not_after"),
        )
        fields.done()
        return certificate

    def sign(self, deployment_key: SigningKey) -> SignedInstanceCertificate:
        """Sign with the deployment key, which must be the one named."""
        if sha256(deployment_key.public) != self.deployment:
            raise ValueError("the certificate names another deployment key")
        return SignedInstanceCertificate(certificate=self, signature=deployment_key.sign(_LABEL, self.to_bytes()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInstanceCertificate:
    """The statement with the deployment key's signature. Parsing does not check it; ``is_signed_by`` does."""

    certificate: InstanceCertificate
    signature: bytes

    def to_bytes(self) -> bytes:
        """Encode both."""
        return canonical.encode({"certificate": self.certificate.to_bytes(), "signature": self.signature})

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedInstanceCertificate:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="instance certificate", error=MalformedMessage, max_bytes=2 * _MAX_BYTES)
        body = fields.byte_string("certificate", at_most=_MAX_BYTES)
        signature = fields.byte_string("signature", length=SIGNATURE_BYTES)
        fields.done()
        return cls(certificate=InstanceCertificate.from_bytes(body), signature=signature)

    def is_signed_by(self, deployment_key: bytes) -> bool:
        """Tell whether the signature is that key's."""
        return verify(deployment_key, _LABEL, self.certificate.to_bytes(), self.signature)
