"""Named cases of one fault each, for SGX and TDX, and the plans without any fault.

A case changes the plan before it is signed, so that all signatures over the fault are good, unless the fault is a
signature. ``tests/conformance/test_generated_cases.py`` runs them here and in other verifiers.
"""

from __future__ import annotations

import generated_cases_certificates
import generated_cases_documents
import generated_cases_evidence
from generated_cases_base import CASES, Case, Verdict, ours

__all__ = ["CASES", "FAMILIES", "Case", "Verdict", "ours"]

FAMILIES = (generated_cases_certificates, generated_cases_documents, generated_cases_evidence)
"""The modules that list their cases in ``CASES`` when they are read."""
