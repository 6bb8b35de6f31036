"""Secrets from people: a prompt without echo, a file, or standard input. Never an argument, never the environment."""

from __future__ import annotations

import getpass
import sys
import unicodedata
from typing import TYPE_CHECKING

from strongroom.base.errors import Malformed, Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_NOTES_BYTES", "read_account_secret", "read_password", "read_secret"]

MAX_NOTES_BYTES = 400_000  # the longest notes that an item takes, in any script
_MAX_SECRET_BYTES = 16 * 1024


def read_password(file: Path | None, *, confirm: bool = False, name: str = "Password") -> bytes:
    """Read the account's password as the bytes that are stretched: UTF-8 of its NFC form (RFC 8265 section 4.2)."""
    password = read_secret(name, file, confirm=confirm)
    if not password:
        raise Malformed("the password is empty", path="password")
    return unicodedata.normalize("NFC", password).encode()


def read_account_secret(file: Path | None) -> str:
    """Read the account secret: a recovery kit's line that begins with SR1, or just the secret."""
    text = read_secret("Account secret (SR1-…)", file)
    for line in text.splitlines():
        if line.strip().upper().startswith("SR1"):
            return line.strip()
    return text


def read_secret(name: str, file: Path | None, *, confirm: bool = False, max_bytes: int = _MAX_SECRET_BYTES) -> str:
    """Read one secret. ``-`` as file is standard input; a final newline does not belong to the secret."""
    if file is None:
        return _prompt(name, confirm=confirm)
    try:
        raw = sys.stdin.buffer.read(max_bytes + 1) if str(file) == "-" else _read(file, max_bytes + 1)
        text = raw.decode()
    except UnicodeDecodeError:
        raise Malformed("not UTF-8", path=name.lower()) from None
    except OSError as cause:
        raise Misconfigured(f"cannot read {file}: {cause.strerror}", setting=name.lower()) from cause
    if len(raw) > max_bytes:
        raise Malformed(f"more than {max_bytes} bytes", path=name.lower())
    return text.removesuffix("\n").removesuffix("\r")


def _read(file: Path, at_most: int) -> bytes:
    with file.open("rb") as source:
        return source.read(at_most)


def _prompt(name: str, *, confirm: bool) -> str:
    if not sys.stdin.isatty():
        raise Misconfigured(
            f"cannot ask for the {name.lower()}: this is not a terminal",
            hint="give it in a file, or - for standard input",
        )
    try:
        secret = getpass.getpass(f"{name}: ")
        again = getpass.getpass(f"{name} again: ") if confirm else secret
    except EOFError:
        raise Malformed("nothing was entered", path=name.lower()) from None
    if again != secret:
        raise Malformed("the two entries differ", path=name.lower())
    return secret
