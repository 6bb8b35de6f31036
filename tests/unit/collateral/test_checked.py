from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strongroom
from collateral_sets import (
    ANCHORS,
    KIND,
    OTHER_KIND,
    REAL,
    REAL_AT,
    REAL_KIND,
    SGX_17,
    SGX_19,
    TDX_18,
    TDX_AT,
    TDX_KIND,
    checked,
    generated,
    real,
)
from evidence_vectors import TDX_VERDICTS, VERDICTS, case, damaged
from strongroom.base.errors import CollateralUnavailable, MalformedCollateral
from strongroom.base.findings import Check
from strongroom.collateral.checked import check_collateral
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.crypto.certificates import RevocationList
from strongroom.crypto.der import SEQUENCE, element
from strongroom.formats.collateral import Collateral
from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.verifier import INTEL_SGX_ROOT, assess

if TYPE_CHECKING:
    from collections.abc import Callable


ABOUT_COLLATERAL = {Check.SIGNATURE, Check.CHAIN, Check.REVOCATION, Check.PLATFORM, Check.QE_IDENTITY}


def test_a_real_set_of_sgx() -> None:
    found = check_collateral(real(SGX_17))
    assert found.kind == REAL_KIND
    assert found.tcb_evaluation_data_number == found.tcb_info.number == 17
    assert found.valid_at(REAL_AT)
    assert (found.anchor, found.simulated) == ("Intel SGX Root CA", False)


def test_a_real_set_of_tdx() -> None:
    found = check_collateral(real(TDX_18))
    assert found.kind == TDX_KIND
    assert found.valid_at(TDX_AT)


def test_the_number_is_the_lower_of_two() -> None:
    found = check_collateral(real(SGX_19))
    assert (found.tcb_info.number, found.qe_identity.number) == (19, 17)
    assert found.tcb_evaluation_data_number == 17


@pytest.mark.parametrize("verdict", [*VERDICTS[::3], *TDX_VERDICTS[::3]], ids=lambda verdict: verdict["quote"])
def test_valid_means_what_it_means_to_the_verifier(verdict: object) -> None:
    evidence, collateral, at = case(verdict)  # type: ignore[arg-type]
    found = check_collateral(collateral)
    for instant in (at, found.valid_from, found.expires_at):
        findings = assess(evidence, collateral, (INTEL_SGX_ROOT,), at=instant).findings
        assert not {item.check for item in findings} & ABOUT_COLLATERAL
    for instant in (found.valid_from - timedelta(seconds=1), found.expires_at + timedelta(seconds=1)):
        findings = assess(evidence, collateral, (INTEL_SGX_ROOT,), at=instant).findings
        assert Check.EXPIRY in {item.check for item in findings}
        assert not found.valid_at(instant)


def test_both_ends_of_the_span_belong_to_it() -> None:
    found = checked(generated())
    assert found.valid_at(found.valid_from)
    assert found.valid_at(found.expires_at)
    second = timedelta(seconds=1)
    assert not found.valid_at(found.valid_from - second)
    assert not found.valid_at(found.expires_at + second)


def test_require_names_what_is_wrong() -> None:
    found = checked(generated())
    assert found.require(KIND, AT, resource="it") is found
    with pytest.raises(ResourceUnavailable, match="is for sgx-30606A000000-platform, not for") as refused:
        found.require(OTHER_KIND, AT, resource="it")
    assert refused.value.resource == "it"
    with pytest.raises(ResourceUnavailable, match="the PCK CRL expired at 2026-06-29"):
        found.require(KIND, AT + timedelta(days=40), resource="it")
    with pytest.raises(ResourceUnavailable, match="is not valid before 2026-05-30"):
        found.require(KIND, AT - timedelta(days=10), resource="it")


def _sign_tcb_info_otherwise(pki: IntelPki) -> None:
    pki.tcb_info_signer = key("somebody else")


def _sign_qe_identity_otherwise(pki: IntelPki) -> None:
    pki.qe_identity_signer = key("somebody else")


def _sign_pck_crl_otherwise(pki: IntelPki) -> None:
    pki.pck_crl.signer = key("somebody else")


def _sign_root_crl_otherwise(pki: IntelPki) -> None:
    pki.root_crl.signer = key("somebody else")


def _revoke_tcb_signer(pki: IntelPki) -> None:
    pki.root_crl.revoked = [pki.tcb_signer.serial]


def _revoke_intermediate(pki: IntelPki) -> None:
    pki.root_crl.revoked = [pki.intermediate.serial]


def _let_a_pck_leaf_sign(pki: IntelPki) -> None:
    pki.tcb_chain = [pki.leaf, pki.root]


def _identify_another_enclave(pki: IntelPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, id="QVE")


def _identify_the_enclave_of_tdx(pki: IntelPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, id="TD_QE")


def _take_the_wrong_crl(pki: IntelPki) -> None:
    pki.pck_crl.issuer = pki.root
    pki.pck_crl.signer = pki.root.key


def _drop_the_root(pki: IntelPki) -> None:
    pki.pck_crl_chain = [pki.intermediate]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_sign_tcb_info_otherwise, "the TCB info is not signed by its issuer"),
        (_sign_qe_identity_otherwise, "the QE identity is not signed by its issuer"),
        (_sign_pck_crl_otherwise, "the PCK CRL is not signed"),
        (_sign_root_crl_otherwise, "the root CRL is not signed"),
        (_revoke_tcb_signer, "SGX TCB Signing' is revoked"),
        (_revoke_intermediate, "SGX PCK Platform CA' is revoked"),
        (_let_a_pck_leaf_sign, "has the name of another office"),
        (_identify_another_enclave, "the QE identity is of another enclave"),
        (_identify_the_enclave_of_tdx, "the QE identity is of another enclave"),
        (_take_the_wrong_crl, "the PCK CRL is of another issuer"),
        (_drop_the_root, "has 1 certificates"),
    ],
)
def test_what_is_not_genuine_is_refused_with_the_finding(change: Callable[[IntelPki], None], said: str) -> None:
    with pytest.raises(ResourceUnavailable, match="is not genuine") as refused:
        check_collateral(generated(change=change), anchors=ANCHORS)
    assert said in refused.value.message


def test_a_root_that_is_no_anchor_is_refused() -> None:
    with pytest.raises(ResourceUnavailable, match="is not an accepted anchor"):
        check_collateral(generated())
    with pytest.raises(ResourceUnavailable, match="is not an accepted anchor"):
        check_collateral(real(SGX_17), anchors=ANCHORS)


def test_every_finding_is_told() -> None:
    def change(pki: IntelPki) -> None:
        _sign_tcb_info_otherwise(pki)
        _sign_pck_crl_otherwise(pki)

    with pytest.raises(ResourceUnavailable) as refused:
        check_collateral(generated(change=change), anchors=ANCHORS)
    assert "the TCB info is not signed" in refused.value.message
    assert "the PCK CRL is not signed" in refused.value.message


def test_the_tcb_info_of_a_pck_chain_cannot_stand_in_for_a_crl_chain() -> None:
    good = generated()
    with pytest.raises((MalformedCollateral, CollateralUnavailable)):
        check_collateral(replace(good, pck_crl_issuer_chain=good.tcb_info_issuer_chain), anchors=ANCHORS)


@given(name=st.sampled_from(REAL), data=st.data())
def test_a_damaged_part_is_refused_precisely_or_changes_nothing_that_is_signed(name: str, data: st.DataObject) -> None:
    whole = real(name)
    part = data.draw(st.sampled_from([item.name for item in fields(Collateral)]))
    spoilt = replace(whole, **{part: data.draw(damaged([getattr(whole, part)]))})
    try:
        found = check_collateral(spoilt)
    except (MalformedCollateral, CollateralUnavailable):
        return
    good = check_collateral(whole)
    assert (found.kind, found.tcb_info, found.qe_identity) == (good.kind, good.tcb_info, good.qe_identity)
    assert (found.pck_crl, found.root_ca_crl) == (good.pck_crl, good.root_ca_crl)


def test_instants_in_another_time_zone() -> None:
    found = checked(generated())
    assert found.valid_at(AT.astimezone(UTC))


def _without_next_update(der: bytes) -> bytes:
    """Take nextUpdate, the second of two times, out of a CRL; its signature is then no longer good."""
    revocations = RevocationList.from_der(der)
    first = revocations.tbs.index(b"\x17\x0d")
    second = revocations.tbs.index(b"\x17\x0d", first + 15)
    body = revocations.tbs[:second] + revocations.tbs[second + 15 :]
    header = 4 if body[1] == 0x82 else 3 if body[1] == 0x81 else 2
    tbs = element(SEQUENCE, body[header:])
    rest = der[der.index(revocations.tbs) + len(revocations.tbs) :]
    return element(SEQUENCE, tbs, rest)


def test_a_list_without_an_end_is_refused_whatever_the_time() -> None:
    good = generated()
    for part, name in (("root_ca_crl", "root"), ("pck_crl", "PCK")):
        endless = replace(good, **{part: _without_next_update(getattr(good, part))})
        with pytest.raises(ResourceUnavailable, match=f"the {name} CRL does not say until when it is valid"):
            check_collateral(endless, anchors=ANCHORS)


def test_one_function_makes_checked_collateral() -> None:
    source = Path(strongroom.__file__).parent
    makers = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        for _ in re.finditer(r"\bCheckedCollateral\(", path.read_text())
    ]
    assert makers == ["collateral/checked.py"]
