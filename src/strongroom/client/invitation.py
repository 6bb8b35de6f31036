"""Invitations: what a person needs to recognise a deployment. None of it is secret; all of it must arrive unaltered.

The text is ``strongroom1:`` and the base64url (RFC 4648 section 5, unpadded) of a canonical map.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES

__all__ = ["Invitation"]

_PREFIX: Final = "strongroom1:"
_MAX_TEXT: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Where a deployment is and which it is.

    ``deployment`` is SHA-256 of its key. ``simulated_root`` is the public key (SubjectPublicKeyInfo, DER) of a
    simulated platform's root, or ``None`` for real hardware; naming it does not make a client accept it.
    """

    url: str
    deployment: bytes
    simulated_root: bytes | None

    def to_text(self) -> str:
        """Write the invitation."""
        body = canonical.encode({"url": self.url, "deployment": self.deployment, "simulated_root": self.simulated_root})
        return _PREFIX + base64.urlsafe_b64encode(body).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Invitation:
        """Read an invitation, or raise ``Malformed``. Space around it is forgiven."""
        text = text.strip()
        if not text.startswith(_PREFIX) or len(text) > _MAX_TEXT:
            raise Malformed(f"an invitation begins with {_PREFIX!r}", path="invitation")
        encoded = text.removeprefix(_PREFIX)
        try:
            body = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("not base64url", path="invitation") from None
        fields = Fields.decode(body, path="invitation", error=Malformed, max_bytes=_MAX_TEXT)
        invitation = cls(
            url=fields.text("url", at_most=512),
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            simulated_root=fields.optional_byte_string("simulated_root", at_most=256),
        )
        fields.done()
        return invitation
