"""What an outsider can try against an attested service, as a suite that anyone can point at a server of their own.

    python -m strongroom.testing.attacks URL --invitation strongroom1:…

docs/attack-suite.md lists the attacks. Each either ends in a refusal, which is named, or is reported as ACCEPTED.
"""

from strongroom.testing.attacks.model import Attack, Outcome, Report, Verdict
from strongroom.testing.attacks.suite import ATTACKS, run_suite
from strongroom.testing.attacks.target import Target

__all__ = ["ATTACKS", "Attack", "Outcome", "Report", "Target", "Verdict", "run_suite"]
