from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import QUOTES, damaged, read
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import (
    MAX_CERTIFICATE_BYTES,
    MAX_CHAIN_BYTES,
    MAX_CRL_BYTES,
    Certificate,
    DistinguishedName,
    RevocationList,
    issue_certificate,
    issue_revocation_list,
    parse_pem_chain,
    pem,
    public_key_from_spki,
    spki,
    verify_signature,
)
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.formats.sgx_quote import SgxQuote

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=365)
KEY = EcdsaPrivateKey.from_scalar(bytes(31) + b"\x05")
OTHER = EcdsaPrivateKey.from_scalar(bytes(31) + b"\x06")
NAME = DistinguishedName(common_name="Example SGX Root CA", organization="Example")
ROOT_PEM = read("sgx/_anchors/intel-sgx-root-ca.pem")
ROOT = parse_pem_chain(ROOT_PEM, path="")[0]


def issue(**changes: object) -> bytes:
    arguments: dict[str, object] = {
        "subject": NAME,
        "subject_point": KEY.point,
        "issuer": NAME,
        "issuer_key": KEY,
        "serial": 1 << 158,
        "not_before": BEGIN,
        "not_after": END,
        "ca": True,
        "path_length": 1,
    }
    return issue_certificate(**(arguments | changes))  # type: ignore[arg-type]


def test_intels_root_is_read() -> None:
    assert ROOT.common_name == ROOT.issuer_common_name == "Intel SGX Root CA"
    assert ROOT.subject == ROOT.issuer
    assert ROOT.serial == 0x22650CD65A9D3489F383B49552BF501B392706AC
    assert ROOT.ca is True
    assert ROOT.path_length == 1
    assert ROOT.key_usages == {"keyCertSign", "cRLSign"}
    assert ROOT.critical_extensions == {"2.5.29.15", "2.5.29.19"}
    assert ROOT.version == 3
    assert ROOT.not_after.year == 2049
    assert ROOT.ecdsa_p256_sha256
    assert ROOT.signed(ROOT)


def test_what_is_issued_is_read() -> None:
    certificate = Certificate.from_der(issue(extensions=[("1.2.3.4", b"\x04\x00")]))
    assert certificate.serial == 1 << 158
    assert (certificate.not_before, certificate.not_after) == (BEGIN, END)
    assert certificate.spki == spki(KEY.point)
    assert certificate.extensions["1.2.3.4"] == b"\x04\x00"
    assert certificate.signed(certificate)
    assert parse_pem_chain(pem([certificate.der, ROOT.der]) + b"\n\0", path="") == (certificate, ROOT)


def test_a_leaf_may_sign_but_not_certify() -> None:
    leaf = Certificate.from_der(issue(ca=False, path_length=None))
    assert leaf.ca is False
    assert leaf.key_usages == {"digitalSignature", "nonRepudiation"}


def test_lists_are_read_and_signed() -> None:
    data = issue_revocation_list(
        issuer=NAME, issuer_key=KEY, number=9, this_update=BEGIN, next_update=END, revoked=[5, 1 << 158]
    )
    revocations = RevocationList.from_der(data)
    root = Certificate.from_der(issue())
    assert revocations.number == 9
    assert revocations.revoked == {5, 1 << 158}
    assert [revocations.revokes(serial) for serial in (5, 1 << 158, 4, 0x50, 1 << 150)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (revocations.this_update, revocations.next_update) == (BEGIN, END)
    assert revocations.issuer == root.subject
    assert root.signed(revocations)
    assert not ROOT.signed(revocations)


def test_a_signature_by_another_key_is_seen() -> None:
    root = Certificate.from_der(issue())
    assert not root.signed(Certificate.from_der(issue(issuer_key=OTHER)))
    assert not verify_signature(b"no key", b"message", b"signature")
    assert not root.verify(b"message", b"no signature")


def library_certificate(key: object, algorithm: hashes.HashAlgorithm) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())  # type: ignore[attr-defined]
    builder = builder.serial_number(1).not_valid_before(BEGIN).not_valid_after(END)
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        library_certificate(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()),
        library_certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA384()),
        library_certificate(rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    ],
)
def test_other_keys_and_hashes_are_read_but_verify_nothing(data: bytes) -> None:
    certificate = Certificate.from_der(data)
    assert not certificate.ecdsa_p256_sha256
    assert not certificate.signed(certificate)
    assert certificate.ca is None
    assert certificate.key_usages is None


def test_algorithm_fields_that_disagree_are_not_accepted() -> None:
    good = issue()
    inner = good.index(bytes.fromhex("06082a8648ce3d040302"))
    data = good[: inner + 9] + b"\x03" + good[inner + 10 :]
    assert data != good
    try:
        certificate = Certificate.from_der(data)
    except MalformedCollateral:
        return
    assert not certificate.ecdsa_p256_sha256


def test_only_keys_of_p256_are_keys() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert public_key_from_spki(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)) is None
    assert public_key_from_spki(b"") is None
    assert public_key_from_spki(spki(bytes(64))) is None
    with pytest.raises(ValueError, match="P-256"):
        issue(subject_point=bytes(64))


CHAINS = [
    quote.certification_data
    for quote in (SgxQuote.from_bytes(read(name)) for name in QUOTES[:12])
    if quote.certification_data_type == 5
]


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=300) | damaged([*CHAINS, ROOT_PEM]))
def test_any_bytes_give_a_chain_or_malformed(data: bytes) -> None:
    try:
        parse_pem_chain(data, path="x")
    except MalformedCollateral:
        return


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=300) | damaged([ROOT.der, issue()]))
def test_any_bytes_give_a_certificate_or_malformed(data: bytes) -> None:
    try:
        Certificate.from_der(data)
    except MalformedCollateral:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ROOT_PEM * 9,
        ROOT_PEM + b"something",
        b"something" + ROOT_PEM,
        ROOT_PEM.replace(b"CERTIFICATE", b"X509 CRL"),
        ROOT_PEM[:-30],
        b"-----BEGIN CERTIFICATE-----\nA===\n-----END CERTIFICATE-----\n",
        b"x" * (MAX_CHAIN_BYTES + 1),
    ],
)
def test_other_texts_are_no_chain(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        parse_pem_chain(data, path="x")


def test_bytes_after_a_certificate_are_malformed() -> None:
    with pytest.raises(MalformedCollateral):
        Certificate.from_der(ROOT.der + b"\0")


def test_too_much_is_not_read() -> None:
    with pytest.raises(MalformedCollateral, match="at most"):
        Certificate.from_der(bytes(MAX_CERTIFICATE_BYTES + 1))
    with pytest.raises(MalformedCollateral, match="at most"):
        RevocationList.from_der(bytes(MAX_CRL_BYTES + 1))


def test_names_are_the_bytes_that_were_signed() -> None:
    quote = SgxQuote.from_bytes(read("sgx/openenclave/sgx_cert_ec_bad-4e3f9f.quote.bin"))
    chain = parse_pem_chain(quote.certification_data, path="x")
    # the library refuses to decode this issuer's name; it is compared as it stands
    with pytest.raises(ValueError, match="issuer"):
        _ = x509.load_der_x509_certificate(chain[0].der).issuer
    assert chain[0].issuer in chain[0].tbs


def test_a_serial_number_is_positive_and_a_signature_whole_bytes() -> None:
    good = issue(serial=5)
    for old, new in ((b"\x02\x01\x05", b"\x02\x01\x00"), (b"\x02\x01\x05", b"\x02\x01\x85")):
        assert old in good
        with pytest.raises(MalformedCollateral):
            Certificate.from_der(good.replace(old, new, 1))
    bits = good.rindex(b"\x00\x30")
    with pytest.raises(MalformedCollateral, match=r"whole bytes|Certificate::signature"):
        Certificate.from_der(good[:bits] + b"\x01" + good[bits + 1 :])


@pytest.mark.parametrize("filler", [b" ", b"A", b"-----BEGIN CERTIFICATE-----\n", b"\n-"])
def test_the_time_for_a_text_without_an_end_is_linear(filler: bytes) -> None:
    text = (b"-----BEGIN CERTIFICATE-----\n" + filler * MAX_CHAIN_BYTES)[:MAX_CHAIN_BYTES]
    start = time.process_time()
    with pytest.raises(MalformedCollateral):
        parse_pem_chain(text, path="x")
    assert time.process_time() - start < 1
