"""Invitations as QR codes, read back by another implementation."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.cli import invitations
from strongroom.cli.invitations import qr_for_terminal, read_invitation, write_qr
from strongroom.client.invitation import Invitation

ZBARIMG = shutil.which("zbarimg")
needs_zbar = pytest.mark.skipif(ZBARIMG is None, reason="zbarimg (Debian zbar-tools) is not installed")
SMALL = Invitation(url="https://vault.example", deployment=b"d" * 32, simulated_root=None)
LARGE = Invitation(
    url="https://" + "v" * 200 + ".example",
    deployment=b"d" * 32,
    simulated_root=b"r" * 91,
    policy_digest=b"p" * 32,
    machines=tuple(bytes([n]) * 32 for n in range(16)),
    notice_key=b"n" * 32,
)
both = pytest.mark.parametrize("invitation", [SMALL, LARGE], ids=["small", "large"])


def scanned(file: Path) -> str:
    done = subprocess.run(
        [ZBARIMG or "", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def bitmap(rows: list[list[bool]], file: Path, *, scale: int = 6) -> Path:
    """Draw dark modules as a portable bitmap."""
    lines = [" ".join("1" if dark else "0" for dark in row for _ in range(scale)) for row in rows for _ in range(scale)]
    raw = bytearray(f"P4\n{len(rows[0]) * scale} {len(lines)}\n".encode())
    for line in lines:
        bits = line.replace(" ", "")
        bits += "0" * (-len(bits) % 8)
        raw += int(bits, 2).to_bytes(len(bits) // 8, "big")
    file.write_bytes(raw)
    return file


@needs_zbar
@both
def test_a_png_is_read_by_another_implementation(tmp_path: Path, invitation: Invitation) -> None:
    write_qr(invitation.to_text(), tmp_path / "invite.png")
    assert scanned(tmp_path / "invite.png") == invitation.to_text()
    assert read_invitation(f"@{tmp_path / 'invite.png'}") == invitation


@needs_zbar
@both
def test_what_a_terminal_shows_is_read_by_another_implementation(tmp_path: Path, invitation: Invitation) -> None:
    light = {"█": (True, True), "▀": (True, False), "▄": (False, True), " ": (False, False)}
    rows: list[list[bool]] = []
    for line in qr_for_terminal(invitation.to_text()).splitlines():
        cells = [light[character] for character in line]
        rows += [[not upper for upper, _ in cells], [not lower for _, lower in cells]]
    assert scanned(bitmap(rows, tmp_path / "terminal.pbm")) == invitation.to_text()


@needs_zbar
def test_what_an_svg_draws_is_read_by_another_implementation(tmp_path: Path) -> None:
    write_qr(SMALL.to_text(), tmp_path / "invite.svg")
    drawn = (tmp_path / "invite.svg").read_text()
    path = re.search(r'class="qrline"[^>]* d="([^"]+)"', drawn)
    size = re.search(r'width="(\d+)"', drawn)
    assert path is not None
    assert size is not None
    side = int(size[1]) // 8
    rows = [[False] * side for _ in range(side)]
    x = y = 0
    # strokes of one module: M to, m by, h along; the vertical middle of a row is half a module down
    for command, first, second in re.findall(r"([Mmh])(-?\d+)(?: (-?\d+)(?:\.5)?)?", path[1]):
        if command == "M":
            x, y = int(first), int(second)
        elif command == "m":
            x, y = x + int(first), y + int(second)
        else:
            for column in range(x, x + int(first)):
                rows[y][column] = True
            x += int(first)
    assert scanned(bitmap(rows, tmp_path / "svg.pbm")) == SMALL.to_text()


@both
def test_an_svg_and_a_text_are_invitations_too(tmp_path: Path, invitation: Invitation) -> None:
    write_qr(invitation.to_text(), tmp_path / "invite.svg")
    (tmp_path / "mail.txt").write_text(f"Welcome!\n\n  {invitation.to_text()}\n\nBye")
    for name in ("invite.svg", "mail.txt"):
        assert read_invitation(f"@{tmp_path / name}") == invitation
    assert read_invitation(invitation.to_text()) == invitation


@pytest.mark.parametrize("content", [b"", b"nothing here", b"strongroom1:AAAA", b"strongroom1:a strongroom1:b"])
def test_a_file_without_one_invitation_is_malformed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Malformed):
        read_invitation(f"@{tmp_path / 'file'}")


def test_a_file_that_is_not_there_is_misconfigured(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        read_invitation(f"@{tmp_path / 'none'}")


def test_a_picture_without_a_reader_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    write_qr(SMALL.to_text(), tmp_path / "invite.png")
    monkeypatch.setattr(invitations, "_READER", "a program that nobody has")
    with pytest.raises(Misconfigured) as wrong:
        read_invitation(f"@{tmp_path / 'invite.png'}")
    assert "zbar-tools" in wrong.value.hint


@needs_zbar
def test_a_picture_of_something_else_is_malformed(tmp_path: Path) -> None:
    bitmap([[False] * 40] * 40, tmp_path / "white.pbm")
    with pytest.raises(Malformed):
        read_invitation(f"@{tmp_path / 'white.pbm'}")


def test_other_kinds_of_files_and_places_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        write_qr(SMALL.to_text(), tmp_path / "invite.pdf")
    with pytest.raises(StorageUnavailable):
        write_qr(SMALL.to_text(), tmp_path / "nowhere" / "invite.svg")
