"""One enclave: its evidence byte by byte, and who gets which sealing key."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from strongroom.attesters.sealing import SealingPolicy
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import AttesterUnavailable
from strongroom.crypto import ecdsa
from strongroom.crypto.certificates import Certificate, parse_pem_chain, public_key_from_spki
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.sgx_quote import INTEL_QE_VENDOR_ID, SgxQuote

IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32), isv_prod_id=7, isv_svn=3)
REPORT_DATA = bytes(range(64))


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return SimulatedPlatform.open(tmp_path_factory.mktemp("platform") / "state", create=True)


@pytest.fixture(scope="module")
def quote(platform):
    return SgxQuote.from_bytes(platform.enclave(IDENTITY).evidence(REPORT_DATA))


def test_an_enclave_says_what_it_is(platform):
    enclave = platform.enclave(IDENTITY)
    assert enclave.kind == "sgx-dcap-3"
    assert enclave.measurement() == IDENTITY.mr_enclave
    assert enclave.platform_id == platform.platform_id


def test_the_report_carries_the_identity(quote):
    report = quote.report
    assert (report.mr_enclave, report.mr_signer) == (IDENTITY.mr_enclave, IDENTITY.mr_signer)
    assert (report.isv_prod_id, report.isv_svn, report.report_data) == (7, 3, REPORT_DATA)
    assert not report.attributes.debug
    assert report.attributes.flags == 0x05


def test_a_debug_enclave_says_so(platform):
    evidence = platform.enclave(replace(IDENTITY, debug=True)).evidence(REPORT_DATA)
    assert SgxQuote.from_bytes(evidence).report.attributes.debug


def test_every_signature_of_a_quote_verifies(quote):
    leaf, intermediate, root = parse_pem_chain(quote.certification_data, path="chain")
    assert (quote.certification_data_type, quote.header.qe_vendor_id) == (5, INTEL_QE_VENDOR_ID)
    attestation_key = ecdsa.public_key(quote.attestation_key)
    assert ecdsa.verify_raw(attestation_key, quote.signed_bytes, quote.signature)
    pck = public_key_from_spki(leaf.spki)
    assert ecdsa.verify_raw(pck, quote.qe_report.to_bytes(), quote.qe_report_signature)
    bound = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest()
    assert quote.qe_report.report_data == bound + bytes(32)
    assert not quote.qe_report.attributes.debug
    assert intermediate.signed(leaf)
    assert root.signed(intermediate)
    assert root.signed(root)


def test_the_certificates_are_named_and_shaped_like_intels(quote, platform):
    leaf, intermediate, root = parse_pem_chain(quote.certification_data, path="chain")
    assert [certificate.common_name for certificate in (leaf, intermediate, root)] == [
        "Strongroom Simulated SGX PCK Certificate",
        "Strongroom Simulated SGX PCK Platform CA",
        "Strongroom Simulated SGX Root CA",
    ]
    assert [(c.ca, c.path_length, c.version) for c in (leaf, intermediate, root)] == [
        (False, None, 3),
        (True, 0, 3),
        (True, 1, 3),
    ]
    assert root.subject == root.issuer == intermediate.issuer
    assert leaf.issuer == intermediate.subject
    assert len({certificate.serial for certificate in (leaf, intermediate, root)}) == 3
    assert parse_pem_chain(platform.root_certificate_pem, path="root") == (root,)


def test_the_pck_extension_is_complete(quote, platform):
    leaf: Certificate = parse_pem_chain(quote.certification_data, path="chain")[0]
    extension = PckExtension.from_bytes(leaf.extensions[PCK_EXTENSION_OID])
    assert extension.ppid == platform.platform_id
    assert extension.platform_instance_id is not None
    assert extension.configuration is not None
    assert extension.tcb.cpu_svn == quote.report.cpu_svn == quote.qe_report.cpu_svn
    assert extension.tcb.pce_svn == quote.header.pce_svn


def test_report_data_of_another_length_is_refused(platform):
    for length in (0, 32, 63, 65):
        with pytest.raises(ValueError, match="64"):
            platform.enclave(IDENTITY).evidence(bytes(length))


def test_every_quote_is_fresh(platform):
    enclave = platform.enclave(IDENTITY)
    first, second = (SgxQuote.from_bytes(enclave.evidence(bytes(63) + bytes((n,)))) for n in (1, 2))
    assert first.signature != second.signature
    assert first.qe_report == second.qe_report


def key(platform: SimulatedPlatform, policy: SealingPolicy, label: str = "test", **changes: object) -> bytes:
    return platform.enclave(replace(IDENTITY, **changes)).sealing_key(policy, label)


def test_a_key_has_32_bytes_and_comes_back(platform):
    for policy in SealingPolicy:
        assert len(key(platform, policy)) == 32
        assert key(platform, policy) == key(platform, policy)


OTHER_CODE = {"mr_enclave": MrEnclave(b"f" * 32)}
OTHER_SIGNER = {"mr_signer": MrSigner(b"t" * 32)}


def test_the_mrenclave_key_is_for_this_code_whoever_signed_it(platform):
    ours = key(platform, SealingPolicy.MRENCLAVE)
    assert key(platform, SealingPolicy.MRENCLAVE, **OTHER_CODE) != ours
    assert key(platform, SealingPolicy.MRENCLAVE, **OTHER_SIGNER) == ours


def test_the_mrsigner_key_is_for_this_signer_whatever_the_code(platform):
    ours = key(platform, SealingPolicy.MRSIGNER)
    assert key(platform, SealingPolicy.MRSIGNER, **OTHER_CODE) == ours
    assert key(platform, SealingPolicy.MRSIGNER, **OTHER_SIGNER) != ours


@pytest.mark.parametrize("policy", list(SealingPolicy))
def test_policy_label_product_version_debug_and_platform_all_matter(platform, policy, tmp_path):
    another_platform = SimulatedPlatform.open(tmp_path / "other", create=True)
    keys = {
        key(platform, policy),
        key(platform, next(other for other in SealingPolicy if other is not policy)),
        key(platform, policy, "other label"),
        key(platform, policy, isv_prod_id=8),
        key(platform, policy, isv_svn=4),
        key(platform, policy, debug=True),
        key(another_platform, policy),
    }
    assert len(keys) == 7


def test_a_later_version_can_open_what_an_earlier_one_sealed_and_not_the_reverse(platform):
    earlier, later = (platform.enclave(replace(IDENTITY, isv_svn=svn)) for svn in (3, 4))
    sealed_by_earlier = earlier.sealing_key(SealingPolicy.MRSIGNER, "test")
    assert later.sealing_key(SealingPolicy.MRSIGNER, "test", isv_svn=3) == sealed_by_earlier
    for version in (4, -1):
        with pytest.raises(AttesterUnavailable, match=f"no key of version {version}"):
            earlier.sealing_key(SealingPolicy.MRSIGNER, "test", isv_svn=version)


@pytest.mark.parametrize(
    "changes",
    [{"mr_enclave": b"short"}, {"mr_signer": b""}, {"isv_svn": 65536}, {"isv_prod_id": -1}],
)
def test_an_impossible_identity_is_refused(changes):
    with pytest.raises(ValueError, match=r"bytes|bits"):
        replace(IDENTITY, **changes)
