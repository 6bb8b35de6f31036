"""Faults that other verifiers of TDX quotes have had; each test is named after what was missed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import dcap_qvl
import pytest

from appraisal_cases import objections, td_objections
from evidence_vectors import TDX_VERDICTS, case
from strongroom.base.errors import Malformed, MalformedCollateral, MalformedQuote
from strongroom.formats.measurements import MrSignerSeam
from strongroom.formats.quote import parse_quote
from strongroom.formats.tcb_info import TcbComponent, TdxModuleIdentity
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes, TdReport15
from strongroom.testing.intel_pki import AT, key
from strongroom.testing.tdx_pki import TdxPki, measurement, module_levels, tdx_levels
from strongroom.verifier import ANY, INTEL_SGX_ROOT, TcbRule, assess
from strongroom.verifier.result import TdxClaims

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = timedelta(days=1)
U, O, C = TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.CONFIGURATION_NEEDED  # noqa: E741


def svn(*first: int) -> bytes:
    return bytes(first) + bytes(16 - len(first))


def changed(pki: TdxPki, **changes: object) -> TdxPki:
    pki.td_report = replace(pki.td_report, **changes)  # type: ignore[arg-type]
    return pki


def status_of(pki: TdxPki) -> TcbStatus | None:
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    return tcb.status if tcb else None


def test_qe_identity_is_verified_and_not_only_fetched() -> None:
    """CVE-2026-22696, for the quoting enclave of TDX."""
    pki = TdxPki()
    pki.qe_report = replace(pki.qe_report, mr_signer=pki.report.mr_signer)
    pki.qe_identity_body = replace(pki.qe_identity, mr_signer=pki.report.mr_signer).to_bytes()
    pki.qe_identity_signer = key("somebody")
    assert td_objections(pki) == {("signature", "5.1")}


def test_module_identities_are_not_ignored() -> None:
    """MRSIGNERSEAM changed; a module nobody knows; a list that is not there."""
    somebody = MrSignerSeam(measurement("somebody"))
    assert td_objections(changed(TdxPki(), mr_signer_seam=somebody)) == {("tdx-module", "7.7")}
    assert td_objections(changed(TdxPki(), tee_tcb_svn=svn(5, 9, 4))) == {("tdx-module", "7.6")}
    pki = TdxPki()
    pki.tcb_info = replace(pki.tcb_info, tdx_module_identities=None)
    assert td_objections(pki) == {("tdx-module", "7.6")}


@pytest.mark.parametrize("count", [0, 15, 17])
def test_tdx_component_lists_of_another_length_are_not_compared_shorter(count: int) -> None:
    pki = TdxPki()
    body = json.loads(pki.tcb_info.to_bytes())
    for level in body["tcbLevels"]:
        level["tcb"]["tdxtcbcomponents"] = (level["tcb"]["tdxtcbcomponents"] * 2)[:count]
    pki.tcb_info_body = json.dumps(body).encode()
    with pytest.raises(MalformedCollateral, match="components"):
        td_objections(pki)


def test_sizes_of_all_ones_at_every_offset_are_refused_without_allocation() -> None:
    for verdict in (item for item in TDX_VERDICTS if "f1c850" in item["quote"] or "cf77a6" in item["quote"]):
        evidence, collateral, at = case(verdict)
        quote = parse_quote(evidence)
        end = len(evidence) - len(quote.certification_data) - quote.padding
        for offset in range(0, end, 7):
            data = evidence[:offset] + b"\xff\xff\xff\xff" + evidence[offset + 4 :]
            try:
                assert not assess(data, collateral, [INTEL_SGX_ROOT], at=at).genuine
            except Malformed:
                continue


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 7])
def test_a_quote_without_a_pck_chain_is_refused_and_does_not_crash(kind: int) -> None:
    for data in (b"", b"x" * 404, bytes(36)):
        found = td_objections(
            TdxPki(),
            quote=lambda quote, data=data: replace(quote, certification_data_type=kind, certification_data=data),
        )
        assert found == {("chain", "1.2")}


@pytest.mark.parametrize("where", ["platform", "quoting enclave", "TDX module", "current platform", "current module"])
def test_revoked_is_refused_wherever_it_stands(where: str) -> None:
    """Also where only one of several is revoked."""
    pki = TdxPki()
    revoked = TcbStatus.REVOKED
    match where:
        case "platform":
            pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, revoked, ())))
        case "quoting enclave":
            (level, *_) = pki.qe_identity.levels
            pki.qe_identity = replace(pki.qe_identity, levels=(replace(level, status=revoked),))
        case "TDX module":
            pki.change_module(levels=module_levels((5, revoked, ())))
        case "current platform":
            pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, U, ()), (12, 2, revoked, ())))
            pki.become_td_15(svn(5, 3, 2))
        case _:
            pki.change_module("TDX_01", levels=module_levels((2, revoked, ())))
            pki.become_td_15(svn(2, 1, 4))
    every = tuple(
        TcbRule(status=status, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY)
        for status in TcbStatus
        if status is not revoked
    )
    assert td_objections(pki, policy=replace(pki.policy(), tcb=every))
    assert not assess(*pki.build(), [pki.anchor], at=AT).genuine


@pytest.mark.parametrize("platform", [O, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, TcbStatus.REVOKED])
def test_the_modules_status_does_not_replace_the_platforms(platform: TcbStatus) -> None:
    pki = TdxPki()
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, platform, ())))
    assert status_of(pki) is platform
    assert ("tcb-status", "8.5") in td_objections(pki)


def test_configuration_needed_with_a_module_out_of_date_keeps_both() -> None:
    """A merge by severity gives OutOfDate and loses the configuration."""
    pki = changed(TdxPki(), tee_tcb_svn=svn(4, 3, 4))
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, C, ())))
    assert status_of(pki) is TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED


def test_the_second_svn_of_a_first_generation_module_is_compared_and_of_a_later_one_is_not() -> None:
    """svn[1] compared although the module has an identity, and the reverse."""
    pki = changed(TdxPki(), tee_tcb_svn=svn(4, 1, 4))
    assert status_of(pki) is U  # the levels want 5 in the first component
    assert status_of(changed(pki, tee_tcb_svn=svn(4, 0, 4))) is None
    wanting = tuple(
        replace(
            level,
            tdx_components=tuple(
                TcbComponent(svn=1) if index == 1 else item for index, item in enumerate(level.tdx_components or ())
            ),
        )
        for level in pki.tcb_info.levels
    )
    pki.tcb_info = replace(pki.tcb_info, levels=wanting)
    assert status_of(changed(pki, tee_tcb_svn=svn(5, 0, 4))) is None
    assert status_of(changed(pki, tee_tcb_svn=svn(5, 3, 4))) is U


def test_a_low_minor_version_under_a_later_module_is_not_refused() -> None:
    pki = changed(TdxPki(), tee_tcb_svn=svn(2, 1, 4))
    assert td_objections(pki) == set()


@pytest.mark.parametrize(("third", "status"), [(3, O), (4, U), (5, U)])
def test_the_third_component_one_below_equal_and_above(third: int, status: TcbStatus) -> None:
    assert status_of(changed(TdxPki(), tee_tcb_svn=svn(5, 3, third))) is status


@pytest.mark.parametrize("index", range(2, 16))
def test_each_tdx_component_counts(index: int) -> None:
    pki = TdxPki()
    pki.tcb_info = replace(
        pki.tcb_info,
        levels=tuple(replace(item, tdx_components=(TcbComponent(svn=1),) * 16) for item in pki.tcb_info.levels[:1]),
    )
    enough = bytes((5, 3)) + bytes((1,) * 14)
    assert td_objections(changed(pki, tee_tcb_svn=enough)) == set()
    short = enough[:index] + b"\0" + enough[index + 1 :]
    assert td_objections(changed(pki, tee_tcb_svn=short)) == {("tcb-status", "7.2")}


def test_the_quoting_enclave_does_not_overwrite_a_relaunch() -> None:
    """L OutOfDate, C UpToDate, QE UpToDate."""
    pki = changed(TdxPki(), tee_tcb_svn=svn(5, 3, 2))
    pki.become_td_15(svn(5, 3, 4))
    assert status_of(pki) is TcbStatus.TD_RELAUNCH_ADVISED
    pki.qe_report = replace(pki.qe_report, isv_svn=7)
    assert status_of(pki) is O  # a relaunch does not mend the quoting enclave


def test_the_quoting_enclave_alone_decides_when_it_alone_is_out_of_date() -> None:
    pki = TdxPki()
    pki.qe_report = replace(pki.qe_report, isv_svn=7)
    assert td_objections(pki) == {("tcb-status", "8.5")}
    assert status_of(pki) is O


def test_a_module_below_all_levels_is_refused_and_not_out_of_date() -> None:
    for version in (0, 1):
        assert td_objections(changed(TdxPki(), tee_tcb_svn=svn(version, 3, 4))) == {("tcb-status", "7.9")}


def test_module_ids_are_hexadecimal() -> None:
    pki = changed(TdxPki(), tee_tcb_svn=svn(5, 10, 4))
    module = pki.tcb_info.tdx_module
    assert module is not None
    identity = TdxModuleIdentity(id="TDX_0A", module=module, levels=module_levels((5, U, ())))
    pki.tcb_info = replace(pki.tcb_info, tdx_module_identities=(identity,))
    assert td_objections(pki) == set()


def test_seam_attributes_have_one_byte_order() -> None:
    """An identity that wants 01 00.. is not met by 00..01."""
    for shown, expected in ((b"\x01" + bytes(7), {("tdx-module", "8.13")}), (bytes(7) + b"\x01", None)):
        pki = changed(TdxPki(), seam_attributes=shown)
        module = pki.tcb_info.tdx_module
        assert module is not None
        pki.change_module(module=replace(module, attributes=b"\x01" + bytes(7)))
        assert td_objections(pki) == (expected or {("tdx-module", "7.8"), ("tdx-module", "8.13")})


def test_tdx_info_without_a_module_is_malformed_and_not_skipped() -> None:
    pki = TdxPki()
    body = json.loads(pki.tcb_info.to_bytes())
    del body["tdxModule"]
    pki.tcb_info_body = json.dumps(body).encode()
    with pytest.raises(MalformedCollateral, match="tdxModule"):
        td_objections(pki)


def test_old_collateral_with_lower_thresholds_replayed() -> None:
    pki = changed(TdxPki(), tee_tcb_svn=svn(5, 3, 1))
    pki.tcb_info = replace(pki.tcb_info, tcb_evaluation_data_number=17, levels=tdx_levels((1, 1, U, ())))
    assert td_objections(pki) == {("freshness", "8.7")}
    assert td_objections(pki, at=AT + 40 * DAY) >= {("expiry", "4.2"), ("freshness", "8.7")}


def test_a_status_and_a_bad_quoting_enclave_are_both_reported() -> None:
    pki = changed(TdxPki(), tee_tcb_svn=svn(4, 3, 4))
    pki.qe_report = replace(pki.qe_report, isv_prod_id=9)
    assert td_objections(pki) == {("qe-identity", "6.3"), ("tcb-status", "8.5")}


@pytest.mark.parametrize("bit", sorted(set(range(64)) - {0, 27, 28, 29, 30, 31, 63}))
def test_each_reserved_attribute_is_refused_before_any_policy(bit: int) -> None:
    """A mask over the wrong byte lets bit 39 pass and takes PERFMON for reserved."""
    pki = changed(TdxPki(), td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes(1 << bit))
    sections = {item.section for item in assess(*pki.build(), [pki.anchor], at=AT).findings}
    assert sections == {"appraisal 6.8"}


def test_performance_monitoring_is_an_attribute_and_not_reserved() -> None:
    pki = changed(TdxPki(), td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes.PERFMON)
    assert assess(*pki.build(), [pki.anchor], at=AT).genuine


def test_measurements_stand_at_their_offsets_and_do_not_move_with_the_nonce() -> None:
    """Offsets that are wrong in the reader and in its own writer agree with each other, and not with real evidence."""
    first = TdxPki()
    second = changed(TdxPki(), report_data=b"\xff" * 64)
    claims = [assess(*pki.build(), [pki.anchor], at=AT).claims for pki in (first, second)]
    assert all(isinstance(item, TdxClaims) for item in claims)
    assert claims[0] != claims[1]
    assert replace(claims[1], report_data=bytes(64)) == claims[0]


def test_right_registers_do_not_make_up_for_a_wrong_start() -> None:
    """RTMR3 replayed, MRTD and RTMR0 to 2 unchecked."""
    pki = TdxPki()
    policy = pki.policy()
    for name in ("mr_td", "rtmr_0", "rtmr_1", "rtmr_2"):
        assert td_objections(changed(TdxPki(), **{name: bytes(48)}), policy=policy) == {("measurement", "8.10")}


def test_the_descriptor_of_the_body_is_signed() -> None:
    pki = TdxPki()
    pki.become_td_15()
    quote = pki.td_quote()
    assert isinstance(quote.report, TdReport15)
    without = replace(quote, signature=pki.sign(quote.header.to_bytes() + quote.report.to_bytes()))
    assert td_objections(pki, quote=lambda _: without) == {("signature", "6.6")}


def test_a_report_of_td_15_cut_to_the_size_of_td_10_is_refused() -> None:
    pki = TdxPki()
    pki.become_td_15()
    data = pki.td_quote().to_bytes()
    with pytest.raises(MalformedQuote):
        assess(data[:48] + b"\x02\x00" + data[50:], pki.collateral(), [pki.anchor], at=AT)


def theirs(pki: TdxPki, evidence: bytes | None = None) -> str:
    report = dcap_qvl.verify_with_root_ca(
        pki.td_quote().to_bytes() if evidence is None else evidence,
        dcap_qvl.QuoteCollateralV3.from_json(pki.collateral().to_json().decode()),
        pki.root.der(),
        int(AT.timestamp()),
    )
    return str(report.status)


def same(pki: TdxPki) -> str:
    """The status that both give, or what dcap-qvl says when both refuse."""
    assessment = assess(*pki.build(), [pki.anchor], at=AT)
    try:
        status = theirs(pki)
    except ValueError as error:
        assert not assessment.genuine
        return str(error).split("\n")[0]
    assert assessment.genuine
    assert assessment.tcb is not None
    assert assessment.tcb.status == status
    return status


GOOD = [status for status in TcbStatus if status is not TcbStatus.REVOKED and "Relaunch" not in status.value]


@pytest.mark.parametrize("platform", GOOD)
@pytest.mark.parametrize("quoting_enclave", [U, O])
@pytest.mark.parametrize("module", [U, O])
def test_dcap_qvl_converges_to_the_same_status(
    platform: TcbStatus, quoting_enclave: TcbStatus, module: TcbStatus
) -> None:
    pki = TdxPki("Intel")
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, platform, ("INTEL-SA-00001",))))
    pki.change_module(levels=module_levels((5, module, ("INTEL-SA-00003",))))
    if quoting_enclave is O:
        pki.qe_report = replace(pki.qe_report, isv_svn=7)
    assert same(pki) in set(TcbStatus)


@pytest.mark.parametrize("launch", GOOD)
@pytest.mark.parametrize("current", GOOD)
def test_dcap_qvl_advises_the_same_relaunch(launch: TcbStatus, current: TcbStatus) -> None:
    pki = changed(TdxPki("Intel"), tee_tcb_svn=svn(5, 3, 2))
    pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, current, ()), (12, 2, launch, ())))
    pki.become_td_15(svn(5, 3, 4))
    assert same(pki) in set(TcbStatus)


BOTH_REFUSE: dict[str, Callable[[TdxPki], object]] = {
    "module without identity": lambda pki: changed(pki, tee_tcb_svn=svn(5, 9, 4)),
    "module of another signer": lambda pki: changed(pki, mr_signer_seam=measurement("x")),
    "module with attributes": lambda pki: changed(pki, seam_attributes=b"\x01" + bytes(7)),
    "module below every level": lambda pki: changed(pki, tee_tcb_svn=svn(1, 3, 4)),
    "third component below every level": lambda pki: changed(pki, tee_tcb_svn=svn(5, 3, 1)),
    "current module without identity": lambda pki: pki.become_td_15(svn(5, 9, 4)),
    "current component below every level": lambda pki: pki.become_td_15(svn(5, 3, 1)),
    "quoting enclave of SGX": lambda pki: setattr(pki, "qe_identity", replace(pki.qe_identity, id="QE")),
    "reserved attribute": lambda pki: changed(pki, td_attributes=TdAttributes(1 << 28 | 1 << 32)),
}


@pytest.mark.parametrize("name", BOTH_REFUSE)
def test_dcap_qvl_refuses_it_too(name: str) -> None:
    pki = TdxPki("Intel")
    BOTH_REFUSE[name](pki)
    assert same(pki) not in set(TcbStatus)


def test_only_we_refuse_the_attribute_of_bit_62() -> None:
    pki = changed(TdxPki("Intel"), td_attributes=TdAttributes(1 << 28 | 1 << 62))
    assert theirs(pki) == U
    assert not assess(*pki.build(), [pki.anchor], at=AT).genuine


def test_only_we_refuse_extended_features_that_no_module_allows() -> None:
    pki = changed(TdxPki("Intel"), xfam=1 << 60)
    assert theirs(pki) == U
    assert not assess(*pki.build(), [pki.anchor], at=AT).genuine


def test_only_we_take_migratable_domains_by_name() -> None:
    pki = changed(TdxPki("Intel"), td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes.MIGRATABLE)
    with pytest.raises(ValueError, match="migration"):
        theirs(pki)
    assert assess(*pki.build(), [pki.anchor], at=AT).genuine


@pytest.mark.parametrize("name", ["LASS", "PKS", "KL", "PERFMON"])
def test_dcap_qvl_takes_these_attributes_always_and_we_by_name_only(name: str) -> None:
    pki = changed(TdxPki("Intel"), td_attributes=TdAttributes.SEPT_VE_DISABLE | TdAttributes[name])
    assert same(pki) == U
    assert td_objections(pki) == {("configuration", "8.11")}


def test_only_we_read_enclaves_in_the_newer_frame() -> None:
    from strongroom.formats.quote_parts import TeeType
    from strongroom.formats.tee_quote import TeeQuote
    from strongroom.testing.intel_pki import IntelPki

    pki = IntelPki("Intel")
    unsigned = TeeQuote(
        header=replace(pki.header, version=4, tee_type=TeeType.SGX), report=pki.report, **pki.signatures()
    )
    evidence = replace(unsigned, signature=pki.sign(unsigned.signed_bytes)).to_bytes()
    with pytest.raises(ValueError, match=r".+"):
        dcap_qvl.verify_with_root_ca(
            evidence,
            dcap_qvl.QuoteCollateralV3.from_json(pki.collateral().to_json().decode()),
            pki.root.der(),
            int(AT.timestamp()),
        )
    assert assess(evidence, pki.collateral(), [pki.anchor], at=AT).genuine
    assert objections(pki) == set()
