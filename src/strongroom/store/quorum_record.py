"""Which instances keep a deployment's counter: one sealed row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.formats.quorum import MAX_MEMBERS

__all__ = ["QuorumRecord"]

_MAX_BYTES: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumRecord:
    """The counter's name and the members' addresses, in the order of their slots. An address proves nothing."""

    anchor: bytes
    urls: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode({"anchor": self.anchor, "urls": self.urls})

    @classmethod
    def from_bytes(cls, data: bytes) -> QuorumRecord:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="quorum", error=Malformed, max_bytes=_MAX_BYTES)
        record = cls(
            anchor=fields.byte_string("anchor", length=DIGEST_BYTES), urls=fields.texts("urls", at_most=MAX_MEMBERS)
        )
        fields.done()
        return record
