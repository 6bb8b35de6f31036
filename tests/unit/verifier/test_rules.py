from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from appraisal_cases import objections
from strongroom.base.errors import AppraisalRefused, Misconfigured
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.sgx_report import Attributes
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.intel_pki import AT, IntelPki, levels
from strongroom.verifier import ANY, SignerRule, TcbRule, appraise

OTHER = MrEnclave(bytes(32))


def signed_policy(pki: IntelPki, **changes: object) -> object:
    rule = SignerRule(mr_signer=pki.report.mr_signer, isv_prod_id=7, minimum_isv_svn=3)
    return replace(pki.policy(), mr_enclaves=frozenset(), signers=(replace(rule, **changes),))  # type: ignore[arg-type]


def test_another_measurement_is_refused() -> None:
    pki = IntelPki()
    policy = replace(pki.policy(), mr_enclaves=frozenset({OTHER}))
    assert objections(pki, policy=policy) == {("measurement", "8.3")}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"minimum_isv_svn": 2}, set()),
        ({"minimum_isv_svn": 4}, {("signer", "8.4")}),
        ({"isv_prod_id": 8}, {("signer", "8.4")}),
        ({"mr_signer": MrSigner(bytes(32))}, {("signer", "8.4")}),
    ],
)
def test_signer_product_and_version_are_all_needed(changes: dict[str, object], expected: set[tuple[str, str]]) -> None:
    pki = IntelPki()
    assert objections(pki, policy=signed_policy(pki, **changes)) == expected  # type: ignore[arg-type]


def test_a_listed_measurement_or_a_fitting_signer_is_enough_and_neither_names_both() -> None:
    pki = IntelPki()
    rule = SignerRule(mr_signer=pki.report.mr_signer, isv_prod_id=7, minimum_isv_svn=3)
    listed = replace(pki.policy(), signers=(replace(rule, isv_prod_id=1),))
    assert objections(pki, policy=listed) == set()
    fitting = replace(pki.policy(), mr_enclaves=frozenset({OTHER}), signers=(rule,))
    assert objections(pki, policy=fitting) == set()
    neither = replace(pki.policy(), mr_enclaves=frozenset({OTHER}), signers=(replace(rule, isv_prod_id=1),))
    assert objections(pki, policy=neither) == {("measurement", "8.3"), ("signer", "8.4")}


def test_debug_enclaves_need_to_be_accepted_by_name_and_are_confessed() -> None:
    pki = IntelPki()
    pki.report = replace(pki.report, attributes=Attributes(flags=7, xfrm=3))
    assert objections(pki) == {("debug", "8.2")}
    result = appraise(*pki.build(), replace(pki.policy(), accept_debug_enclaves=True), at=AT)
    assert result.claims.debug
    assert len(result.confessions) == 1


def test_a_status_can_be_accepted_for_one_measurement_only() -> None:
    pki = IntelPki()
    pki.tcb_info = replace(pki.tcb_info, levels=levels((12, TcbStatus.SW_HARDENING_NEEDED, ("A-1", "A-2"))))
    for mr_enclave, advisories, expected in (
        (pki.report.mr_enclave, frozenset({"A-1", "A-2"}), set()),
        (OTHER, frozenset({"A-1", "A-2"}), {("tcb-status", "8.5")}),
        (ANY, frozenset({"A-1"}), {("advisory", "8.6")}),
        (ANY, frozenset({"A-1", "A-2", "A-3"}), set()),
        (ANY, ANY, set()),
    ):
        rule = TcbRule(
            status=TcbStatus.SW_HARDENING_NEEDED, measurement=mr_enclave, advisories=advisories, maximum_tcb_age=ANY
        )  # type: ignore[arg-type]
        assert objections(pki, policy=replace(pki.policy(), tcb=(rule,))) == expected


def test_advisories_are_named_with_their_sources() -> None:
    pki = IntelPki()
    pki.tcb_info = replace(pki.tcb_info, levels=levels((12, TcbStatus.UP_TO_DATE, ("EXAMPLE-SA-2",))))
    pki.qe_report = replace(pki.qe_report, isv_svn=6)
    rule = TcbRule(status=TcbStatus.OUT_OF_DATE, measurement=ANY, advisories=frozenset(), maximum_tcb_age=ANY)
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(*pki.build(), replace(pki.policy(), tcb=(rule,)), at=AT)
    assert refusal.value.findings[0].actual == "EXAMPLE-SA-2 (platform and quoting enclave)"


def test_a_refused_status_says_which_component_is_behind() -> None:
    pki = IntelPki()
    pki.set_components(11, *pki.extension.tcb.components[1:])
    with pytest.raises(AppraisalRefused, match="component 1 is 11, the newest level has 12"):
        appraise(*pki.build(), pki.policy(), at=AT)


def test_revoked_cannot_be_accepted() -> None:
    rule = TcbRule(status=TcbStatus.REVOKED, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY)
    with pytest.raises(Misconfigured, match="Revoked"):
        replace(IntelPki().policy(), tcb=(rule,))


def test_collateral_older_than_the_policy_wants_is_refused() -> None:
    pki = IntelPki()
    policy = replace(pki.policy(), maximum_collateral_age=timedelta(days=3))
    assert objections(pki, policy=policy) == set()
    assert appraise(*pki.build(), policy, at=AT).expires_at == AT + timedelta(days=1)
    assert objections(pki, policy=policy, at=AT + timedelta(days=2)) == {("freshness", "8.8")}
    pki.root_crl.this_update = AT - timedelta(days=300)
    assert objections(pki, policy=policy) == set()
    pki.pck_crl.this_update = AT - timedelta(days=4)
    assert objections(pki, policy=policy) == {("freshness", "8.8")}


def test_expired_collateral_is_taken_within_the_grace_period_and_confessed() -> None:
    pki = IntelPki()
    late = pki.tcb_info.next_update + timedelta(days=2)
    assert {check for check, _ in objections(pki, at=late)} == {"expiry"}
    policy = replace(pki.policy(), expired_collateral_grace=timedelta(days=3))
    result = appraise(*pki.build(), policy, at=late)
    assert len(result.confessions) == 4
    assert result.expires_at == pki.tcb_info.next_update + timedelta(days=3)
    assert {check for check, _ in objections(pki, policy=policy, at=late + timedelta(days=2))} == {"expiry"}


def test_no_grace_for_certificates() -> None:
    pki = IntelPki()
    pki.leaf.not_after = AT - timedelta(hours=1)
    policy = replace(pki.policy(), expired_collateral_grace=timedelta(days=3))
    assert objections(pki, policy=policy) == {("expiry", "2.4")}


def test_only_listed_platforms_are_accepted() -> None:
    pki = IntelPki()
    assert objections(pki, policy=replace(pki.policy(), platforms=frozenset({pki.extension.ppid}))) == set()
    assert objections(pki, policy=replace(pki.policy(), platforms=frozenset({bytes(16)}))) == {("platform", "8.9")}
    assert objections(pki, policy=replace(pki.policy(), platforms=frozenset())) == {("platform", "8.9")}
