"""Where the documentation names a test, there is one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`(test_[a-z0-9_]+)`")


def test_every_test_that_the_documentation_names_is_there():
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = {
        (name, str(page.relative_to(ROOT)))
        for page in (ROOT / "docs").rglob("*.md")
        for name in NAMED.findall(page.read_text())
    }
    assert len(named) > 20
    assert {found for found in named if found[0] not in defined} == set()
