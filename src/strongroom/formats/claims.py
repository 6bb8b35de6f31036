"""Claims: what an enclave of ours says of itself in the report data of its evidence (docs/spec/attested-channel.md 4).

The report data is the SHA-256 of the encoded claims and 32 zero bytes, so evidence commits to every claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, sha256

__all__ = ["MAX_BATCH", "Claims", "report_data"]

MAX_BATCH: Final = 1 << 14  # leaves in one batch: a path then has at most 14 nodes
_LABEL: Final = "strongroom claims v1"
_MAX_BYTES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """One batch's claims.

    ``root`` and ``size`` are the Merkle tree over the batch's binders; ``deployment``, ``instance`` and
    ``head_key`` are SHA-256 of the public keys; ``release`` is 32 bytes that name the release that runs.
    """

    root: bytes
    size: int
    deployment: bytes
    instance: bytes
    head_key: bytes
    epoch: int
    release: bytes

    def to_bytes(self) -> bytes:
        """Encode; the encoding is what is hashed and signed."""
        return canonical.encode(
            {
                "label": _LABEL,
                "root": self.root,
                "size": self.size,
                "deployment": self.deployment,
                "instance": self.instance,
                "head_key": self.head_key,
                "epoch": self.epoch,
                "release": self.release,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Claims:
        """Decode, or raise ``MalformedMessage``. A repeated or unknown claim is malformed."""
        fields = Fields.decode(data, path="claims", error=MalformedMessage, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        claims = cls(
            root=fields.byte_string("root", length=DIGEST_BYTES),
            size=fields.number("size", at_most=MAX_BATCH),
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            instance=fields.byte_string("instance", length=DIGEST_BYTES),
            head_key=fields.byte_string("head_key", length=DIGEST_BYTES),
            epoch=fields.number("epoch"),
            release=fields.byte_string("release", length=DIGEST_BYTES),
        )
        fields.done()
        if claims.size == 0:
            raise fields.fail("a batch has at least one leaf")
        return claims


def report_data(claims: bytes) -> bytes:
    """Give the 64 bytes of report data that commit to encoded claims."""
    return sha256(claims) + bytes(32)
