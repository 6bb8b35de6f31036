"""Every figure that a page shows is there and is a picture, and none lies about unshown."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).parents[3] / "docs"
SHOWN = re.findall(r"!\[[^\]]+\]\(figures/([^)]+)\)", (DOCS / "performance.md").read_text())


def test_what_is_shown_is_what_is_there() -> None:
    assert sorted(SHOWN) == sorted(path.name for path in (DOCS / "figures").iterdir())


@pytest.mark.parametrize("name", SHOWN)
def test_a_figure_is_a_picture_with_title_and_unit_for_light_and_dark(name: str) -> None:
    text = (DOCS / "figures" / name).read_text()
    picture = ET.fromstring(text)  # noqa: S314 - our own file
    words = [element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert len(words) >= 4
    assert "better" in words[1]
    assert "prefers-color-scheme:dark" in text
