"""The kit's page: its QR codes read by another implementation, and nothing in it that fetches or runs anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from strongroom.cli.kit_page import kit_page
from strongroom.client.invitation import Invitation
from strongroom.client.recovery_kit import KitHead, RecoveryKit
from strongroom.records.account_secret import AccountSecret

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ZBARIMG = shutil.which("zbarimg")
PATIENCE_SECONDS = 60
KIT = RecoveryKit(
    username="<script>alert(1)</script>@example.com",
    account_secret=AccountSecret(bytes(range(16))),
    invitation=Invitation(url="https://vault.example", deployment=b"d" * 32, simulated_root=b"r" * 91),
    head=KitHead(code="0123 4567 8901 2345 6789 0123 4567 8901", entries=12, signed_ms=1_795_000_000_000),
)
PAGE = kit_page(KIT, at=datetime(2026, 11, 24, tzinfo=UTC))


class Seen(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    seen = Seen()
    seen.feed(PAGE)
    assert not seen.tags & {"script", "img", "link", "iframe", "object", "base", "form", "use", "image"}
    assert not seen.attributes & {"src", "href", "style"}
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert "url(" not in PAGE
    assert "default-src 'none'" in PAGE


def test_the_page_is_black_on_white() -> None:
    assert set(re.findall(r"#[0-9a-f]{3,6}\b", PAGE)) <= {"#000", "#fff"}


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(ZBARIMG is None, reason="zbarimg (Debian zbar-tools) is not installed")
def test_what_a_browser_draws_is_read_by_another_implementation(tmp_path: Path) -> None:
    page, picture = tmp_path / "kit.html", tmp_path / "kit.png"
    page.write_text(PAGE)
    subprocess.run(
        [
            CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=794,1123", "--force-device-scale-factor=2", f"--screenshot={picture}", page.as_uri(),
        ],
        capture_output=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    done = subprocess.run(
        [ZBARIMG or "", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(picture)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == {KIT.account_secret.text(), KIT.invitation.to_text()}
