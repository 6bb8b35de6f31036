"""Signing keys that people keep in files: of distrust notices, of releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import Misconfigured
from strongroom.cli.hexadecimal import from_hex
from strongroom.crypto.signatures import SigningKey
from strongroom.storage.files import read_private_file, write_private_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_signing_key", "read_signing_key"]


def make_signing_key(file: Path) -> None:
    """Draw a key and keep it in a file that its owner alone can read, unless there is one."""
    if not file.exists():
        write_private_file(file, SigningKey.generate().seed.hex().encode() + b"\n")


def read_signing_key(file: Path) -> SigningKey:
    """Read a key; ``Misconfigured`` when there is none."""
    content = read_private_file(file, max_bytes=256)
    if content is None:
        raise Misconfigured(f"there is no {file}", setting="key", hint="make one first")
    return SigningKey.from_seed(from_hex(content.decode("latin-1").strip(), setting="key"))
