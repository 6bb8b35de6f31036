"""The specification and the code cite the same steps and settings."""

from __future__ import annotations

import re
from pathlib import Path

from strongroom.testing.intel_pki import IntelPki
from strongroom.verifier.policy_file import from_toml, to_toml

ROOT = Path(__file__).parents[3]
SPEC = (ROOT / "docs/spec/appraisal.md").read_text()
OTHER_PAGES = {"binding.py", "quorum.py", "lie.py", "release.py"}
MODULES = [path for path in (ROOT / "src/strongroom/verifier").glob("*.py") if path.name not in OTHER_PAGES]
REMOTE = (ROOT / "docs/spec/remote-verifier.md").read_text()


def test_every_step_that_a_finding_cites_is_specified() -> None:
    cited = {step for path in MODULES for step in re.findall(r'"([1-8]\.[0-9]+)"', path.read_text())}
    specified = set(re.findall(r"^(?:\| )?([1-8]\.[0-9]+)[ .]", SPEC, re.MULTILINE))
    assert len(cited) > 30
    assert cited <= specified
    assert specified - cited == {"1.1", "7.3", "7.5"}


def test_every_step_about_remote_verifiers_is_specified() -> None:
    code = "".join((ROOT / "src/strongroom/verifier" / name).read_text() for name in ("quorum.py", "lie.py"))
    cited = set(re.findall(r'"([46]\.[0-9]+)"', code))
    assert cited == set(re.findall(r"^\| ([46]\.[0-9]+) \|", REMOTE, re.MULTILINE))


def test_the_policy_file_of_the_specification_is_read() -> None:
    example = re.search(r"```toml\n(.*?)```", SPEC, re.DOTALL)
    assert example is not None
    policy = from_toml(example[1].encode())
    assert len(policy.tcb) == 2
    assert from_toml(to_toml(policy)) == policy


def test_every_setting_is_described() -> None:
    settings = {line.split(" = ")[0] for line in to_toml(IntelPki().policy()).decode().splitlines() if " = " in line}
    assert all(f"`{name}`" in SPEC for name in settings)
