"""One objection for one fault: everything is signed as it should be, and one thing is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from appraisal_cases import Objections, objections
from strongroom.base.errors import AppraisalRefused, MalformedCollateral, MalformedQuote, Misconfigured
from strongroom.crypto.certificates import pem
from strongroom.formats.sgx_report import Attributes
from strongroom.formats.tcb_info import TcbComponent, TdxModule
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus
from strongroom.testing.intel_pki import AT, CertificatePlan, IntelPki, key, levels
from strongroom.verifier import Anchor, appraise, assess

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.formats.collateral import Collateral
    from strongroom.formats.sgx_quote import SgxQuote

DAY = timedelta(days=1)


def test_the_unchanged_plan_is_accepted() -> None:
    pki = IntelPki()
    assert objections(pki) == set()
    result = appraise(*pki.build(), pki.policy(), at=AT)
    assert result.tcb_status is TcbStatus.UP_TO_DATE
    assert result.confessions == ()
    assert result.policy_digest == pki.policy().digest
    assert result.claims.mr_enclave == pki.report.mr_enclave
    assert result.platform == pki.extension
    assert result.expires_at == pki.tcb_info.next_update


def short_pck_chain(pki: IntelPki) -> None:
    pki.pck_chain = [pki.leaf, pki.intermediate]


def long_pck_chain(pki: IntelPki) -> None:
    pki.pck_chain = [pki.leaf, pki.intermediate, pki.root, pki.root]


def foreign_issuer_name(pki: IntelPki) -> None:
    pki.leaf.issuer = replace(pki.intermediate, common_name="Somebody SGX PCK Platform CA")


def leaf_signed_by_another_key(pki: IntelPki) -> None:
    pki.leaf.signer = key("somebody")


def intermediate_signed_by_another_key(pki: IntelPki) -> None:
    pki.intermediate.signer = key("somebody")


def root_signed_by_another_key(pki: IntelPki) -> None:
    pki.root.signer = key("somebody")


def tcb_signer_signed_by_another_key(pki: IntelPki) -> None:
    pki.tcb_signer.signer = key("somebody")


def expired_leaf(pki: IntelPki) -> None:
    pki.leaf.not_after = AT - DAY


def leaf_of_the_future(pki: IntelPki) -> None:
    pki.leaf.not_before = AT + DAY


def expired_intermediate(pki: IntelPki) -> None:
    pki.intermediate.not_after = AT - DAY


def expired_root(pki: IntelPki) -> None:
    pki.root.not_after = AT - DAY


def root_of_the_future(pki: IntelPki) -> None:
    pki.root.not_before = AT + DAY


def expired_tcb_signer(pki: IntelPki) -> None:
    pki.tcb_signer.not_after = AT - DAY


def tcb_signer_of_the_future(pki: IntelPki) -> None:
    pki.tcb_signer.not_before = AT + DAY


def leaf_that_is_a_ca(pki: IntelPki) -> None:
    pki.leaf.ca = True


def leaf_that_may_not_sign(pki: IntelPki) -> None:
    pki.leaf.key_usages = frozenset({"keyEncipherment"})


def leaf_that_may_certify(pki: IntelPki) -> None:
    pki.leaf.key_usages = frozenset({"digitalSignature", "keyCertSign"})


def intermediate_that_is_no_ca(pki: IntelPki) -> None:
    pki.intermediate.ca, pki.intermediate.path_length = False, None
    pki.intermediate.key_usages = frozenset({"keyCertSign", "cRLSign", "digitalSignature"})


def intermediate_that_may_not_certify(pki: IntelPki) -> None:
    pki.intermediate.key_usages = frozenset({"cRLSign"})


def root_that_allows_no_intermediate(pki: IntelPki) -> None:
    pki.root.path_length = 0


def tcb_signer_that_is_a_ca(pki: IntelPki) -> None:
    pki.tcb_signer.ca = True


def leaf_with_another_name(pki: IntelPki) -> None:
    pki.leaf.common_name = "Example SGX PCK Certificat"


def intermediate_with_another_name(pki: IntelPki) -> None:
    pki.intermediate.common_name = "Example SGX PCK Cloud CA"


def intermediate_of_another_vendor(pki: IntelPki) -> None:
    pki.intermediate.common_name = "Intel SGX PCK Platform CA"


def tcb_signer_with_another_name(pki: IntelPki) -> None:
    pki.tcb_signer.common_name = "Example SGX TCB Signin"


def no_extension(pki: IntelPki) -> None:
    pki.extension_bytes = b""


def root_crl_of_another_issuer(pki: IntelPki) -> None:
    pki.root_crl.issuer, pki.root_crl.signer = replace(pki.root, common_name="Example Root"), pki.root.key


def pck_crl_of_the_other_ca(pki: IntelPki) -> None:
    pki.pck_crl.issuer = replace(pki.intermediate, common_name="Example SGX PCK Processor CA")


def pck_crl_chain_of_another_ca(pki: IntelPki) -> None:
    other = replace(pki.intermediate, key=key("other"), serial=9)
    pki.pck_crl_chain = [other, pki.root]


def root_crl_signed_by_another_key(pki: IntelPki) -> None:
    # the key identifier follows the signing key
    pki.root_crl.signer = key("somebody")


def pck_crl_signed_by_another_key(pki: IntelPki) -> None:
    pki.pck_crl.signer = key("somebody")


def expired_root_crl(pki: IntelPki) -> None:
    pki.root_crl.next_update = AT - timedelta(hours=1)


def root_crl_of_the_future(pki: IntelPki) -> None:
    pki.root_crl.this_update = AT + DAY


def expired_pck_crl(pki: IntelPki) -> None:
    pki.pck_crl.next_update = AT - timedelta(hours=1)


def pck_crl_of_the_future(pki: IntelPki) -> None:
    pki.pck_crl.this_update = AT + DAY


def revoked_leaf(pki: IntelPki) -> None:
    pki.pck_crl.revoked = [77, pki.leaf.serial]


def revoked_intermediate(pki: IntelPki) -> None:
    pki.root_crl.revoked = [pki.intermediate.serial]


def revoked_tcb_signer(pki: IntelPki) -> None:
    pki.root_crl.revoked = [pki.tcb_signer.serial]


def revoked_qe_signer(pki: IntelPki) -> None:
    signer = replace(pki.tcb_signer, key=key("qe signing"), serial=44)
    pki.qe_chain = [signer, pki.root]
    pki.root_crl.revoked = [44]


def revoked_root(pki: IntelPki) -> None:
    pki.root_crl.revoked = [pki.root.serial]


def tcb_info_signed_by_another_key(pki: IntelPki) -> None:
    pki.tcb_info_signer = key("somebody")


def expired_tcb_info(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, next_update=AT - timedelta(seconds=1))


def tcb_info_of_the_future(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, issue_date=AT + timedelta(seconds=1))


def tcb_info_of_tdx(pki: IntelPki) -> None:
    zeros = tuple(TcbComponent(svn=0) for _ in range(16))
    pki.tcb_info = replace(
        pki.tcb_info,
        id="TDX",
        tdx_module=TdxModule(mr_signer=bytes(48), attributes=bytes(8), attributes_mask=bytes(8)),
        levels=tuple(replace(level, tdx_components=zeros) for level in pki.tcb_info.levels),
    )


def tcb_info_of_another_fmspc(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, fmspc=bytes(6))


def tcb_info_of_another_pce(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, pce_id=b"\x01\x00")


def qe_identity_signed_by_another_key(pki: IntelPki) -> None:
    pki.qe_identity_signer = key("somebody")


def expired_qe_identity(pki: IntelPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, next_update=AT - timedelta(seconds=1))


def qe_identity_of_the_future(pki: IntelPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, issue_date=AT + timedelta(seconds=1))


def qe_identity_of_tdx(pki: IntelPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, id="TD_QE")


def qe_report_signed_by_another_key(pki: IntelPki) -> None:
    pki.qe_report_signer = key("somebody")


def qe_report_for_another_key(pki: IntelPki) -> None:
    pki.qe_report_data = bytes(64)


def qe_of_another_signer(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, mr_signer=pki.report.mr_signer)


def qe_of_another_product(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, isv_prod_id=2)


def qe_with_other_misc_select(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, misc_select=0x10000)


def qe_with_other_attributes(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, attributes=Attributes(flags=0x05, xfrm=3))


def qe_in_debug_mode(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, attributes=Attributes(flags=0x17, xfrm=3))


def qe_in_debug_mode_that_the_identity_allows(pki: IntelPki) -> None:
    pki.qe_identity = replace(pki.qe_identity, attributes_mask=bytes(16), attributes=bytes(16))
    pki.qe_report = replace(pki.qe_report, attributes=Attributes(flags=0x17, xfrm=3))


def qe_below_every_level(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, isv_svn=5)


def revoked_qe(pki: IntelPki) -> None:
    level = IsvSvnLevel(isv_svn=8, tcb_date=AT, status=TcbStatus.REVOKED)
    pki.qe_identity = replace(pki.qe_identity, levels=(level,))


def qe_out_of_date(pki: IntelPki) -> None:
    pki.qe_report = replace(pki.qe_report, isv_svn=7)


def quote_signed_by_another_key(pki: IntelPki) -> None:
    pki.quote_signer = key("somebody")


def qe_of_another_vendor(pki: IntelPki) -> None:
    vendor_id = pki.header.qe_vendor_id
    pki.header = replace(pki.header, qe_vendor_id=bytes((vendor_id[0] ^ 1,)) + vendor_id[1:])


def components_unlike_the_cpu_svn(pki: IntelPki) -> None:
    pki.extension = replace(pki.extension, tcb=replace(pki.extension.tcb, cpu_svn=bytes(16)))


def platform_below_every_level(pki: IntelPki) -> None:
    pki.set_components(4, *pki.extension.tcb.components[1:])


def revoked_platform(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, levels=levels((12, TcbStatus.REVOKED, ())))


def platform_out_of_date(pki: IntelPki) -> None:
    pki.set_components(11, *pki.extension.tcb.components[1:])


def debug_enclave(pki: IntelPki) -> None:
    pki.report = replace(pki.report, attributes=Attributes(flags=0x07, xfrm=3))


FAULTS: list[tuple[Callable[[IntelPki], None], Objections]] = [
    (short_pck_chain, {("chain", "2.1")}),
    (long_pck_chain, {("chain", "2.1")}),
    (foreign_issuer_name, {("chain", "2.1"), ("chain", "2.3")}),
    (leaf_signed_by_another_key, {("signature", "2.3")}),
    (intermediate_signed_by_another_key, {("signature", "2.3")}),
    (root_signed_by_another_key, {("signature", "2.3")}),
    (tcb_signer_signed_by_another_key, {("signature", "2.3")}),
    (expired_leaf, {("expiry", "2.4")}),
    (leaf_of_the_future, {("expiry", "2.4")}),
    (expired_intermediate, {("expiry", "2.4")}),
    (expired_root, {("expiry", "2.4")}),
    (root_of_the_future, {("expiry", "2.4")}),
    (expired_tcb_signer, {("expiry", "2.4")}),
    (tcb_signer_of_the_future, {("expiry", "2.4")}),
    (leaf_that_is_a_ca, {("chain", "2.5")}),
    (leaf_that_may_not_sign, {("chain", "2.5")}),
    (leaf_that_may_certify, {("chain", "2.5")}),
    (intermediate_that_is_no_ca, {("chain", "2.5")}),
    (intermediate_that_may_not_certify, {("chain", "2.5")}),
    (root_that_allows_no_intermediate, {("chain", "2.5")}),
    (tcb_signer_that_is_a_ca, {("chain", "2.5")}),
    (leaf_with_another_name, {("chain", "2.7")}),
    (intermediate_with_another_name, {("chain", "2.7")}),
    (intermediate_of_another_vendor, {("chain", "2.7")}),
    (tcb_signer_with_another_name, {("chain", "2.7")}),
    (no_extension, {("platform", "2.10")}),
    (root_crl_of_another_issuer, {("revocation", "3.1")}),
    (pck_crl_of_the_other_ca, {("revocation", "3.1")}),
    (pck_crl_chain_of_another_ca, {("revocation", "3.1")}),
    (root_crl_signed_by_another_key, {("signature", "3.2"), ("revocation", "3.4")}),
    (pck_crl_signed_by_another_key, {("signature", "3.2"), ("revocation", "3.4")}),
    (expired_root_crl, {("expiry", "3.3")}),
    (root_crl_of_the_future, {("expiry", "3.3")}),
    (expired_pck_crl, {("expiry", "3.3")}),
    (pck_crl_of_the_future, {("expiry", "3.3")}),
    (revoked_leaf, {("revocation", "3.5")}),
    (revoked_intermediate, {("revocation", "3.5")}),
    (revoked_tcb_signer, {("revocation", "3.5")}),
    (revoked_qe_signer, {("revocation", "3.5")}),
    (revoked_root, {("revocation", "3.5")}),
    (tcb_info_signed_by_another_key, {("signature", "4.1")}),
    (expired_tcb_info, {("expiry", "4.2")}),
    (tcb_info_of_the_future, {("expiry", "4.2")}),
    (tcb_info_of_tdx, {("tcb-status", "4.3")}),
    (tcb_info_of_another_fmspc, {("platform", "4.4")}),
    (tcb_info_of_another_pce, {("platform", "4.5")}),
    (qe_identity_signed_by_another_key, {("signature", "5.1")}),
    (expired_qe_identity, {("expiry", "5.2")}),
    (qe_identity_of_the_future, {("expiry", "5.2")}),
    (qe_identity_of_tdx, {("qe-identity", "5.3")}),
    (qe_report_signed_by_another_key, {("signature", "6.1")}),
    (qe_report_for_another_key, {("key-binding", "6.2")}),
    (qe_of_another_signer, {("qe-identity", "6.3")}),
    (qe_of_another_product, {("qe-identity", "6.3")}),
    (qe_with_other_misc_select, {("qe-identity", "6.3")}),
    (qe_with_other_attributes, {("qe-identity", "6.3")}),
    (qe_in_debug_mode, {("qe-identity", "6.3"), ("qe-identity", "6.4")}),
    (qe_in_debug_mode_that_the_identity_allows, {("qe-identity", "6.4")}),
    (qe_below_every_level, {("qe-identity", "6.5")}),
    (revoked_qe, {("tcb-status", "6.5"), ("tcb-status", "8.5")}),
    (qe_out_of_date, {("tcb-status", "8.5")}),
    (quote_signed_by_another_key, {("signature", "6.6")}),
    (qe_of_another_vendor, {("qe-identity", "6.7")}),
    (components_unlike_the_cpu_svn, {("platform", "7.1")}),
    (platform_below_every_level, {("tcb-status", "7.2")}),
    (revoked_platform, {("tcb-status", "7.4"), ("tcb-status", "8.5")}),
    (platform_out_of_date, {("tcb-status", "8.5")}),
    (debug_enclave, {("debug", "8.2")}),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_one_fault_gives_exactly_its_findings(fault: Callable[[IntelPki], None], expected: Objections) -> None:
    pki = IntelPki()
    fault(pki)
    assert objections(pki) == expected


@pytest.mark.parametrize("first", range(0, len(FAULTS), 5))
def test_two_faults_give_the_findings_of_both(first: int) -> None:
    # faults that leave a whole chain or the platform unread hide what depends on it, so they are left out
    hiding = {short_pck_chain, long_pck_chain, no_extension, platform_below_every_level, qe_below_every_level}
    fault, expected = FAULTS[first]
    if fault in hiding:
        return
    for other, also in (
        (debug_enclave, {("debug", "8.2")}),
        (qe_report_for_another_key, {("key-binding", "6.2")}),
        (revoked_leaf, {("revocation", "3.5")}),
    ):
        pki = IntelPki()
        fault(pki)
        other(pki)
        assert objections(pki) == expected | also


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 6, 7])
def test_other_certification_data_is_refused_and_all_else_still_judged(kind: int) -> None:
    pki = IntelPki()
    assert objections(pki, quote=lambda quote: replace(quote, certification_data_type=kind)) == {("chain", "1.2")}
    pki.qe_report_data = bytes(64)
    pki.tcb_info = replace(pki.tcb_info, next_update=AT - DAY)
    assert objections(pki, quote=lambda quote: replace(quote, certification_data_type=kind)) == {
        ("chain", "1.2"),
        ("key-binding", "6.2"),
        ("expiry", "4.2"),
    }


def changed_tcb_info(collateral: Collateral) -> Collateral:
    return replace(collateral, tcb_info=collateral.tcb_info.replace(b'"svn":12', b'"svn":11'))


def changed_qe_identity(collateral: Collateral) -> Collateral:
    return replace(collateral, qe_identity=collateral.qe_identity.replace(b'"isvprodid":1', b'"isvprodid":1 '))


def test_changed_documents_are_refused() -> None:
    assert objections(IntelPki(), collateral=changed_tcb_info) == {("signature", "4.1")}
    assert objections(IntelPki(), collateral=changed_qe_identity) == {("signature", "5.1")}


def without_chain(name: str) -> Callable[[Collateral], Collateral]:
    return lambda collateral: replace(collateral, **{name: pem([IntelPki().root.der()])})


@pytest.mark.parametrize("name", ["pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"])
def test_a_chain_cut_short_is_refused(name: str) -> None:
    assert objections(IntelPki(), collateral=without_chain(name)) == {("chain", "2.1")}


def other_signature(quote: SgxQuote) -> SgxQuote:
    return replace(quote, qe_auth_data=b"x" * 32)


def test_other_authentication_data_breaks_the_binding() -> None:
    assert objections(IntelPki(), quote=other_signature) == {("key-binding", "6.2")}


def test_an_attestation_key_off_the_curve_is_refused() -> None:
    found = objections(IntelPki(), quote=lambda quote: replace(quote, attestation_key=bytes(64)))
    assert found == {("key-binding", "6.2"), ("signature", "6.6")}


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(32) + b"\1" * 32])
def test_signatures_out_of_range_are_refused(signature: bytes) -> None:
    found = objections(IntelPki(), quote=lambda quote: replace(quote, signature=signature))
    assert found == {("signature", "6.6")}


class CriticalLeaf(CertificatePlan):
    """A leaf with a critical extension that nobody understands."""

    def der(self) -> bytes:
        loaded = x509.load_der_x509_certificate(super().der())
        builder = x509.CertificateBuilder().subject_name(loaded.subject).issuer_name(loaded.issuer)
        builder = builder.public_key(loaded.public_key()).serial_number(loaded.serial_number)
        builder = builder.not_valid_before(loaded.not_valid_before_utc).not_valid_after(loaded.not_valid_after_utc)
        for extension in loaded.extensions:
            builder = builder.add_extension(extension.value, critical=extension.critical)
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        assert self.issuer is not None
        signed = builder.add_extension(unknown, critical=True).sign(self.issuer.key.private, hashes.SHA256())
        return signed.public_bytes(Encoding.DER)


def test_a_critical_extension_that_is_not_understood_is_refused() -> None:
    pki = IntelPki()
    pki.leaf = CriticalLeaf(
        common_name=pki.leaf.common_name,
        key=pki.leaf.key,
        issuer=pki.intermediate,
        ca=False,
        path_length=None,
        serial=3,
    )
    pki.pck_chain[0] = pki.leaf
    assert objections(pki) == {("chain", "2.8")}


def test_a_key_on_another_curve_is_refused() -> None:
    pki = IntelPki()
    other = ec.generate_private_key(ec.SECP384R1())
    loaded = x509.load_der_x509_certificate(pki.tcb_signer.der())
    builder = x509.CertificateBuilder().subject_name(loaded.subject).issuer_name(loaded.issuer)
    builder = builder.public_key(other.public_key()).serial_number(loaded.serial_number)
    builder = builder.not_valid_before(loaded.not_valid_before_utc).not_valid_after(loaded.not_valid_after_utc)
    for extension in loaded.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    der = builder.sign(pki.root.key.private, hashes.SHA256()).public_bytes(Encoding.DER)
    found = objections(
        pki, collateral=lambda collateral: replace(collateral, tcb_info_issuer_chain=pem([der, pki.root.der()]))
    )
    assert ("chain", "2.6") in found


def list_with(pki: IntelPki, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
    loaded = x509.load_der_x509_crl(pki.pck_crl.der())
    builder = x509.CertificateRevocationListBuilder().issuer_name(loaded.issuer)
    assert loaded.next_update_utc is not None
    builder = builder.last_update(loaded.last_update_utc).next_update(loaded.next_update_utc)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(pki.intermediate.key.private, hashes.SHA256()).public_bytes(Encoding.DER)


def test_lists_without_number_or_key_identifier_or_for_some_certificates_only_are_refused() -> None:
    pki = IntelPki()
    number = (x509.CRLNumber(1), False)
    authority = (x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.intermediate.key.private.public_key()), False)
    delta = (x509.DeltaCRLIndicator(1), True)
    partial = (x509.IssuingDistributionPoint(None, None, True, False, None, False, False), True)
    for extensions in ((number,), (authority,), (number, authority, delta), (number, authority, partial)):
        data = list_with(pki, *extensions)
        found = objections(pki, collateral=lambda collateral, data=data: replace(collateral, pck_crl=data))
        assert found == {("revocation", "3.4")}
    good = list_with(pki, number, authority)
    assert objections(pki, collateral=lambda collateral: replace(collateral, pck_crl=good)) == set()


def test_chains_may_come_in_any_order() -> None:
    pki = IntelPki()
    pki.pck_chain.reverse()
    pki.tcb_chain.reverse()
    pki.pck_crl_chain.reverse()

    def reverse_signer(collateral: Collateral) -> Collateral:
        return replace(collateral, tcb_info_signature=pki.tcb_signer.key.sign_raw(collateral.tcb_info))

    assert objections(pki, collateral=reverse_signer) == set()


def test_an_anchor_is_a_key_and_a_name() -> None:
    pki = IntelPki()
    for anchor in (
        replace(pki.anchor, name="Example SGX Root CB"),
        replace(pki.anchor, spki=IntelPki.anchor.fget(renamed_root()).spki),  # type: ignore[attr-defined]
    ):
        policy = replace(pki.policy(), anchors=(anchor,))
        assert objections(pki, policy=policy) == {("chain", "2.2")}
    assert objections(pki, policy=replace(pki.policy(), anchors=())) == {("chain", "2.2")}


def renamed_root() -> IntelPki:
    other = IntelPki()
    other.root.key = key("another root")
    return other


def test_the_roots_other_bytes_may_differ() -> None:
    pki = IntelPki()
    older = replace(pki.root, not_after=pki.root.not_after - 30 * DAY, serial=99)
    pki.pck_chain[2] = older
    assert objections(pki) == set()


def test_two_anchors_do_not_vouch_for_each_others_platforms() -> None:
    pki, other = IntelPki(), IntelPki()
    other.root.key, other.tcb_signer.key = key("another root"), key("another tcb signing")
    pki.tcb_chain = [other.tcb_signer, other.root]
    pki.qe_chain = [other.tcb_signer, other.root]
    policy = replace(pki.policy(), anchors=(pki.anchor, other.anchor))
    assert objections(pki, policy=policy) == {("chain", "2.9")}


def test_a_simulated_platform_is_named_when_no_simulated_anchor_is_accepted() -> None:
    pki = IntelPki("Strongroom Simulated")
    strict = replace(pki.policy(), anchors=(IntelPki().anchor,))
    assert objections(pki, policy=strict) == {("chain", "2.2"), ("simulated", "2.2")}


def test_a_simulated_platforms_root_cannot_be_taken_for_a_real_one() -> None:
    root = IntelPki("Strongroom Simulated")
    assert Anchor.from_certificate(root.root.der(), simulated=False).simulated
    with pytest.raises(Misconfigured, match="simulated platform"):
        replace(root.anchor, simulated=False)


def test_a_simulated_anchor_needs_to_be_accepted_by_name() -> None:
    pki = IntelPki("Strongroom Simulated")
    anchor = replace(pki.anchor, simulated=True)
    policy = replace(pki.policy(), anchors=(anchor,))
    assert objections(pki, policy=policy) == {("simulated", "8.1")}
    result = appraise(*pki.build(), replace(policy, accept_simulated_platform=True), at=AT)
    assert result.simulated
    assert result.confessions == ("a simulated platform is accepted: no hardware is proven",)


def test_an_anchor_can_be_taken_from_a_root_certificate_only() -> None:
    pki = IntelPki()
    assert Anchor.from_certificate(pem([pki.root.der()]), simulated=False) == pki.anchor
    assert Anchor.from_certificate(pki.root.der(), simulated=True) == replace(pki.anchor, simulated=True)
    pki.tcb_signer.common_name = "Example SGX Root CA"
    for data in (pki.intermediate.der(), pki.tcb_signer.der(), pem([pki.root.der(), pki.root.der()]), b""):
        with pytest.raises(MalformedCollateral):
            Anchor.from_certificate(data, simulated=False)


def test_malformed_parts_raise_their_own_error() -> None:
    pki = IntelPki()
    evidence, collateral = pki.build()
    with pytest.raises(MalformedQuote):
        appraise(evidence[:-1], collateral, pki.policy(), at=AT)
    for name in ("pck_crl_issuer_chain", "root_ca_crl", "pck_crl", "tcb_info_issuer_chain", "tcb_info", "qe_identity"):
        with pytest.raises(MalformedCollateral):
            appraise(evidence, replace(collateral, **{name: b"{}"}), pki.policy(), at=AT)
    pki.extension_bytes = b"\x30\x00"
    with pytest.raises(MalformedQuote):
        appraise(*pki.build(), pki.policy(), at=AT)


def test_an_assessment_says_what_it_did_not_judge() -> None:
    pki = IntelPki()
    debug_enclave(pki)
    assessment = assess(*pki.build(), [pki.anchor], at=AT)
    assert assessment.genuine
    assert assessment.claims.debug
    shown = assessment.to_json_object()
    assert shown["verdict"] == "assessed-without-policy"
    assert shown["not_judged"]
    assert objections(pki) == {("debug", "8.2")}


def test_every_finding_cites_a_step_and_says_what_was_found() -> None:
    for fault, _ in FAULTS:
        pki = IntelPki()
        fault(pki)
        with pytest.raises(AppraisalRefused) as refusal:
            appraise(*pki.build(), pki.policy(), at=AT)
        for finding in refusal.value.findings:
            assert finding.section.startswith("appraisal ")
            assert finding.message
            assert finding.message in str(refusal.value)
