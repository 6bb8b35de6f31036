"""The recovery kit: one page to print, with what a new device needs besides the password (docs/recovery.md).

Here is what stands on it, its plain text, and reading a kit's file back, text or HTML. ``cli.kit_page`` draws it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import ForkDetected, Malformed, RollbackDetected
from strongroom.client.invitation import Invitation
from strongroom.client.vault import LocalVault
from strongroom.records.account_secret import AccountSecret
from strongroom.vaultlog.head import head_code, read_head_code
from strongroom.vaultlog.head_codes import codes_of

if TYPE_CHECKING:
    from strongroom.client.device import Device

__all__ = [
    "ADVICE",
    "MAX_KIT_BYTES",
    "PRINT_IT",
    "KitHead",
    "RecoveryKit",
    "check_kit_head",
    "recovery_kit",
]

MAX_KIT_BYTES: Final = 512 * 1024
PRINT_IT: Final = "Print this page, keep it where you keep important papers, and delete the file."
ADVICE: Final = (
    "If you lose a device, revoke it from another one with: strongroom devices revoke NAME.",
    "If you lose all, run strongroom login on a new one with this kit and your password, then revoke the lost ones.",
    "Nobody can restore the account secret or the password for you, and whoever has both has everything.",
)
_TAGS: Final = re.compile(r"<(style|svg)\b.*?</\1>|<[^>]*>", re.DOTALL)
_PATH: Final = "recovery kit"
_LABELS: Final = ("account", "store", "account secret", "invitation", "head code", "entries")


@dataclass(frozen=True, slots=True, kw_only=True)
class KitHead:
    """Where the vault's log ended when the kit was made: a head code, the number of entries, the store's time."""

    code: str
    entries: int
    signed_ms: int = 0


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class RecoveryKit:
    """What stands on the page. It holds the account secret, so it has no representation.

    ``head`` is ``None`` where the device had not synced yet. ``own_policy`` says that the device has an appraisal
    policy of its own, which does not fit on the page.
    """

    username: str
    account_secret: AccountSecret
    invitation: Invitation
    head: KitHead | None = None
    own_policy: bool = False

    def to_text(self) -> str:
        """Write the page as plain text: each label on a line of its own, what it names on the next."""
        parts = [
            ("account", self.username),
            ("store", self.invitation.url),
            ("account secret", self.account_secret.text()),
            ("invitation", self.invitation.to_text()),
        ]
        if self.head is not None:
            parts += [("head code", self.head.code), ("entries", str(self.head.entries))]
        named = [line for label, value in parts for line in (label, value, "")]
        title = "Strongroom recovery kit"
        return "\n".join([title, "=" * len(title), "", PRINT_IT, *ADVICE, "", *named])

    @classmethod
    def parse(cls, data: bytes) -> RecoveryKit:
        """Read a kit's file, text or HTML as written here, or raise ``Malformed``; no error shows what is in it."""
        if len(data) > MAX_KIT_BYTES:
            raise Malformed(f"more than {MAX_KIT_BYTES} bytes", path=_PATH)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise Malformed("not UTF-8", path=_PATH, hint="give the text or HTML file, not a picture of it") from None
        if text.lstrip().startswith("<"):
            text = html.unescape(_TAGS.sub("\n", text))
        found = _labelled(text)
        head = None
        if "head code" in found:
            entries = found.get("entries", "")
            if not re.fullmatch(r"[0-9]{1,15}", entries):
                raise Malformed("a head code without its number of entries", path=_PATH)
            head = KitHead(code=read_head_code(found["head code"]), entries=int(entries))
        for label in ("account", "account secret", "invitation"):
            if label not in found:
                raise Malformed(f"no {label} in it", path=_PATH, hint="give the file that `strongroom kit` wrote")
        return cls(
            username=found["account"],
            account_secret=AccountSecret.parse(found["account secret"]),
            invitation=Invitation.from_text(found["invitation"]),
            head=head,
        )


def recovery_kit(device: Device) -> RecoveryKit:
    """Give the kit of an unlocked device."""
    trust = device.profile.trust
    state = LocalVault(device.store).sync_state()
    last = None if state is None else state.view.last_head
    return RecoveryKit(
        username=device.profile.username,
        account_secret=device.account_secret,
        # not the digest of a policy: it would shut out every later release of the code
        invitation=Invitation(
            url=trust.url,
            deployment=trust.deployment,
            simulated_root=trust.simulated_root,
            machines=trust.machines,
            notice_key=trust.notice_key,
            tenant=trust.tenant,
        ),
        head=None if last is None else KitHead(code=head_code(last), entries=last.length, signed_ms=last.time_ms),
        own_policy=trust.policy is not None,
    )


def check_kit_head(device: Device, head: KitHead) -> None:
    """Hold the log that this device has read against the head of a kit, which is older than the device.

    ``RollbackDetected`` when the store shows fewer entries than the kit names, ``ForkDetected`` when others. Neither
    carries a proof: a code is nobody's signature.
    """
    codes = codes_of(device.profile.vault_id, LocalVault(device.store).log())
    if len(codes) < head.entries:
        raise RollbackDetected(
            f"the store shows {len(codes)} entries of the vault's log, and the recovery kit was made at {head.entries}"
        )
    if head.entries and codes[head.entries - 1] != head.code:
        raise ForkDetected(f"the first {head.entries} entries of the vault's log are others than the recovery kit's")


def _labelled(text: str) -> dict[str, str]:
    lines = iter([line.strip() for line in text.splitlines() if line.strip()])
    found: dict[str, str] = {}
    for label in lines:
        if label in _LABELS:
            value = next(lines, "")
            if found.setdefault(label, value) != value:
                raise Malformed(f"more than one {label}", path=_PATH)
    return found
