"""The examples in the documentation run as they stand; the verifier needs nothing but its one dependency."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_python_on_a_page_runs(page: str) -> None:
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert blocks
    code = "\n".join(blocks)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_verifier_imports_without_any_extra_installed() -> None:
    code = """
import sys
ALLOWED = {"strongroom", "cryptography", "cffi", "_cffi_backend", "pycparser"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
import strongroom.verifier, strongroom.verifier.policy_file, strongroom.verifier.explain_html
import strongroom.verifier.eat, strongroom.verifier.jwt, strongroom.verifier.cwt, strongroom.formats.collateral
"""
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
