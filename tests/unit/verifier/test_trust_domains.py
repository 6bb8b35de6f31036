"""Trust domains: one objection for one fault, the status tables, and what a policy can say of a domain."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from appraisal_cases import Objections, objections, td_objections
from strongroom.base.errors import AppraisalRefused, MalformedCollateral
from strongroom.formats.measurements import MrEnclave, MrSeam, MrServiceTd, MrSignerSeam, MrTd
from strongroom.formats.pck_extension import Configuration, SgxType
from strongroom.formats.quote_parts import TeeType
from strongroom.formats.sgx_report import Attributes
from strongroom.formats.tcb_info import TdxModule, TdxModuleIdentity
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus
from strongroom.formats.td_report import TdAttributes, TdReport15Ex
from strongroom.formats.tee_quote import TeeQuote
from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.testing.tdx_pki import TDX_SVN, TdxPki, measurement, module_levels, tdx_levels
from strongroom.verifier import ANY, NO_SERVICE_TD, AppraisalPolicy, TcbRule, TdRule, appraise, assess
from strongroom.verifier.policy import TD_MEASUREMENTS
from strongroom.verifier.result import SgxClaims, TdxClaims
from strongroom.verifier.tcb import converge, relaunch

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = timedelta(days=1)
U, S, C, CS = (
    TcbStatus.UP_TO_DATE,
    TcbStatus.SW_HARDENING_NEEDED,
    TcbStatus.CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
)
O, OC, R = TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, TcbStatus.REVOKED  # noqa: E741
ADVISED, ADVISED_C = TcbStatus.TD_RELAUNCH_ADVISED, TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
PLATFORMS = (U, S, C, CS, O, OC, R)


def rule_of(policy: AppraisalPolicy, **changes: object) -> AppraisalPolicy:
    (rule,) = policy.trust_domains
    return replace(policy, trust_domains=(replace(rule, **changes),))  # type: ignore[arg-type]


def accepting(pki: TdxPki, *statuses: TcbStatus) -> AppraisalPolicy:
    rules = tuple(TcbRule(status=item, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY) for item in statuses)
    return replace(pki.policy(), tcb=rules)


@pytest.mark.parametrize("kind", ["1.0", "1.5", "1.5 ex"])
def test_the_unchanged_plan_is_accepted(kind: str) -> None:
    pki = TdxPki()
    if kind == "1.5":
        pki.become_td_15()
    elif kind == "1.5 ex":
        pki.become_td_15_ex()
    result = appraise(*pki.build(), pki.policy(), at=AT)
    assert result.kind == f"tdx-dcap-{pki.version}"
    assert result.tcb_status is U
    assert result.confessions == ()
    assert isinstance(result.claims, TdxClaims)
    assert result.claims.measurement == result.claims.mr_td == pki.td_report.mr_td
    assert result.claims.extension == (
        tuple((name, bytes(size)) for name, size in TdReport15Ex.LAYOUT[17:]) if kind == "1.5 ex" else ()
    )
    assert result.tcb.tdx_module_status is U
    assert result.tcb.current_status is (None if kind == "1.0" else U)
    shown = result.to_json_object()
    assert json.loads(json.dumps(shown)) == shown


@pytest.mark.parametrize("version", [4, 5])
def test_an_enclave_in_the_newer_frame_is_judged_like_any_enclave(version: int) -> None:
    pki = IntelPki()
    header = replace(pki.header, version=version, tee_type=TeeType.SGX)
    unsigned = TeeQuote(header=header, report=pki.report, **pki.signatures())
    evidence = replace(unsigned, signature=pki.sign(unsigned.signed_bytes)).to_bytes()
    result = appraise(evidence, pki.collateral(), pki.policy(), at=AT)
    assert result.kind == f"sgx-dcap-{version}"
    assert isinstance(result.claims, SgxClaims)
    broken = evidence[:100] + bytes((evidence[100] ^ 1,)) + evidence[101:]
    assert {item.section for item in assess(broken, pki.collateral(), [pki.anchor], at=AT).findings} == {
        "appraisal 6.6"
    }


def tcb_info_of_sgx(pki: TdxPki) -> None:
    pki.tcb_info = IntelPki().tcb_info


def tcb_info_of_version_two(pki: TdxPki) -> None:
    pki.tcb_info = replace(IntelPki().tcb_info, version=2)


def qe_identity_of_sgx(pki: TdxPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, id="QE")


def qe_of_sgx(pki: TdxPki) -> None:
    pki.qe_report = replace(pki.qe_report, isv_prod_id=1)


def qe_in_debug_mode(pki: TdxPki) -> None:
    pki.qe_report = replace(pki.qe_report, attributes=Attributes(flags=0x17, xfrm=3))


def quote_signed_by_another_key(pki: TdxPki) -> None:
    pki.quote_signer = key("somebody")


def report_changed(pki: TdxPki, **changes: object) -> None:
    pki.td_report = replace(pki.td_report, **changes)  # type: ignore[arg-type]


def reserved_attribute(pki: TdxPki) -> None:
    report_changed(pki, td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes(1 << 39))


def reserved_attribute_of_the_first_byte(pki: TdxPki) -> None:
    report_changed(pki, td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes(1 << 4))


def xfam_without_sse(pki: TdxPki) -> None:
    report_changed(pki, xfam=0x602E5)


def xfam_with_a_bit_that_is_none(pki: TdxPki) -> None:
    report_changed(pki, xfam=0x602E7 | 1 << 20)


def platform_below_every_level(pki: TdxPki) -> None:
    pki.set_components(4, *pki.extension.tcb.components[1:])


def third_tdx_component_below_every_level(pki: TdxPki) -> None:
    report_changed(pki, tee_tcb_svn=bytes((5, 3, 1)) + bytes(13))


def last_tdx_component_below_every_level(pki: TdxPki) -> None:
    pki.tcb_info = replace(
        pki.tcb_info,
        levels=tuple(
            replace(item, tdx_components=(*(item.tdx_components or ())[:15], replace(item.components[0], svn=1)))
            for item in pki.tcb_info.levels
        ),
    )


def revoked_platform(pki: TdxPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, R, ())))


def module_without_identity(pki: TdxPki) -> None:
    report_changed(pki, tee_tcb_svn=bytes((5, 9, 4)) + bytes(13))


def no_module_identities(pki: TdxPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, tdx_module_identities=None)


def module_of_another_signer(pki: TdxPki) -> None:
    report_changed(pki, mr_signer_seam=MrSignerSeam(measurement("somebody")))


def module_of_another_signer_by_its_identity(pki: TdxPki) -> None:
    module = replace(pki.tcb_info.tdx_module, mr_signer=measurement("somebody"))  # type: ignore[type-var]
    pki.change_module(module=module)


def first_module_of_another_signer(pki: TdxPki) -> None:
    report_changed(pki, tee_tcb_svn=bytes((5, 0, 4)) + bytes(13), mr_signer_seam=MrSignerSeam(measurement("x")))


def module_with_attributes(pki: TdxPki) -> None:
    report_changed(pki, seam_attributes=b"\x01" + bytes(7))


def module_with_attributes_outside_the_mask(pki: TdxPki) -> None:
    report_changed(pki, seam_attributes=b"\x01" + bytes(7))
    pki.change_module(module=TdxModule(mr_signer=bytes(48), attributes=bytes(8), attributes_mask=bytes(8)))


def module_lacking_attributes(pki: TdxPki) -> None:
    module = TdxModule(mr_signer=bytes(48), attributes=b"\x01" + bytes(7), attributes_mask=b"\xff" * 8)
    pki.change_module(module=module)


def module_with_the_attributes_of_its_identity(pki: TdxPki) -> None:
    module_lacking_attributes(pki)
    report_changed(pki, seam_attributes=b"\x01" + bytes(7))


def module_below_every_level(pki: TdxPki) -> None:
    report_changed(pki, tee_tcb_svn=bytes((1, 3, 4)) + bytes(13))


def module_without_levels(pki: TdxPki) -> None:
    pki.change_module(levels=())


def revoked_module(pki: TdxPki) -> None:
    pki.change_module(levels=module_levels((5, R, ())))


def module_out_of_date(pki: TdxPki) -> None:
    report_changed(pki, tee_tcb_svn=bytes((4, 3, 4)) + bytes(13))


def qe_out_of_date(pki: TdxPki) -> None:
    pki.qe_report = replace(pki.qe_report, isv_svn=7)


def current_platform_below_every_level(pki: TdxPki) -> None:
    pki.become_td_15(bytes((5, 3, 1)) + bytes(13))


def current_module_without_identity(pki: TdxPki) -> None:
    pki.become_td_15(bytes((5, 9, 4)) + bytes(13))


def current_module_below_every_level(pki: TdxPki) -> None:
    pki.become_td_15(bytes((1, 3, 4)) + bytes(13))


def current_module_revoked(pki: TdxPki) -> None:
    pki.change_module("TDX_01", levels=module_levels((2, R, ())))
    pki.become_td_15(bytes((2, 1, 4)) + bytes(13))


def current_platform_revoked(pki: TdxPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, U, ()), (12, 2, R, ())))
    pki.become_td_15(bytes((5, 3, 2)) + bytes(13))


FAULTS: list[tuple[Callable[[TdxPki], None], Objections]] = [
    (tcb_info_of_sgx, {("tcb-status", "4.3")}),
    (tcb_info_of_version_two, {("tcb-status", "4.3")}),
    (qe_identity_of_sgx, {("qe-identity", "5.3")}),
    (qe_of_sgx, {("qe-identity", "6.3")}),
    (qe_in_debug_mode, {("qe-identity", "6.3"), ("qe-identity", "6.4")}),
    (quote_signed_by_another_key, {("signature", "6.6")}),
    (reserved_attribute, {("configuration", "6.8"), ("configuration", "8.11")}),
    (reserved_attribute_of_the_first_byte, {("configuration", "6.8"), ("configuration", "8.11")}),
    (xfam_without_sse, {("configuration", "6.9")}),
    (xfam_with_a_bit_that_is_none, {("configuration", "6.9")}),
    (platform_below_every_level, {("tcb-status", "7.2")}),
    (third_tdx_component_below_every_level, {("tcb-status", "7.2")}),
    (last_tdx_component_below_every_level, {("tcb-status", "7.2")}),
    (revoked_platform, {("tcb-status", "7.4"), ("tcb-status", "8.5")}),
    (module_without_identity, {("tdx-module", "7.6")}),
    (no_module_identities, {("tdx-module", "7.6")}),
    (module_of_another_signer, {("tdx-module", "7.7")}),
    (module_of_another_signer_by_its_identity, {("tdx-module", "7.7")}),
    (first_module_of_another_signer, {("tdx-module", "7.7")}),
    (module_with_attributes, {("tdx-module", "7.8"), ("tdx-module", "8.13")}),
    (module_with_attributes_outside_the_mask, {("tdx-module", "7.8"), ("tdx-module", "8.13")}),
    (module_lacking_attributes, {("tdx-module", "7.8")}),
    (module_with_the_attributes_of_its_identity, {("tdx-module", "8.13")}),
    (module_below_every_level, {("tcb-status", "7.9")}),
    (module_without_levels, {("tcb-status", "7.9")}),
    (revoked_module, {("tcb-status", "7.9"), ("tcb-status", "8.5")}),
    (module_out_of_date, {("tcb-status", "8.5")}),
    (qe_out_of_date, {("tcb-status", "8.5")}),
    (current_platform_below_every_level, {("tcb-status", "7.10")}),
    (current_module_without_identity, {("tdx-module", "7.10")}),
    (current_module_below_every_level, {("tcb-status", "7.10")}),
    (current_module_revoked, {("tcb-status", "7.10")}),
    (current_platform_revoked, {("tcb-status", "7.10")}),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_one_fault_gives_its_objection_and_no_other(fault: Callable[[TdxPki], None], expected: Objections) -> None:
    pki = TdxPki()
    policy = pki.policy()
    fault(pki)
    assert td_objections(pki, policy=policy) == expected


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("qe", PLATFORMS)
@pytest.mark.parametrize("module", PLATFORMS)
def test_the_module_counts_like_the_quoting_enclave(index: int, qe: TcbStatus, module: TcbStatus) -> None:
    worse = max(qe, module, key=lambda status: (status is R, status in (O, OC)))
    assert converge(PLATFORMS[index], qe, module) is converge(PLATFORMS[index], worse)


@pytest.mark.parametrize("platform", PLATFORMS[:6])
@pytest.mark.parametrize("module", [U, O])
def test_every_cell_of_the_table_with_a_module(platform: TcbStatus, module: TcbStatus) -> None:
    pki = TdxPki()
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, platform, ("EXAMPLE-SA-1",))))
    pki.change_module(levels=module_levels((5, module, ("EXAMPLE-SA-1", "EXAMPLE-SA-9"))))
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    expected = platform if module is U else {U: O, S: O, C: OC, CS: OC, O: O, OC: OC}[platform]
    assert tcb.status is expected
    assert (tcb.platform_status, tcb.tdx_module_status) == (platform, module)
    assert [(item.id, item.sources) for item in tcb.advisories] == [
        ("EXAMPLE-SA-1", ("platform", "TDX module")),
        ("EXAMPLE-SA-9", ("TDX module",)),
    ]


CURRENT_GOOD = (U, S, C, CS)


@pytest.mark.parametrize("launch", PLATFORMS)
@pytest.mark.parametrize("current", PLATFORMS)
def test_every_cell_of_the_relaunch_table(launch: TcbStatus, current: TcbStatus) -> None:
    expected = launch
    if launch in (O, OC) and current in CURRENT_GOOD:
        expected = ADVISED_C if launch is OC or current in (C, CS) else ADVISED
    assert relaunch(launch, current) is expected


def relaunched(launch: TcbStatus, current: TcbStatus) -> TdxPki:
    """Launched where the third component was 2, running now where it is 4."""
    pki = TdxPki()
    report_changed(pki, tee_tcb_svn=bytes((5, 3, 2)) + bytes(13))
    pki.tcb_info = replace(
        pki.tcb_info, levels=tdx_levels((12, 4, current, ("EXAMPLE-SA-8",)), (12, 2, launch, ("EXAMPLE-SA-7",)))
    )
    pki.become_td_15()
    return pki


@pytest.mark.parametrize("launch", [U, S, C, CS, O, OC])
@pytest.mark.parametrize("current", [U, S, C, CS, O, OC])
def test_a_domain_that_tells_both_gets_the_status_of_the_table(launch: TcbStatus, current: TcbStatus) -> None:
    pki = relaunched(launch, current)
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert (tcb.launch_status, tcb.current_status) == (launch, current)
    assert tcb.status is relaunch(launch, current)
    assert [item.id for item in tcb.advisories] == ["EXAMPLE-SA-7", "EXAMPLE-SA-8"]
    assert td_objections(pki, policy=accepting(pki, tcb.status)) == set()
    assert td_objections(pki, policy=accepting(pki, *(set(TcbStatus) - {R, tcb.status}))) == {("tcb-status", "8.5")}


def test_dates_and_advisories_are_of_what_was_launched_and_of_what_runs() -> None:
    pki = relaunched(O, U)
    pki.td_report = replace(pki.td_report, tee_tcb_svn=bytes((2, 3, 2)) + bytes(13))
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert tcb.status is ADVISED
    assert tcb.date == datetime(2020, 6, 1, tzinfo=UTC)
    assert [(item.id, item.sources) for item in tcb.advisories] == [
        ("EXAMPLE-SA-4", ("TDX module",)),
        ("EXAMPLE-SA-7", ("platform",)),
        ("EXAMPLE-SA-8", ("platform",)),
    ]
    assert tcb.shortfalls == (
        "TDX component 3 is 2, the newest level has 4",
        "the TDX module TDX_03 has version 2, the newest level has 5",
    )


@pytest.mark.parametrize(("own", "status"), [(4, O), (5, U), (6, U)])
def test_the_modules_own_version_is_judged_by_its_identity(own: int, status: TcbStatus) -> None:
    pki = TdxPki()
    report_changed(pki, tee_tcb_svn=bytes((own, 3, 4)) + bytes(13))
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert tcb.status is tcb.tdx_module_status is status


def test_a_module_of_the_first_generation_is_judged_by_components_alone() -> None:
    pki = TdxPki()
    report_changed(pki, tee_tcb_svn=bytes((5, 0, 4)) + bytes(13))
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert tcb.tdx_module_status is None
    assert tcb.status is U
    report_changed(pki, tee_tcb_svn=bytes((4, 0, 4)) + bytes(13))
    assert td_objections(pki) == {("tcb-status", "7.2")}


def test_identities_are_looked_up_by_two_hexadecimal_digits_in_either_case() -> None:
    pki = TdxPki()
    module = pki.tcb_info.tdx_module
    assert module is not None
    report_changed(pki, tee_tcb_svn=bytes((1, 10, 4)) + bytes(13))
    for name, expected in (("TDX_0A", set()), ("tdx_0a", set()), ("TDX_10", {("tdx-module", "7.6")})):
        identity = TdxModuleIdentity(id=name, module=module, levels=module_levels((1, U, ())))
        pki.tcb_info = replace(pki.tcb_info, tdx_module_identities=(identity,))
        assert td_objections(pki) == expected


def test_an_empty_list_of_identities_is_malformed() -> None:
    pki = TdxPki()
    pki.tcb_info = replace(pki.tcb_info, tdx_module_identities=())
    with pytest.raises(MalformedCollateral, match="empty list"):
        td_objections(pki)


def test_identities_and_their_levels_occur_once() -> None:
    pki = TdxPki()
    pki.change_module("TDX_01", id="tdx_03")
    with pytest.raises(MalformedCollateral, match="identity occurs twice"):
        td_objections(pki)
    pki = TdxPki()
    pki.change_module(levels=module_levels((5, U, ()), (5, O, ())))
    with pytest.raises(MalformedCollateral, match="level of a TDX module occurs twice"):
        td_objections(pki)


def test_policies_for_enclaves_accept_no_trust_domain_and_the_reverse() -> None:
    pki = TdxPki()
    assert td_objections(pki, policy=IntelPki().policy()) == {("measurement", "8.10")}
    assert objections(IntelPki(), policy=pki.policy()) == {("measurement", "8.3")}


@pytest.mark.parametrize("name", TD_MEASUREMENTS)
def test_each_measurement_has_to_be_the_rules_unless_any(name: str) -> None:
    pki = TdxPki()
    pki.become_td_15()
    policy = pki.policy()
    report_changed(pki, **{name: measurement("another")})
    assert td_objections(pki, policy=policy) == {("measurement", "8.10")}
    assert td_objections(pki, policy=rule_of(policy, **{name: ANY})) == set()
    assert td_objections(pki, policy=rule_of(policy, **{name: measurement("another")})) == set()


def test_the_tdx_module_has_to_be_listed_unless_any() -> None:
    pki = TdxPki()
    for listed, expected in (
        (frozenset[MrSeam](), {("measurement", "8.10")}),
        (frozenset({MrSeam(bytes(48))}), {("measurement", "8.10")}),
        (frozenset({MrSeam(bytes(48)), pki.td_report.mr_seam}), set()),
        (ANY, set()),
    ):
        assert td_objections(pki, policy=rule_of(pki.policy(), mr_seam=listed)) == expected


def test_service_domains_are_none_where_the_report_cannot_tell() -> None:
    pki = TdxPki()
    assert td_objections(pki, policy=rule_of(pki.policy(), mr_service_td=NO_SERVICE_TD)) == set()
    bound = rule_of(pki.policy(), mr_service_td=MrServiceTd(measurement("migration")))
    assert td_objections(pki, policy=bound) == {("measurement", "8.10")}
    pki.become_td_15()
    report_changed(pki, mr_service_td=measurement("migration"))
    assert td_objections(pki, policy=bound) == set()
    result = appraise(*pki.build(), rule_of(pki.policy(), mr_service_td=ANY), at=AT)
    assert result.confessions == ("a trust domain with any service domain is accepted",)


@pytest.mark.parametrize("attribute", set(TdAttributes) - {TdAttributes.SEPT_VE_DISABLE})
def test_each_attribute_is_accepted_by_name_only(attribute: TdAttributes) -> None:
    pki = TdxPki()
    report_changed(pki, td_attributes=TdAttributes.SEPT_VE_DISABLE | attribute)
    expected = ("debug", "8.2") if attribute is TdAttributes.DEBUG else ("configuration", "8.11")
    assert td_objections(pki) == {expected}
    every = TdAttributes(sum(TdAttributes))
    assert td_objections(pki, policy=rule_of(pki.policy(), accepted_attributes=every & ~attribute)) == {expected}
    result = appraise(*pki.build(), rule_of(pki.policy(), accepted_attributes=attribute), at=AT)
    assert len(result.confessions) == (attribute in TdAttributes.DEBUG | TdAttributes.MIGRATABLE)
    assert result.claims.debug is (attribute is TdAttributes.DEBUG)


def test_sept_ve_disable_is_required_unless_switched_off() -> None:
    pki = TdxPki()
    report_changed(pki, td_attributes=TdAttributes(0))
    assert td_objections(pki) == {("configuration", "8.12")}
    result = appraise(*pki.build(), rule_of(pki.policy(), require_sept_ve_disable=False), at=AT)
    assert result.confessions == ("a trust domain without SEPT_VE_DISABLE is accepted",)


def test_a_module_with_attributes_is_accepted_when_both_say_so() -> None:
    pki = TdxPki()
    module_with_the_attributes_of_its_identity(pki)
    result = appraise(*pki.build(), rule_of(pki.policy(), accept_seam_attributes=True), at=AT)
    assert result.confessions == ("a TDX module with attributes is accepted",)
    module_lacking_attributes(pki)
    report_changed(pki, seam_attributes=bytes(8))
    assert td_objections(pki, policy=rule_of(pki.policy(), accept_seam_attributes=True)) == {("tdx-module", "7.8")}


def test_of_several_rules_one_suffices_and_otherwise_the_nearest_speaks() -> None:
    pki = TdxPki()
    (fitting,) = pki.policy().trust_domains
    far = TdRule(**{field.name: getattr(fitting, field.name) for field in fields(fitting)})
    far = replace(far, mr_td=MrTd(bytes(48)), rtmr_0=bytes(48), rtmr_1=bytes(48))  # type: ignore[arg-type]
    near = replace(fitting, rtmr_2=bytes(48))  # type: ignore[arg-type]
    assert td_objections(pki, policy=replace(pki.policy(), trust_domains=(far, fitting))) == set()
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(*pki.build(), replace(pki.policy(), trust_domains=(far, near)), at=AT)
    (finding,) = refusal.value.findings
    assert "RTMR_2" in finding.message
    assert (finding.expected, finding.actual) == (bytes(48).hex(), pki.td_report.rtmr_2.hex())


def test_no_rule_mixes_with_another() -> None:
    """The measurement of one and the attributes of another do not make a third."""
    pki = TdxPki()
    report_changed(pki, td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes.PKS)
    (rule,) = pki.policy().trust_domains
    other = replace(rule, mr_td=MrTd(bytes(48)), accepted_attributes=TdAttributes.PKS)
    assert td_objections(pki, policy=replace(pki.policy(), trust_domains=(rule, other))) == {("configuration", "8.11")}


def test_advisories_are_accepted_per_measurement() -> None:
    pki = TdxPki()
    module_out_of_date(pki)
    mine, other = MrTd(pki.td_report.mr_td), MrTd(bytes(48))
    for of, advisories, expected in (
        (mine, frozenset({"EXAMPLE-SA-4"}), set()),
        (mine, frozenset[str](), {("advisory", "8.6")}),
        (other, frozenset({"EXAMPLE-SA-4"}), {("tcb-status", "8.5")}),
        (MrEnclave(mine[:32]), ANY, {("tcb-status", "8.5")}),
    ):
        rule = TcbRule(status=O, measurement=of, advisories=advisories, maximum_tcb_age=ANY)
        assert td_objections(pki, policy=replace(pki.policy(), tcb=(rule,))) == expected


def test_a_status_is_taken_as_long_as_its_tcb_is_young_enough() -> None:
    pki = TdxPki()
    module_out_of_date(pki)
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    age = AT - tcb.date
    rule = TcbRule(status=O, measurement=ANY, advisories=ANY, maximum_tcb_age=age + DAY)
    result = appraise(*pki.build(), replace(pki.policy(), tcb=(rule,)), at=AT)
    assert result.expires_at == AT + DAY
    late = replace(rule, maximum_tcb_age=age - DAY)
    assert td_objections(pki, policy=replace(pki.policy(), tcb=(late,))) == {("tcb-status", "8.15")}
    assert td_objections(pki, policy=replace(pki.policy(), tcb=(late, rule))) == set()
    never = replace(rule, maximum_tcb_age=ANY)
    assert appraise(*pki.build(), replace(pki.policy(), tcb=(rule, never)), at=AT).expires_at > AT + DAY
    endless = replace(rule, maximum_tcb_age=timedelta.max)
    assert td_objections(pki, policy=replace(pki.policy(), tcb=(endless,))) == set()


FLAGS = ("smt_enabled", "dynamic_platform", "cached_keys")


@pytest.mark.parametrize("make", [IntelPki, TdxPki])
@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("stated", [True, False, None])
def test_settings_of_the_platform_are_wanted_on_off_or_not_looked_at(
    make: type[IntelPki], name: str, stated: bool | None
) -> None:
    pki = make()
    flags = dict.fromkeys(FLAGS, stated is False)  # the others are the opposite
    configuration = Configuration(**{**flags, name: stated}) if stated is not None else None
    instance = None if stated is None else bytes(16)
    pki.extension = replace(pki.extension, configuration=configuration, platform_instance_id=instance)
    if stated is None:
        pki.intermediate.common_name = "Example SGX PCK Processor CA"
    check = td_objections if isinstance(pki, TdxPki) else objections
    for wanted in (True, False):
        found = check(pki, policy=replace(pki.policy(), **{name: wanted}))  # type: ignore[arg-type,operator]
        assert found == (set() if wanted is stated else {("configuration", "8.14")})
    assert check(pki) == set()  # type: ignore[operator]


def test_settings_of_a_standard_platform_are_undefined_whatever_it_states() -> None:
    pki = IntelPki()
    pki.extension = replace(pki.extension, sgx_type=SgxType.STANDARD)
    for name in FLAGS:
        for wanted in (True, False):
            found = objections(pki, policy=replace(pki.policy(), **{name: wanted}))  # type: ignore[arg-type]
            assert found == {("configuration", "8.14")}
    shown = assess(*pki.build(), [pki.anchor], at=AT).to_json_object()["platform"]
    assert isinstance(shown, dict)
    assert shown["configuration"] == dict.fromkeys(FLAGS)


@pytest.mark.parametrize("status", [ADVISED, ADVISED_C])
def test_no_document_states_a_verdict_of_relaunch(status: TcbStatus) -> None:
    pki = TdxPki()
    level = IsvSvnLevel(isv_svn=5, tcb_date=AT, status=status)
    pki.change_module(levels=(level,))
    with pytest.raises(MalformedCollateral, match="is of no level"):
        td_objections(pki)


def test_the_first_tee_tcb_svn_is_the_one_of_the_launch() -> None:
    pki = TdxPki()
    pki.become_td_15(bytes((2, 3, 2)) + bytes(13))
    assert pki.td_report.tee_tcb_svn == TDX_SVN
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert (tcb.status, tcb.launch_status, tcb.current_status) == (U, U, O)
