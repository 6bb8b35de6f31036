"""Showing a TOTP secret: as text, and as a QR code where there is a terminal."""

from __future__ import annotations

import base64
import io
import sys
from urllib.parse import quote

from strongroom.cli.output import note

__all__ = ["show_totp", "totp_uri"]


def totp_uri(secret: bytes, username: str) -> str:
    """Give the address that authenticator applications read (the Key URI format)."""
    text = base64.b32encode(secret).decode()
    return f"otpauth://totp/Strongroom:{quote(username)}?secret={text}&issuer=Strongroom&digits=6&period=30"


def show_totp(secret: bytes, username: str) -> None:
    """Show the secret to the person at the terminal, beside the results."""
    if sys.stderr.isatty():
        import segno

        drawn = io.StringIO()
        segno.make(totp_uri(secret, username), error="m").terminal(drawn, compact=True)
        sys.stderr.write(drawn.getvalue())
    note(f"the secret for your authenticator application is {base64.b32encode(secret).decode()}")
