"""Flaws that other verifiers of Intel's evidence have had: docs/spec/conformance.md names the test for each.

Those that no other module had a test for are here.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from evidence_vectors import TDX_VERDICTS, VERDICTS, Verdict, case, read
from generated_cases_base import ours
from generated_cases_pki import Sgx, Tdx, Tdx5
from generated_cases_reasons import DOCUMENT
from strongroom.base.errors import MalformedCollateral
from strongroom.formats.collateral import Collateral
from strongroom.testing.intel_pki import AT
from strongroom.verifier import INTEL_SGX_ROOT, assess

ROOT = DOCUMENT.parents[2]
REAL = [
    next(item for item in VERDICTS if item["quote"].endswith("sgx_quote-f8b810.quote.bin")),
    next(item for item in TDX_VERDICTS if "f1c850" in item["quote"] and "status" in item),
]


@pytest.fixture(params=REAL, ids=("SGX", "TDX"))
def real(request: pytest.FixtureRequest) -> Verdict:
    return request.param


def findings(verdict: Verdict, **changes: Any) -> set[str]:
    evidence, collateral, at = case(verdict)
    at = changes.pop("at", at)
    found = assess(evidence, replace(collateral, **changes), [INTEL_SGX_ROOT], at=at).findings
    return {f"{item.check.value} {item.section.removeprefix('appraisal ')}" for item in found}


def test_levels_rewritten_to_revoked_under_the_old_signature_are_refused(real: Verdict) -> None:
    """intel-sgx-ra 2.3.3 gives True."""
    _, collateral, _ = case(real)
    rewritten = re.sub(rb'"tcbStatus":"\w+"', b'"tcbStatus":"Revoked"', collateral.tcb_info)
    assert {"signature 4.1", "tcb-status 7.4"} <= findings(real, tcb_info=rewritten)


def test_a_signature_of_zeros_over_the_tcb_info_is_refused(real: Verdict) -> None:
    """intel-sgx-ra 2.3.3 gives True."""
    assert findings(real, tcb_info_signature=bytes(64)) == {"signature 4.1"}


def test_genuine_tcb_info_of_another_kind_of_platform_is_refused(real: Verdict) -> None:
    """intel-sgx-ra 2.3.3 gives True."""
    others = [item for item in (*VERDICTS, *TDX_VERDICTS) if item["collateral"] != real["collateral"]]
    _, own, _ = case(real)
    same_tee = b'"id":"TDX"' in own.tcb_info
    for other in others:
        _, collateral, _ = case(other)
        if json.loads(collateral.tcb_info)["fmspc"] == json.loads(own.tcb_info)["fmspc"]:
            continue
        if (b'"id":"TDX"' in collateral.tcb_info) is same_tee:
            found = findings(
                real,
                tcb_info=collateral.tcb_info,
                tcb_info_signature=collateral.tcb_info_signature,
                tcb_info_issuer_chain=collateral.tcb_info_issuer_chain,
            )
            assert "platform 4.4" in found
            return
    raise AssertionError("no other platform")


def test_an_emptied_qe_identity_is_malformed(real: Verdict) -> None:
    """intel-sgx-ra 2.3.3 gives True."""
    with pytest.raises(MalformedCollateral):
        findings(real, qe_identity=b"{}")


def test_expired_collateral_is_a_finding_and_not_a_flag_beside_the_verdict(real: Verdict) -> None:
    """voltage-verify 0.2.3 and Intel's verifyQuote."""
    _, _, at = case(real)
    assert {"expiry 3.3", "expiry 4.2", "expiry 5.2"} <= findings(real, at=at + timedelta(days=3 * 365))


@pytest.mark.parametrize("name", ["root_ca_crl", "pck_crl"])
def test_a_set_without_a_revocation_list_is_malformed(real: Verdict, name: str) -> None:
    """go-tdx-guest and attestation-go look at no list unless they are asked to."""
    evidence, _, at = case(real)
    parts = json.loads(read(real["collateral"]))
    for value in (..., None, ""):
        changed = {key: part for key, part in parts.items() if key != name}
        if value is not ...:
            changed[name] = value
        with pytest.raises(MalformedCollateral):
            assess(evidence, Collateral.from_json(json.dumps(changed).encode()), [INTEL_SGX_ROOT], at=at)


@pytest.mark.parametrize("plan", [Sgx, Tdx, Tdx5])
def test_a_sandbox_root_with_intels_names_is_refused(plan: type) -> None:
    """Intel's own sandbox has such a root: production names, another key."""
    pki = plan()
    evidence, collateral = pki.build()
    assert ours(pki, evidence, collateral, AT).status == "UpToDate"
    found = assess(evidence, collateral, [INTEL_SGX_ROOT], at=AT).findings
    assert {f"{item.check.value} {item.section}" for item in found} == {"chain appraisal 2.2"}


def test_every_named_flaw_has_its_tests() -> None:
    section = DOCUMENT.read_text().split("## 4.")[1].split("## 5.")[0]
    named = re.findall(r"`(\w+\.py)::(test_\w+)`", section)
    assert len(named) > 30
    sources = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    assert [pair for pair in named if f"def {pair[1]}(" not in sources.get(pair[0], "")] == []
