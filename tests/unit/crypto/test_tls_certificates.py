"""Certificates of TLS peers: walked by hand, compared with the library's reading, issued and read back."""

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from evidence_vectors import VECTORS, damaged
from strongroom.base.errors import MalformedCollateral, MalformedMessage
from strongroom.crypto import der
from strongroom.crypto.tls_certificates import (
    MAX_TLS_CERTIFICATE_BYTES,
    PeerCertificate,
    SigningRequest,
    TlsKey,
    issue_authority_certificate,
    issue_self_signed,
    issue_server_certificate,
    new_serial,
    request_signature,
)

BEGIN = datetime(2026, 11, 24, 12, tzinfo=UTC)
END = BEGIN + timedelta(hours=4)
KEY = TlsKey.generate()
RSA_KEY = rsa.generate_private_key(65537, 2048)
CAPTURED = ("gramine-cert.pem", "intel-sgxsdk-cert.pem", "rats-tls-cert.pem")


def captured(name: str) -> bytes:
    data = (VECTORS / "ratls" / name).read_bytes()
    return data if name.endswith(".der") else ssl.PEM_cert_to_DER_cert(data.decode())


OWN = issue_self_signed(
    key=KEY,
    subject="own",
    names=["a.example", "127.0.0.1"],
    not_before=BEGIN,
    not_after=END,
    evidence=[("2.23.133.5.4.9", b"evidence")],
)
ORIGINALS = [OWN, *(captured(name) for name in CAPTURED)]


def foreign(key: Any, hash_used: Any, *, begin: datetime = BEGIN, end: datetime = END, signer: Any = None) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "peer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(begin).not_valid_after(end)
    return builder.sign(signer or key, hash_used).public_bytes(Encoding.DER)


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_certificates_are_read_and_signed_by_themselves(name: str) -> None:
    assert PeerCertificate.from_der(captured(name)).self_signed


def test_what_the_library_refuses_whole_is_read_here() -> None:
    with pytest.raises(ValueError, match="ExtraData"):
        x509.load_der_x509_certificate(captured("gramine-cert.pem"))
    assert PeerCertificate.from_der(captured("gramine-cert.pem")).not_after.year == 2030


@pytest.mark.parametrize("name", ["sgx_cert_ec_bad.der", "sgx_cert_rsa_bad.der", "ecdsa-ratls.der"])
def test_spoiled_signatures_and_sha1_count_for_nothing(name: str) -> None:
    assert not PeerCertificate.from_der(captured(name)).self_signed


def test_our_reading_is_the_librarys() -> None:
    ours, theirs = PeerCertificate.from_der(OWN), x509.load_der_x509_certificate(OWN)
    assert (ours.not_before, ours.not_after) == (theirs.not_valid_before_utc, theirs.not_valid_after_utc)
    assert ours.subject == theirs.subject.public_bytes()
    assert ours.tbs == theirs.tbs_certificate_bytes
    assert ours.signature == theirs.signature
    assert [(item.oid, item.critical) for item in ours.extensions] == [
        (der.oid(item.oid.dotted_string), item.critical) for item in theirs.extensions
    ]
    assert ours.self_signed
    alternative = theirs.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in alternative] == ["a.example", "127.0.0.1"]


@pytest.mark.parametrize(
    ("key", "hash_used"),
    [
        (ec.generate_private_key(ec.SECP256R1()), SHA256()),
        (ec.generate_private_key(ec.SECP384R1()), SHA384()),
        (ec.generate_private_key(ec.SECP521R1()), SHA512()),
        (RSA_KEY, SHA256()),
        (RSA_KEY, SHA512()),
        (ed25519.Ed25519PrivateKey.generate(), None),
    ],
)
def test_common_keys_are_verified_and_others_are_not_taken_for_them(key: Any, hash_used: Any) -> None:
    certificate = PeerCertificate.from_der(foreign(key, hash_used))
    assert certificate.self_signed
    assert not certificate.signed_by(KEY.spki)
    assert not certificate.signed_by(b"no key")
    with_other_signer = foreign(key, SHA256(), signer=ec.generate_private_key(ec.SECP256R1()))
    assert not PeerCertificate.from_der(with_other_signer).self_signed


def test_a_curve_or_a_size_out_of_use_signs_nothing() -> None:
    assert not PeerCertificate.from_der(foreign(ec.generate_private_key(ec.SECP256K1()), SHA256())).self_signed
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - small on purpose
    assert not PeerCertificate.from_der(foreign(small, SHA256())).self_signed


@given(st.integers(0, 254_000_000_000))
def test_dates_are_the_librarys_on_both_sides_of_2050(seconds: int) -> None:
    instant = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    certificate = PeerCertificate.from_der(
        foreign(KEY._private, SHA256(), begin=datetime(1950, 1, 1, tzinfo=UTC), end=instant)
    )
    assert certificate.not_after == instant


@given(damaged(ORIGINALS))
def test_any_damage_is_read_or_malformed_and_never_signed(data: bytes) -> None:
    try:
        certificate = PeerCertificate.from_der(data)
    except MalformedCollateral:
        return
    assert data in ORIGINALS or not certificate.self_signed


@given(st.binary(max_size=200))
def test_any_bytes_are_a_certificate_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        PeerCertificate.from_der(data)


def altered(before: bytes, after: bytes) -> bytes:
    assert before in OWN
    assert len(before) == len(after)
    return OWN.replace(before, after)


@pytest.mark.parametrize(
    "data",
    [
        altered(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01"),
        altered(b"261124120000Z", b"261324120000Z"),
        altered(b"261124120000Z", b"261124120060Z"),
        altered(b"261124120000Z", b"2611241200+1Z"),
        altered(b"261124120000Z", b"261124120000+"),
        OWN + b"\0",
        OWN[:-1],
        bytes(MAX_TLS_CERTIFICATE_BYTES + 1),
    ],
)
def test_what_is_not_a_certificate_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        PeerCertificate.from_der(data)


def rebuilt(*, tbs: bytes | None = None, algorithm: bytes | None = None, bits: bytes | None = None) -> bytes:
    """Our certificate with one of its three parts replaced."""
    certificate = PeerCertificate.from_der(OWN)
    identifier = der.element(der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, certificate.algorithm))
    signature = der.element(0x03, b"\0" + certificate.signature)
    return der.element(der.SEQUENCE, tbs or certificate.tbs, algorithm or identifier, bits or signature)


def tbs_with(position: int, *elements: bytes) -> bytes:
    """The signed part with the element at a position replaced: 0 is the version, 1 the serial number, 7 extensions."""
    reader = der.DerReader(PeerCertificate.from_der(OWN).tbs, path="", error=MalformedCollateral)
    inner = reader.enter(der.SEQUENCE, "tbs")
    parts = []
    while (tag := inner.next_tag()) is not None:
        parts.append(inner.take_whole(tag, "part"))
    return der.element(der.SEQUENCE, *parts[:position], *elements, *parts[position + 1 :])


EXTENSION = der.element(der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, b"\x55"), der.element(der.OCTET_STRING, b""))


def extensions(*parts: bytes) -> bytes:
    return der.element(0xA3, der.element(der.SEQUENCE, *parts))


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (rebuilt(bits=der.element(0x03, b"\x01abc")), "whole bytes"),
        (rebuilt(tbs=tbs_with(0, der.element(0xA0, der.unsigned(1)))), "version 3"),
        (rebuilt(tbs=tbs_with(1, der.element(der.INTEGER, b"\x01" * 33))), "33 bytes"),
        (rebuilt(tbs=tbs_with(1, der.element(der.INTEGER, b""))), "0 bytes"),
        (rebuilt(tbs=tbs_with(4, der.element(der.SEQUENCE, der.unsigned(1), der.unsigned(2)))), "not a date"),
        (rebuilt(tbs=tbs_with(7, extensions(*[EXTENSION] * 33))), "more than 32"),
        (
            rebuilt(
                algorithm=der.element(
                    der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, b"\x2a"), der.element(0x05, b"x")
                )
            ),
            "NULL",
        ),
    ],
)
def test_each_rule_of_the_structure_is_kept(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedCollateral, match=rule):
        PeerCertificate.from_der(data)


def test_unique_identifiers_are_passed_over_and_extensions_may_be_missing() -> None:
    assert len(PeerCertificate.from_der(rebuilt()).extensions) == 7
    without = PeerCertificate.from_der(rebuilt(tbs=tbs_with(7, der.element(0x81, b"\0x"), der.element(0x82, b"\0y"))))
    assert without.extensions == ()
    assert without.names() == ()


@given(st.binary(max_size=60))
def test_any_subject_alternative_name_is_read_or_malformed(value: bytes) -> None:
    named = der.element(
        der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, der.oid("2.5.29.17")), der.element(der.OCTET_STRING, value)
    )
    certificate = PeerCertificate.from_der(rebuilt(tbs=tbs_with(7, extensions(named))))
    try:
        certificate.names()
    except MalformedCollateral:
        return


def test_two_different_signature_algorithms_are_malformed() -> None:
    with pytest.raises(MalformedCollateral, match="two different"):
        PeerCertificate.from_der(OWN.replace(der.oid("1.2.840.10045.4.3.3"), der.oid("1.2.840.10045.4.3.2"), 1))


def test_an_authority_signs_servers_below_its_domains() -> None:
    authority = issue_authority_certificate(
        key=KEY, subject="authority", domains=["example"], not_before=BEGIN, not_after=END, evidence=[]
    )
    leaf_key = TlsKey.generate()
    serial = new_serial()
    leaf = PeerCertificate.from_der(
        issue_server_certificate(
            issuer="authority",
            issuer_key=KEY,
            spki=leaf_key.spki,
            names=["a.example"],
            serial=serial,
            not_before=BEGIN,
            not_after=END,
        )
    )
    root = PeerCertificate.from_der(authority)
    assert root.self_signed
    assert leaf.issuer == root.subject
    assert leaf.signed_by(root.spki)
    assert not leaf.self_signed
    assert int.from_bytes(leaf.serial, "big") == serial
    constraints = x509.load_der_x509_certificate(authority).extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert [name.value for name in constraints.value.permitted_subtrees or ()] == ["example"]
    basic = x509.load_der_x509_certificate(authority).extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 0)


def test_a_request_names_its_key_and_proves_possession() -> None:
    request = request_signature(KEY, ["a.example", "::1"])
    read = SigningRequest.from_der(request)
    assert (read.spki, read.names, read.possession) == (KEY.spki, ("a.example", "::1"), True)
    spoiled = SigningRequest.from_der(request[:-1] + bytes((request[-1] ^ 1,)))
    assert not spoiled.possession


def csr(key: Any, names: list[Any]) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    hash_used = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, hash_used).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30\x00",
        bytes(16 * 1024 + 1),
        csr(KEY._private, []),
        csr(KEY._private, [x509.DNSName(f"{number}.example") for number in range(17)]),
        csr(KEY._private, [x509.RFC822Name("a@example")]),
        csr(ed25519.Ed25519PrivateKey.generate(), [x509.DNSName("a.example")]),
        csr(ec.generate_private_key(ec.SECP521R1()), [x509.DNSName("a.example")]),
    ],
)
def test_what_is_not_a_request_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        SigningRequest.from_der(data)


@given(damaged([request_signature(KEY, ["a.example"])]))
def test_any_damage_to_a_request_is_read_or_malformed(data: bytes) -> None:
    try:
        SigningRequest.from_der(data)
    except MalformedMessage:
        return


def test_a_certificate_is_not_issued_for_a_key_that_none_takes() -> None:
    spki = ed25519.Ed25519PrivateKey.generate().public_key()
    with pytest.raises(TypeError, match="not a key"):
        issue_server_certificate(
            issuer="authority",
            issuer_key=KEY,
            spki=spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            names=["a.example"],
            serial=1,
            not_before=BEGIN,
            not_after=END,
        )
