"""The recovery kit: one page to print, with what a new device needs besides the password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.client.invitation import Invitation

if TYPE_CHECKING:
    from strongroom.client.device import Device

__all__ = ["recovery_kit_text"]


def recovery_kit_text(device: Device) -> str:
    """Write the page. It holds the account secret: whoever has it and the password has the vault."""
    trust = device.profile.trust
    invitation = Invitation(url=trust.url, deployment=trust.deployment, simulated_root=trust.simulated_root)
    return "\n".join(
        [
            "Strongroom recovery kit",
            "=======================",
            "",
            "Print this page, keep it where you keep important papers, and delete the file.",
            "A new device needs the account secret below and your password. Nobody can restore either for you.",
            "",
            f"account         {device.profile.username}",
            f"store           {trust.url}",
            "",
            "account secret",
            device.account_secret.text(),
            "",
            "invitation",
            invitation.to_text(),
            "",
        ]
    )
