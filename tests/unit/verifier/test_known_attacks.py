"""Faults that other verifiers of SGX quotes have had; each test is named after what was missed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import dcap_qvl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from appraisal_cases import objections
from evidence_vectors import VERDICTS, case, read
from strongroom.base.errors import AppraisalRefused, Malformed, MalformedCollateral, MalformedQuote
from strongroom.crypto import der
from strongroom.formats.pck_extension import PckTcb
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus
from strongroom.testing.intel_pki import AT, IntelPki, key, levels
from strongroom.verifier import ANY, INTEL_SGX_ROOT, TcbRule, appraise, assess

DAY = timedelta(days=1)
RELAUNCH = (TcbStatus.TD_RELAUNCH_ADVISED, TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED)


def test_qe_identity_is_verified_and_not_only_fetched() -> None:
    """CVE-2026-22696: a forged QE identity, and one signed by another key."""
    pki = IntelPki()
    pki.qe_report = replace(pki.qe_report, mr_signer=pki.report.mr_signer)
    forged = replace(pki.qe_identity, mr_signer=pki.report.mr_signer).to_bytes()
    found = objections(pki, collateral=lambda collateral: replace(collateral, qe_identity=forged))
    assert found == {("signature", "5.1")}
    pki.qe_identity_body, pki.qe_identity_signer = forged, key("somebody")
    assert objections(pki) == {("signature", "5.1")}


@pytest.mark.parametrize("offset", [16, 48, 128, 159, 256, 258])
def test_each_field_of_the_qe_report_off_by_one_bit(offset: int) -> None:
    pki = IntelPki()
    body = bytearray(pki.qe_report.to_bytes())
    body[offset] ^= 0x10 if offset != 258 else 0x08
    pki.qe_report = type(pki.qe_report).from_bytes(bytes(body))
    assert {check for check, _ in objections(pki)} == {"qe-identity"}


def test_qe_vendor_id_is_compared() -> None:
    pki = IntelPki()
    pki.header = replace(pki.header, qe_vendor_id=bytes(16))
    assert objections(pki) == {("qe-identity", "6.7")}


@pytest.mark.parametrize("count", [0, 15, 17])
def test_component_lists_of_another_length_are_not_compared_shorter(count: int) -> None:
    pki = IntelPki()
    body = json.loads(pki.tcb_info.to_bytes())
    for level in body["tcbLevels"]:
        level["tcb"]["sgxtcbcomponents"] = (level["tcb"]["sgxtcbcomponents"] * 2)[:count]
    pki.tcb_info_body = json.dumps(body).encode()
    with pytest.raises(MalformedCollateral):
        objections(pki)


def test_a_pck_extension_nested_a_thousand_deep_is_malformed() -> None:
    pki = IntelPki()
    nested = b""
    for _ in range(1000):
        nested = der.element(der.SEQUENCE, nested)
    pki.extension_bytes = nested
    with pytest.raises(MalformedQuote):
        objections(pki)


def test_sizes_of_all_ones_at_every_offset_are_refused_without_allocation() -> None:
    evidence, collateral, at = case(VERDICTS[0])
    quote = SgxQuote.from_bytes(evidence)
    end = len(evidence) - len(quote.certification_data)
    for offset in range(0, end, 3):
        data = evidence[:offset] + b"\xff\xff\xff\xff" + evidence[offset + 4 :]
        try:
            assert not assess(data, collateral, [INTEL_SGX_ROOT], at=at).genuine
        except Malformed:
            continue


@pytest.mark.parametrize("where", ["platform", "quoting enclave"])
def test_revoked_is_refused_wherever_it_stands(where: str) -> None:
    pki = IntelPki()
    if where == "platform":
        pki.tcb_info = replace(pki.tcb_info, levels=levels((12, TcbStatus.REVOKED, ())))
    else:
        level = IsvSvnLevel(isv_svn=1, tcb_date=AT, status=TcbStatus.REVOKED)
        pki.qe_identity = replace(pki.qe_identity, levels=(level,))
    every = tuple(
        TcbRule(status=status, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY)
        for status in TcbStatus
        if status is not TcbStatus.REVOKED
    )
    found = objections(pki, policy=replace(pki.policy(), tcb=every))
    assert ("tcb-status", "8.5") in found
    assert not assess(*pki.build(), [pki.anchor], at=AT).genuine


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 6, 7])
def test_a_quote_without_a_pck_chain_is_refused_and_does_not_crash(kind: int) -> None:
    for data in (b"", b"x" * 404, bytes(36)):
        found = objections(
            IntelPki(),
            quote=lambda quote, data=data: replace(quote, certification_data_type=kind, certification_data=data),
        )
        assert found == {("chain", "1.2")}


def test_pceid_is_compared() -> None:
    pki = IntelPki()
    pki.extension = replace(pki.extension, pce_id=b"\x01\x00")
    assert objections(pki) == {("platform", "4.5")}


def test_tcb_info_signed_by_a_pck_leaf_under_the_same_root_is_refused() -> None:
    """What an extracted PCK key would be good for where the TCB signer's name is not looked at."""
    pki = IntelPki()
    pki.leaf.issuer = pki.intermediate
    pki.tcb_chain = [pki.leaf, pki.intermediate, pki.root]
    assert ("chain", "2.1") in objections(pki)
    pki.tcb_chain = [pki.leaf, pki.root]
    assert {("chain", "2.7"), ("chain", "2.3")} <= objections(pki)
    under_root = replace(pki.leaf, issuer=pki.root, serial=55)
    pki.tcb_chain = [under_root, pki.root]
    assert objections(pki) == {("chain", "2.7")}


def test_tcb_signer_below_the_intermediate_is_refused() -> None:
    pki = IntelPki()
    signer = replace(pki.tcb_signer, issuer=pki.intermediate)
    pki.tcb_chain = [signer, pki.root]
    assert {("chain", "2.1"), ("chain", "2.3"), ("signature", "2.3")} <= objections(pki)


@pytest.mark.parametrize(("pce_svn", "status"), [(12, None), (13, "UpToDate"), (14, "UpToDate")])
def test_pcesvn_one_below_equal_and_above(pce_svn: int, status: str | None) -> None:
    pki = IntelPki()
    pki.set_components(*pki.extension.tcb.components, pce_svn=pce_svn)
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert (tcb.status if tcb else None) == status


@pytest.mark.parametrize("index", range(16))
def test_each_component_counts(index: int) -> None:
    pki = IntelPki()
    pki.tcb_info = replace(
        pki.tcb_info,
        levels=tuple(
            replace(level, components=tuple(replace(item, svn=max(item.svn, 1)) for item in level.components))
            for level in levels((12, TcbStatus.UP_TO_DATE, ()))
        ),
    )
    enough = tuple(item.svn for item in pki.tcb_info.levels[0].components)
    pki.set_components(*enough)
    assert objections(pki) == set()
    pki.set_components(*(svn - (position == index) for position, svn in enumerate(enough)))
    assert objections(pki) == {("tcb-status", "7.2")}


def test_old_collateral_with_lower_thresholds_replayed() -> None:
    """Inside its window only a floor stops it; outside it has expired."""
    pki = IntelPki()
    pki.tcb_info = replace(pki.tcb_info, tcb_evaluation_data_number=17, levels=levels((1, TcbStatus.UP_TO_DATE, ())))
    assert objections(pki) == {("freshness", "8.7")}
    assert objections(pki, at=AT + 40 * DAY) >= {("expiry", "4.2"), ("freshness", "8.7")}


def test_evaluation_number_is_the_smaller_of_both_documents() -> None:
    pki = IntelPki()
    pki.qe_identity = replace(pki.qe_identity, tcb_evaluation_data_number=17)
    assert objections(pki) == {("freshness", "8.7")}


def test_an_empty_policy_accepts_nothing() -> None:
    pki = IntelPki()
    policy = replace(pki.policy(), anchors=(), mr_enclaves=frozenset(), signers=(), tcb=(), platforms=frozenset())
    assert objections(pki, policy=policy) == {
        ("chain", "2.2"),
        ("measurement", "8.3"),
        ("tcb-status", "8.5"),
        ("platform", "8.9"),
    }


def test_qe_report_data_has_zeros_above_the_hash() -> None:
    pki = IntelPki()
    pki.qe_report_data = pki.quote().qe_report.report_data[:63] + b"\x01"
    assert objections(pki) == {("key-binding", "6.2")}


@pytest.mark.parametrize("length", [0, 16, 33, 1000])
def test_qe_authentication_data_of_any_length_is_hashed(length: int) -> None:
    pki = IntelPki()
    pki.qe_auth_data = bytes(range(256)) * 4
    pki.qe_auth_data = pki.qe_auth_data[:length]
    assert objections(pki) == set()


def test_a_list_with_an_x400_name_in_its_distribution_point_does_no_harm() -> None:
    """CVE-2023-0286: type confusion in a library's CRL handling. Here the list has an unknown critical extension."""
    pki = IntelPki()
    x400 = bytes.fromhex("30098007a305a003020101")
    loaded = x509.load_der_x509_crl(pki.pck_crl.der())
    builder = x509.CertificateRevocationListBuilder().issuer_name(loaded.issuer)
    assert loaded.next_update_utc is not None
    builder = builder.last_update(loaded.last_update_utc).next_update(loaded.next_update_utc)
    for extension in loaded.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.28"), x400)
    data = builder.add_extension(unknown, critical=True).sign(pki.intermediate.key.private, hashes.SHA256())
    try:
        found = objections(
            pki, collateral=lambda collateral: replace(collateral, pck_crl=data.public_bytes(Encoding.DER))
        )
    except MalformedCollateral:
        return
    assert ("revocation", "3.4") in found


def test_claims_are_not_to_be_had_from_a_refusal() -> None:
    """A caller that never looks at a status still cannot go on: the only way to a result is acceptance."""
    pki = IntelPki()
    pki.set_components(11, *pki.extension.tcb.components[1:])
    with pytest.raises(AppraisalRefused) as refusal:
        appraise(*pki.build(), pki.policy(), at=AT)
    assert not hasattr(refusal.value, "claims")


def test_an_absent_advisory_list_accepts_none() -> None:
    pki = IntelPki()
    pki.tcb_info = replace(pki.tcb_info, levels=levels((12, TcbStatus.SW_HARDENING_NEEDED, ("EXAMPLE-SA-9",))))
    rule = TcbRule(status=TcbStatus.SW_HARDENING_NEEDED, measurement=ANY, advisories=frozenset(), maximum_tcb_age=ANY)
    assert objections(pki, policy=replace(pki.policy(), tcb=(rule,))) == {("advisory", "8.6")}


def test_up_to_date_with_advisories_is_shown_and_refused_only_by_policy() -> None:
    pki = IntelPki()
    pki.tcb_info = replace(pki.tcb_info, levels=levels((12, TcbStatus.UP_TO_DATE, ("EXAMPLE-SA-9",))))
    result = appraise(*pki.build(), pki.policy(), at=AT)
    assert [(item.id, item.sources) for item in result.advisories] == [("EXAMPLE-SA-9", ("platform",))]
    rule = TcbRule(
        status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=frozenset({"EXAMPLE-SA-1"}), maximum_tcb_age=ANY
    )
    assert objections(pki, policy=replace(pki.policy(), tcb=(rule,))) == {("advisory", "8.6")}


def test_out_of_date_platform_and_wrong_quoting_enclave_are_both_reported() -> None:
    pki = IntelPki()
    pki.set_components(11, *pki.extension.tcb.components[1:])
    pki.qe_report = replace(pki.qe_report, isv_prod_id=9)
    assert objections(pki) == {("tcb-status", "8.5"), ("qe-identity", "6.3")}


def test_an_out_of_date_quoting_enclave_alone_decides() -> None:
    pki = IntelPki()
    pki.qe_report = replace(pki.qe_report, isv_svn=6)
    tcb = assess(*pki.build(), [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert (tcb.platform_status, tcb.status) == ("UpToDate", "OutOfDate")
    assert [(item.id, item.sources) for item in tcb.advisories] == [("EXAMPLE-SA-2", ("quoting enclave",))]
    assert objections(pki) == {("tcb-status", "8.5")}


def test_a_root_with_intels_names_and_another_key_is_refused() -> None:
    """Intel's own sandbox has such a root."""
    pki = IntelPki("Intel")
    assert objections(pki) == set()
    assert objections(pki, policy=replace(pki.policy(), anchors=(INTEL_SGX_ROOT,))) == {("chain", "2.2")}


def test_quotes_with_the_root_of_2033_pass() -> None:
    older = read("sgx/_anchors/intel-sgx-root-ca-2033.der")
    from strongroom.crypto.certificates import parse_pem_chain

    carrying = 0
    for verdict in VERDICTS:
        evidence, collateral, at = case(verdict)
        chain = parse_pem_chain(SgxQuote.from_bytes(evidence).certification_data, path="")
        if chain[-1].der == older:
            carrying += 1
            assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).genuine
    assert carrying


def test_the_pinned_key_does_not_excuse_a_broken_root_certificate() -> None:
    pki = IntelPki()
    pki.root.signer = key("somebody")
    assert objections(pki) == {("signature", "2.3")}
    pki = IntelPki()
    pki.root.ca, pki.root.path_length = False, None
    assert objections(pki) == {("chain", "2.5")}


def test_a_hostile_source_of_collateral_can_only_cause_refusal() -> None:
    pki, attacker = IntelPki(), IntelPki()
    attacker.root.key = key("attacker root")
    attacker.intermediate.key = key("attacker intermediate")
    attacker.tcb_signer.key = key("attacker tcb")
    attacker.tcb_info = replace(attacker.tcb_info, levels=levels((0, TcbStatus.UP_TO_DATE, ())))
    pki.set_components(0, *pki.extension.tcb.components[1:])
    good, bad = pki.collateral(), attacker.collateral()
    parts = (
        "pck_crl_issuer_chain",
        "root_ca_crl",
        "pck_crl",
        "tcb_info_issuer_chain",
        "tcb_info",
        "tcb_info_signature",
    )
    for count in range(1, len(parts) + 1):
        mixed = replace(good, **{name: getattr(bad, name) for name in parts[-count:]})
        assert objections(pki, collateral=lambda _, mixed=mixed: mixed)


LEVELS = [
    (status, qe)
    for status in TcbStatus
    if status not in (TcbStatus.REVOKED, *RELAUNCH)
    for qe in (TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE)
]


@pytest.mark.parametrize(("platform", "quoting_enclave"), LEVELS)
def test_dcap_qvl_converges_to_the_same_status(platform: TcbStatus, quoting_enclave: TcbStatus) -> None:
    pki = IntelPki("Intel")
    pki.tcb_info = replace(pki.tcb_info, levels=levels((12, platform, ("INTEL-SA-00001",))))
    level = IsvSvnLevel(isv_svn=8, tcb_date=AT - 100 * DAY, status=quoting_enclave, advisory_ids=("INTEL-SA-00002",))
    pki.qe_identity = replace(pki.qe_identity, levels=(level,))
    evidence, collateral = pki.build()
    other = dcap_qvl.verify_with_root_ca(
        evidence,
        dcap_qvl.QuoteCollateralV3.from_json(collateral.to_json().decode()),
        pki.root.der(),
        int(AT.timestamp()),
    )
    tcb = assess(evidence, collateral, [pki.anchor], at=AT).tcb
    assert tcb is not None
    assert other.status == tcb.status
    assert sorted(other.advisory_ids) == [item.id for item in tcb.advisories]


def test_cpu_svn_and_components_that_disagree_are_refused() -> None:
    pki = IntelPki()
    tcb = PckTcb(components=pki.extension.tcb.components, pce_svn=13, cpu_svn=b"\xff" * 16)
    pki.extension = replace(pki.extension, tcb=tcb)
    assert objections(pki) == {("platform", "7.1")}


def test_levels_in_another_order_give_the_same_level() -> None:
    pki = IntelPki()
    pki.tcb_info = replace(pki.tcb_info, levels=pki.tcb_info.levels[::-1])
    pki.qe_identity = replace(pki.qe_identity, levels=pki.qe_identity.levels[::-1])
    assert objections(pki) == set()
