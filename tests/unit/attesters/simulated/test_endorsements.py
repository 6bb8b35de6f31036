"""Collateral: every signature, the dates, and numbers that only rise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from strongroom.attesters.simulated import EnclaveIdentity, PlatformSettings, SimulatedPlatform
from strongroom.base.errors import CollateralUnavailable
from strongroom.crypto import ecdsa
from strongroom.crypto.certificates import RevocationList, parse_pem_chain, public_key_from_spki
from strongroom.formats.collateral import Collateral
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tcb_info import TcbInfo
from strongroom.formats.tcb_levels import TcbStatus

AT = datetime(2026, 11, 24, 12, 34, 56, 789, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32))


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "platform"


@pytest.fixture
def platform(directory):
    return SimulatedPlatform.open(directory, create=True)


def pck_chain(platform: SimulatedPlatform) -> tuple:
    quote = SgxQuote.from_bytes(platform.enclave(IDENTITY).evidence(bytes(64)))
    return parse_pem_chain(quote.certification_data, path="chain")


def numbers(collateral: Collateral) -> tuple[int, int, int, int]:
    return (
        TcbInfo.from_bytes(collateral.tcb_info).tcb_evaluation_data_number,
        QeIdentity.from_bytes(collateral.qe_identity).tcb_evaluation_data_number,
        RevocationList.from_der(collateral.root_ca_crl).number,
        RevocationList.from_der(collateral.pck_crl).number,
    )


def test_every_part_is_signed_by_whom_it_names(platform):
    collateral = platform.collateral(AT)
    _, intermediate, root = pck_chain(platform)
    assert parse_pem_chain(collateral.pck_crl_issuer_chain, path="c") == (intermediate, root)
    signing, its_root = parse_pem_chain(collateral.tcb_info_issuer_chain, path="c")
    assert its_root == root
    assert signing.common_name == "Strongroom Simulated SGX TCB Signing"
    assert root.signed(signing)
    assert collateral.qe_identity_issuer_chain == collateral.tcb_info_issuer_chain
    key = public_key_from_spki(signing.spki)
    assert ecdsa.verify_raw(key, collateral.tcb_info, collateral.tcb_info_signature)
    assert ecdsa.verify_raw(key, collateral.qe_identity, collateral.qe_identity_signature)
    root_crl, pck_crl = map(RevocationList.from_der, (collateral.root_ca_crl, collateral.pck_crl))
    assert root.signed(root_crl)
    assert intermediate.signed(pck_crl)
    assert root_crl.issuer == root.subject
    assert pck_crl.issuer == intermediate.subject
    assert not root_crl.revoked
    assert not pck_crl.revoked


def test_it_is_valid_from_midnight_for_30_days(platform):
    collateral = platform.collateral(AT)
    expected = (MIDNIGHT, MIDNIGHT + timedelta(days=30))
    tcb_info, qe_identity = TcbInfo.from_bytes(collateral.tcb_info), QeIdentity.from_bytes(collateral.qe_identity)
    assert (tcb_info.issue_date, tcb_info.next_update) == expected
    assert (qe_identity.issue_date, qe_identity.next_update) == expected
    for crl in map(RevocationList.from_der, (collateral.root_ca_crl, collateral.pck_crl)):
        assert (crl.this_update, crl.next_update) == expected


def test_one_set_serves_one_day_in_whatever_time_zone_it_is_asked_for(platform):
    elsewhere = AT.astimezone(timezone(timedelta(hours=-9)))
    assert platform.collateral(MIDNIGHT) is platform.collateral(AT) is platform.collateral(elsewhere)
    assert platform.collateral(AT + timedelta(days=1)) is not platform.collateral(AT)


def test_numbers_never_fall_and_rise_in_time(platform):
    previous = numbers(platform.collateral(AT))
    for days in (1, 2, 30, 91, 400):
        present = numbers(platform.collateral(AT + timedelta(days=days)))
        assert all(now >= before for now, before in zip(present, previous, strict=True))
        assert present[2:] > previous[2:]
        previous = present
    assert previous[0] > numbers(platform.collateral(AT))[0]


def test_a_change_within_a_day_gets_greater_crl_numbers(directory, platform):
    before = numbers(platform.collateral(AT))
    revoked = SimulatedPlatform.open(directory, settings=PlatformSettings(pck_revoked=True))
    after = numbers(revoked.collateral(AT))
    assert after[2] > before[2]
    assert after[3] > before[3]


def test_a_revoked_pck_is_in_the_pck_crl_and_nothing_else_is(directory):
    platform = SimulatedPlatform.open(directory, create=True, settings=PlatformSettings(pck_revoked=True))
    collateral = platform.collateral(AT)
    assert RevocationList.from_der(collateral.pck_crl).revoked == {pck_chain(platform)[0].serial}
    assert not RevocationList.from_der(collateral.root_ca_crl).revoked


@pytest.mark.parametrize("status", [TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE])
def test_the_platforms_versions_match_a_level_of_its_status(directory, status):
    platform = SimulatedPlatform.open(directory, create=True, settings=PlatformSettings(tcb=status))
    info = TcbInfo.from_bytes(platform.collateral(AT).tcb_info)
    extension = PckExtension.from_bytes(pck_chain(platform)[0].extensions[PCK_EXTENSION_OID])
    assert (info.fmspc, info.pce_id, info.version, info.id) == (extension.fmspc, extension.pce_id, 3, "SGX")
    level = next(
        level
        for level in info.levels
        if level.pce_svn <= extension.tcb.pce_svn
        and all(component.svn <= svn for component, svn in zip(level.components, extension.tcb.components, strict=True))
    )
    assert level.status is status
    assert bool(level.advisory_ids) is (status is TcbStatus.OUT_OF_DATE)
    assert list(info.levels) == sorted(info.levels, key=lambda level: level.order, reverse=True)


def test_the_quoting_enclave_is_the_one_of_the_qe_identity(platform):
    identity = QeIdentity.from_bytes(platform.collateral(AT).qe_identity)
    report = SgxQuote.from_bytes(platform.enclave(IDENTITY).evidence(bytes(64))).qe_report
    masked = bytes(a & m for a, m in zip(report.attributes.to_bytes(), identity.attributes_mask, strict=True))
    assert masked == identity.attributes
    assert report.misc_select & identity.misc_select_mask == identity.misc_select
    assert (report.mr_signer, report.isv_prod_id) == (identity.mr_signer, identity.isv_prod_id)
    assert report.isv_svn == identity.levels[0].isv_svn
    assert identity.levels[0].status is TcbStatus.UP_TO_DATE


@pytest.mark.parametrize("year", [1970, 2023, 2050])
def test_outside_the_certificates_dates_there_is_none(platform, year):
    with pytest.raises(CollateralUnavailable, match=str(year)):
        platform.collateral(datetime(year, 6, 1, tzinfo=UTC))


def test_it_survives_its_json_form(platform):
    collateral = platform.collateral(AT)
    assert Collateral.from_json(collateral.to_json()) == collateral
