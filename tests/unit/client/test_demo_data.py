"""The demonstration's files are what the script beside them writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_files_are_as_the_script_writes_them() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_demo_export.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
