from __future__ import annotations

from datetime import UTC, datetime

from evidence_vectors import VERDICTS, case
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import INTEL_SGX_ROOT, assess
from strongroom.verifier.anchors import KNOWN_ROOTS


def test_the_known_roots_are_intels_and_signed_by_themselves() -> None:
    assert len(KNOWN_ROOTS) == 1
    for der, root in KNOWN_ROOTS.items():
        assert root.der == der
        assert INTEL_SGX_ROOT.is_root(root)
        assert root.subject == root.issuer
        assert root.signed(root)
        assert root.not_after == datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_known_root_is_no_anchor_by_being_known() -> None:
    evidence, collateral, at = case(VERDICTS[0])
    found = assess(evidence, collateral, [IntelPki().anchor], at=at).findings
    assert ("chain", "appraisal 2.2") in {(finding.check.value, finding.section) for finding in found}


def test_a_known_root_ends_like_any_other() -> None:
    evidence, collateral, _ = case(VERDICTS[0])
    found = assess(evidence, collateral, [INTEL_SGX_ROOT], at=datetime(2050, 1, 1, tzinfo=UTC)).findings
    assert any("'Intel SGX Root CA' has expired" in finding.message for finding in found)


def test_a_root_that_is_not_known_beforehand_needs_its_own_signature() -> None:
    pki = IntelPki()
    assert assess(*pki.build(), [pki.anchor], at=AT).genuine
    assert not KNOWN_ROOTS.keys() & {pki.root.der()}
