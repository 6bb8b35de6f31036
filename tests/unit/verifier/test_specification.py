"""The specification and the code cite the same steps and settings."""

from __future__ import annotations

import re
from pathlib import Path

from strongroom.testing.intel_pki import IntelPki
from strongroom.verifier.policy_file import from_toml, to_toml

ROOT = Path(__file__).parents[3]
SPEC = (ROOT / "docs/spec/appraisal.md").read_text()
MODULES = [path for path in (ROOT / "src/strongroom/verifier").glob("*.py") if path.name != "binding.py"]


def test_every_step_that_a_finding_cites_is_specified() -> None:
    cited = {step for path in MODULES for step in re.findall(r'"([1-8]\.[0-9]+)"', path.read_text())}
    specified = set(re.findall(r"^(?:\| )?([1-8]\.[0-9]+)[ .]", SPEC, re.MULTILINE))
    assert len(cited) > 30
    assert cited <= specified
    assert specified - cited == {"1.1", "7.3", "7.5"}


def test_the_policy_file_of_the_specification_is_read() -> None:
    example = re.search(r"```toml\n(.*?)```", SPEC, re.DOTALL)
    assert example is not None
    policy = from_toml(example[1].encode())
    assert len(policy.tcb) == 2
    assert from_toml(to_toml(policy)) == policy


def test_every_setting_is_described() -> None:
    settings = {line.split(" = ")[0] for line in to_toml(IntelPki().policy()).decode().splitlines() if " = " in line}
    assert all(f"`{name}`" in SPEC for name in settings)
