"""The recovery kit as a page of HTML: nothing is fetched, nothing runs, and it reads in black and white."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

from strongroom.cli.invitations import qr_for_page
from strongroom.client.recovery_kit import ADVICE, PRINT_IT

if TYPE_CHECKING:
    from strongroom.client.recovery_kit import RecoveryKit

__all__ = ["kit_page"]

_STYLE: Final = """
@page { size: A4; margin: 14mm }
body { color: #000; background: #fff; font: 11pt/1.4 sans-serif; max-width: 180mm; margin: 0 auto; padding: 4mm }
h1 { font-size: 18pt; margin: 0; border-bottom: 2pt solid #000 }
dl { margin: 4mm 0 }
dt { font-weight: bold; margin-top: 3mm }
dd { margin: 0; overflow-wrap: anywhere }
.code { font-family: monospace }
.secret { font-size: 13pt; font-weight: bold }
.invitation { font-size: 8pt }
.pictures { display: flex; gap: 8mm; justify-content: space-between; break-inside: avoid }
figure { margin: 0; text-align: center; font-size: 9pt }
figure svg { width: 58mm; height: 58mm; display: block }
figure.large svg { width: 78mm; height: 78mm }
"""


def kit_page(kit: RecoveryKit, *, at: datetime) -> str:
    """Write the page; ``at`` is the day that is printed on it. ``RecoveryKit.parse`` reads it back."""
    secret, invitation = kit.account_secret.text(), kit.invitation.to_text()
    named = [
        _named("account", kit.username),
        _named("store", kit.invitation.url),
        _named("account secret", secret, "code secret"),
        _named("invitation", invitation, "code invitation"),
    ]
    if kit.head is not None:
        signed = datetime.fromtimestamp(kit.head.signed_ms / 1000, UTC)
        named += [
            _named("head code", kit.head.code, "code"),
            _named("entries", str(kit.head.entries)),
            f"<dd>signed by the store at {signed:%Y-%m-%d %H:%M} UTC</dd>",
        ]
    if kit.own_policy:
        named.append("<dd>This device has an appraisal policy of its own: keep its file with this page.</dd>")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            "<title>Strongroom recovery kit</title>",
            f"<style>{_STYLE}</style>",
            "<h1>Strongroom recovery kit</h1>",
            f"<p>Made on {at:%Y-%m-%d}. {PRINT_IT}</p>",
            "<ol>",
            *(f"<li>{escape(sentence)}</li>" for sentence in ADVICE),
            "</ol>",
            "<dl>",
            *named,
            "</dl>",
            '<div class="pictures">',
            f"<figure>{qr_for_page(secret)}<figcaption>the account secret: show it to nobody</figcaption></figure>",
            f'<figure class="large">{qr_for_page(invitation)}<figcaption>the invitation</figcaption></figure>',
            "</div>",
            "</html>",
            "",
        ]
    )


def _named(label: str, value: str, kind: str = "") -> str:
    return f'<dt>{label}</dt><dd class="{kind}">{escape(value)}</dd>'
