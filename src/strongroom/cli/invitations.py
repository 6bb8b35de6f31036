"""Invitations on their way: as a QR code out, and in from a command line, a text file or a picture of the code."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import segno

from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.cli.wanted import read_file
from strongroom.client.invitation import Invitation

__all__ = ["qr_for_page", "qr_for_terminal", "read_invitation", "write_qr"]

_ERROR_CORRECTION: Final = "m"  # 15 %: a phone reads it off a screen, and off paper that was folded
_QUIET_ZONE: Final = 4  # modules (ISO/IEC 18004 section 5.3.8)
_SCALE: Final = 8
_IN_TEXT: Final = re.compile(rb"strongroom1:[A-Za-z0-9_-]+")
_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"P4", b"P5", b"P6")
_MAX_PICTURE_BYTES: Final = 16 * 1024 * 1024
_READER: Final = "zbarimg"
_READER_SECONDS: Final = 30.0


def qr_for_terminal(text: str) -> str:
    """Draw a code in half blocks, light on dark as most terminals are."""
    drawn = io.StringIO()
    _code(text).terminal(drawn, border=_QUIET_ZONE, compact=True)
    return drawn.getvalue().rstrip("\n")


def qr_for_page(text: str) -> str:
    """Draw a code as an SVG element that stands in an HTML page and is as wide as its place there."""
    return _code(text).svg_inline(border=_QUIET_ZONE, light="white", omitsize=True)


def write_qr(text: str, file: Path) -> None:
    """Draw a code into a file, SVG or PNG by its name; an SVG has the text in it as well."""
    kind = file.suffix.lower().removeprefix(".")
    if kind not in {"svg", "png"}:
        raise Misconfigured("--qr-file takes the name of an .svg or a .png file", setting="qr-file")
    drawn = io.BytesIO()
    more = {"desc": text} if kind == "svg" else {}
    _code(text).save(drawn, kind=kind, scale=_SCALE, border=_QUIET_ZONE, light="white", **more)
    try:
        file.write_bytes(drawn.getvalue())
    except OSError as cause:
        raise StorageUnavailable(f"cannot write {file}: {cause.strerror}") from cause


def read_invitation(given: str) -> Invitation:
    """Read an invitation itself, or ``@FILE``: a text, an SVG of ours, or a picture of its QR code.

    Pictures are read by ``zbarimg``, where that is installed. Raises ``Malformed`` and ``Misconfigured``.
    """
    if not given.startswith("@"):
        return Invitation.from_text(given)
    file = Path(given[1:])
    content = read_file(file, max_bytes=_MAX_PICTURE_BYTES)
    if content.startswith(_PICTURES):
        content = _scanned(file)
    found = {item.decode() for item in _IN_TEXT.findall(content)}
    if len(found) != 1:
        raise Malformed(f"{len(found)} invitations, not one", path=str(file))
    return Invitation.from_text(found.pop())


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error=_ERROR_CORRECTION)


def _scanned(file: Path) -> bytes:
    program = shutil.which(_READER)
    if program is None:
        raise Misconfigured(
            "reading a picture of a QR code needs zbarimg",
            setting=_READER,
            hint="install zbar-tools, or scan the code and give the text",
        )
    command = [program, "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(file.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_READER_SECONDS, check=False)  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise Malformed("the picture could not be read", path=str(file)) from cause
    return done.stdout
