"""What an appraisal objects to, as a set that a test can compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import AppraisalPolicy, appraise

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.formats.sgx_quote import SgxQuote
    from strongroom.formats.tee_quote import TeeQuote
    from strongroom.testing.tdx_pki import TdxPki

Objections = set[tuple[str, str]]


def objections(
    pki: IntelPki,
    *,
    policy: AppraisalPolicy | None = None,
    at: datetime = AT,
    quote: Callable[[SgxQuote], SgxQuote] = lambda quote: quote,
    collateral: Callable[[Collateral], Collateral] = lambda collateral: collateral,
) -> Objections:
    """Give (check, step) of every finding; ``quote`` and ``collateral`` change what was signed."""
    try:
        appraise(quote(pki.quote()).to_bytes(), collateral(pki.collateral()), policy or pki.policy(), at=at)
    except AppraisalRefused as refusal:
        return {(finding.check.value, finding.section.removeprefix("appraisal ")) for finding in refusal.findings}
    return set()


def td_objections(
    pki: TdxPki,
    *,
    policy: AppraisalPolicy | None = None,
    at: datetime = AT,
    quote: Callable[[TeeQuote], TeeQuote] = lambda quote: quote,
) -> Objections:
    """The same for a trust domain."""
    try:
        appraise(quote(pki.td_quote()).to_bytes(), pki.collateral(), policy or pki.policy(), at=at)
    except AppraisalRefused as refusal:
        return {(finding.check.value, finding.section.removeprefix("appraisal ")) for finding in refusal.findings}
    return set()
