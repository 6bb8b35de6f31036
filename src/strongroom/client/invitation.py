"""Invitations: what a person needs to recognise a deployment. None of it is secret; all of it must arrive unaltered.

The text is ``strongroom1:`` and the base64url (RFC 4648 section 5, unpadded) of a canonical map
(docs/spec/floors-and-notices.md 7).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES
from strongroom.formats.store_api import TENANT_BYTES

if TYPE_CHECKING:
    from strongroom.base.canonical import Value

__all__ = ["MAX_MACHINES", "Invitation"]

MAX_MACHINES: Final = 16
_PREFIX: Final = "strongroom1:"
_MAX_TEXT: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Where a deployment is and which it is.

    ``deployment`` is SHA-256 of its key. ``simulated_root`` is the public key (SubjectPublicKeyInfo, DER) of a
    simulated platform's root, or ``None`` for real hardware; naming it does not make a client accept it.
    ``tenant`` is the customer whose store it is within the deployment (16 bytes), or ``None`` where there is one only.
    ``policy_digest`` is of the policy that goes with it, ``machines`` are the ids of the only machines that will do
    (none for any), ``notice_key`` signs distrust notices beside the deployment key.
    """

    url: str
    deployment: bytes
    simulated_root: bytes | None
    policy_digest: bytes | None = None
    machines: tuple[bytes, ...] = ()
    notice_key: bytes | None = None
    tenant: bytes | None = None

    def to_text(self) -> str:
        """Write the invitation. What is not set is left out, so that older clients read it."""
        content: dict[str, Value] = {
            "url": self.url,
            "deployment": self.deployment,
            "simulated_root": self.simulated_root,
        }
        if self.policy_digest is not None:
            content["policy"] = self.policy_digest
        if self.machines:
            content["machines"] = list(self.machines)
        if self.notice_key is not None:
            content["notice_key"] = self.notice_key
        if self.tenant is not None:
            content["tenant"] = self.tenant
        return _PREFIX + base64.urlsafe_b64encode(canonical.encode(content)).decode().rstrip("=")

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
        value = canonical.decode(body, path="invitation", max_bytes=_MAX_TEXT)
        given = set(value) if isinstance(value, dict) else set()
        fields = Fields(value, path="invitation", error=Malformed)
        invitation = cls(
            url=fields.text("url", at_most=512),
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            simulated_root=fields.optional_byte_string("simulated_root", at_most=256),
            policy_digest=fields.byte_string("policy", length=DIGEST_BYTES) if "policy" in given else None,
            machines=(
                fields.byte_strings("machines", length=DIGEST_BYTES, at_most=MAX_MACHINES)
                if "machines" in given
                else ()
            ),
            notice_key=fields.byte_string("notice_key", length=PUBLIC_KEY_BYTES) if "notice_key" in given else None,
            tenant=fields.byte_string("tenant", length=TENANT_BYTES) if "tenant" in given else None,
        )
        fields.done()
        if "machines" in given and not invitation.machines:
            raise fields.fail("a list of machines without one")
        return invitation
