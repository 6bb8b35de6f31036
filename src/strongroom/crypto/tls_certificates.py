"""Certificates of TLS peers: read with any common key, self-signatures verified, issued with keys on P-384.

``certificates`` reads the small PKI of platforms; peers bring other keys (P-256, P-384, P-521, RSA, Ed25519) and
slips of their tools that a general library refuses whole (an ECDSA algorithm with NULL parameters, for instance, in
every certificate that Gramine writes). So the certificate is walked here element by element: an extension is one in
its place and nowhere else, and one that occurs twice is seen twice. What is issued is built by the library.

Keys that are issued for are on P-384: Gramine's verifier takes no other curve.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strongroom.base.errors import MalformedCollateral, MalformedMessage
from strongroom.crypto import der
from strongroom.crypto.der import DerReader

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAX_TLS_CERTIFICATE_BYTES",
    "PeerCertificate",
    "PeerExtension",
    "SigningRequest",
    "TlsKey",
    "issue_authority_certificate",
    "issue_self_signed",
    "issue_server_certificate",
    "new_serial",
    "request_signature",
]

MAX_TLS_CERTIFICATE_BYTES: Final = 64 * 1024  # OpenSSL's own limit lies between 100,000 and 110,000
MAX_REQUEST_BYTES: Final = 16 * 1024
MAX_NAMES: Final = 16
_MAX_EXTENSIONS: Final = 32
_MAX_SERIAL_BYTES: Final = 32  # RFC 5280 allows 20; a peer's number serves as a name only
_BIT_STRING: Final = 0x03
_NULL: Final = 0x05
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_VERSION_TAG: Final = 0xA0
_EXTENSIONS_TAG: Final = 0xA3
_UNIQUE_ID_TAGS: Final = (0x81, 0x82)
_TIME_DIGITS: Final = {_UTC_TIME: 12, _GENERALIZED_TIME: 14}
_ALTERNATIVE_NAME: Final = der.oid("2.5.29.17")
_DNS_NAME: Final = 0x82
_IP_ADDRESS: Final = 0x87
_MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 8192
_ECDSA: Final = {der.oid(f"1.2.840.10045.4.3.{number}"): use for number, use in ((2, SHA256), (3, SHA384), (4, SHA512))}
_RSA: Final = {
    der.oid(f"1.2.840.113549.1.1.{number}"): use for number, use in ((11, SHA256), (12, SHA384), (13, SHA512))
}
_ED25519: Final = der.oid("1.3.101.112")
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerExtension:
    """One extension: the identifier's contents as encoded (without tag and length), and the value."""

    oid: bytes
    critical: bool
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """A peer's certificate. Names and key as their DER, extensions in their order, repeated ones included."""

    der: bytes = field(repr=False)
    serial: bytes
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    spki: bytes = field(repr=False)
    extensions: tuple[PeerExtension, ...]
    tbs: bytes = field(repr=False)
    algorithm: bytes
    signature: bytes = field(repr=False)

    @classmethod
    def from_der(cls, data: bytes, *, path: str = "certificate") -> PeerCertificate:
        """Read one certificate of version 3, or raise ``MalformedCollateral``."""
        if len(data) > MAX_TLS_CERTIFICATE_BYTES:
            raise MalformedCollateral(f"{len(data)} bytes, at most {MAX_TLS_CERTIFICATE_BYTES} are read", path=path)
        outer = DerReader(data, path=path, error=MalformedCollateral)
        whole = outer.enter(der.SEQUENCE, "certificate")
        outer.expect_end()
        tbs = whole.take_whole(der.SEQUENCE, "signed part")
        algorithm = _algorithm(whole)
        bits = whole.take(_BIT_STRING, "signature")
        whole.expect_end()
        if bits[:1] != b"\0":
            raise whole.fail("the signature is not whole bytes")
        reader = DerReader(tbs, path=path, error=MalformedCollateral).enter(der.SEQUENCE, "signed part")
        version = reader.enter(_VERSION_TAG, "version").number("version", at_most=2)
        if version != 2:
            raise reader.fail("not a certificate of version 3")
        serial = reader.take(der.INTEGER, "serial number")
        if not 1 <= len(serial) <= _MAX_SERIAL_BYTES:
            raise reader.fail(f"a serial number of {len(serial)} bytes")
        if _algorithm(reader) != algorithm:
            raise reader.fail("two different signature algorithms")
        issuer = reader.take_whole(der.SEQUENCE, "issuer")
        validity = reader.enter(der.SEQUENCE, "validity")
        not_before, not_after = _instant(validity), _instant(validity)
        validity.expect_end()
        subject = reader.take_whole(der.SEQUENCE, "subject")
        spki = reader.take_whole(der.SEQUENCE, "SubjectPublicKeyInfo")
        for tag in _UNIQUE_ID_TAGS:
            if reader.next_tag() == tag:
                reader.take(tag, "unique identifier")
        extensions = _extensions(reader)
        reader.expect_end()
        return cls(
            der=data,
            serial=serial,
            subject=subject,
            issuer=issuer,
            not_before=not_before,
            not_after=not_after,
            spki=spki,
            extensions=extensions,
            tbs=tbs,
            algorithm=algorithm,
            signature=bits[1:],
        )

    @property
    def self_signed(self) -> bool:
        """Whether subject and issuer agree and the certificate's own key made its signature."""
        return self.subject == self.issuer and self.signed_by(self.spki)

    def signed_by(self, spki: bytes) -> bool:
        """Tell whether the key of a SubjectPublicKeyInfo signed this. SHA-1 and small RSA keys count for nothing."""
        try:
            return _signed(load_der_public_key(spki), self.algorithm, self.tbs, self.signature)
        except Exception:  # noqa: BLE001 - whatever the library raises on foreign keys, nothing was verified
            return False

    def names(self) -> tuple[str, ...]:
        """Give the host names and addresses of the subjectAltName, or raise ``MalformedCollateral``."""
        found: list[str] = []
        for extension in self.find(_ALTERNATIVE_NAME):
            outer = DerReader(extension.value, path="certificate.names", error=MalformedCollateral)
            reader = outer.enter(der.SEQUENCE, "names")
            outer.expect_end()
            while (tag := reader.next_tag()) is not None:
                name = reader.take(tag, "name")
                if tag == _DNS_NAME:
                    found.append(name.decode("latin-1"))
                elif tag == _IP_ADDRESS and len(name) in (4, 16):
                    found.append(str(ipaddress.ip_address(name)))
        return tuple(found)

    def find(self, *oids: bytes) -> tuple[PeerExtension, ...]:
        """Give the extensions with one of these identifiers."""
        return tuple(extension for extension in self.extensions if extension.oid in oids)


@dataclass(frozen=True, slots=True, repr=False)
class TlsKey:
    """A private key on P-384, for a TLS server or an authority."""

    _private: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> TlsKey:
        """Draw a new key."""
        return cls(ec.generate_private_key(ec.SECP384R1()))

    @property
    def spki(self) -> bytes:
        """The public key as SubjectPublicKeyInfo, DER."""
        return self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def to_pem(self) -> bytes:
        """Write the private key as unencrypted PKCS #8, for the TLS library and for nothing that outlives memory."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """A PKCS #10 request: the key, the host names and addresses it asks for, and whether the key signed it."""

    spki: bytes = field(repr=False)
    names: tuple[str, ...]
    possession: bool

    @classmethod
    def from_der(cls, data: bytes) -> SigningRequest:
        """Read a request, or raise ``MalformedMessage``; its names are those of its subjectAltName."""
        path = "signing request"
        if len(data) > MAX_REQUEST_BYTES:
            raise MalformedMessage(f"{len(data)} bytes, at most {MAX_REQUEST_BYTES} are read", path=path)
        try:
            return _read_request(data)
        except Exception as cause:
            raise MalformedMessage("not a signing request", path=path) from cause


def issue_self_signed(
    *,
    key: TlsKey,
    subject: str,
    names: Sequence[str],
    not_before: datetime,
    not_after: datetime,
    evidence: Sequence[tuple[str, bytes]],
) -> bytes:
    """Issue a server's certificate to itself; ``evidence`` are (OID, value) pairs added as not critical. DER."""
    builder = _builder(
        subject=subject,
        issuer=subject,
        spki=key.spki,
        issuer_key=key,
        serial=new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    return _sign(_add(_as_server(builder, names), evidence), key)


def issue_authority_certificate(
    *,
    key: TlsKey,
    subject: str,
    domains: Sequence[str],
    not_before: datetime,
    not_after: datetime,
    evidence: Sequence[tuple[str, bytes]],
) -> bytes:
    """Issue a root certificate that can certify servers below ``domains`` only, and no further authority. DER.

    The constraint excludes every address as well: a domain is a name.
    """
    permitted = [x509.DNSName(domain) for domain in domains]
    excluded = [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    builder = (
        _builder(
            subject=subject,
            issuer=subject,
            spki=key.spki,
            issuer_key=key,
            serial=new_serial(),
            not_before=not_before,
            not_after=not_after,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(
            x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded),
            critical=True,
        )
    )
    return _sign(_add(builder, evidence), key)


def issue_server_certificate(
    *,
    issuer: str,
    issuer_key: TlsKey,
    spki: bytes,
    names: Sequence[str],
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    """Issue an ordinary server certificate. DER."""
    builder = _builder(
        subject=names[0],
        issuer=issuer,
        spki=spki,
        issuer_key=issuer_key,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
    )
    return _sign(_as_server(builder, names), issuer_key)


def new_serial() -> int:
    """Draw a serial number: positive, at most 20 bytes."""
    return x509.random_serial_number()


def request_signature(key: TlsKey, names: Sequence[str]) -> bytes:
    """Write a PKCS #10 request for ``names``, signed by ``key``. DER."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(_alternative_names(names), critical=True)
        .sign(key._private, SHA384())
        .public_bytes(Encoding.DER)
    )


def _signed(key: object, algorithm: bytes, message: bytes, signature: bytes) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES) and algorithm in _ECDSA:
        key.verify(signature, message, ec.ECDSA(_ECDSA[algorithm]()))
        return True
    if isinstance(key, rsa.RSAPublicKey) and _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS and algorithm in _RSA:
        key.verify(signature, message, padding.PKCS1v15(), _RSA[algorithm]())
        return True
    if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == _ED25519:
        key.verify(signature, message)
        return True
    return False


def _algorithm(reader: DerReader) -> bytes:
    """Take an AlgorithmIdentifier: the identifier, with no parameters or with NULL, whichever the algorithm wants."""
    fields = reader.enter(der.SEQUENCE, "signature algorithm")
    identifier = fields.take(der.OBJECT_IDENTIFIER, "signature algorithm")
    if fields.next_tag() == _NULL and fields.take(_NULL, "parameters"):
        raise fields.fail("NULL with contents")
    # other parameters (RSASSA-PSS has some) stay unread: no signature of such an algorithm is ever verified
    return identifier


def _instant(reader: DerReader) -> datetime:
    """Take a date in either form, in UTC and to the second (RFC 5280 section 4.1.2.5)."""
    tag = reader.next_tag()
    digits = _TIME_DIGITS.get(tag or 0)
    if tag is None or digits is None:
        raise reader.fail("not a date")
    text = reader.take(tag, "date").decode("latin-1")
    if len(text) != digits + 1 or text[-1] != "Z" or not (text[:-1].isascii() and text[:-1].isdigit()):
        raise reader.fail("not a date in UTC to the second")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    try:
        return datetime.strptime(text + "+0000", "%Y%m%d%H%M%SZ%z")
    except ValueError:
        raise reader.fail("a date that does not exist") from None


def _extensions(reader: DerReader) -> tuple[PeerExtension, ...]:
    if reader.next_tag() != _EXTENSIONS_TAG:
        return ()
    tagged = reader.enter(_EXTENSIONS_TAG, "extensions")
    sequence = tagged.enter(der.SEQUENCE, "extensions")
    tagged.expect_end()
    found: list[PeerExtension] = []
    while sequence.remaining:
        if len(found) == _MAX_EXTENSIONS:
            raise sequence.fail(f"more than {_MAX_EXTENSIONS} extensions")
        one = sequence.enter(der.SEQUENCE, "extension")
        oid = one.take(der.OBJECT_IDENTIFIER, "extension identifier")
        critical = one.boolean("critical") if one.next_tag() == der.BOOLEAN else False
        value = one.take(der.OCTET_STRING, "extension value")
        one.expect_end()
        found.append(PeerExtension(oid=oid, critical=critical, value=value))
    return tuple(found)


def _read_request(data: bytes) -> SigningRequest:
    request = x509.load_der_x509_csr(data)
    key = request.public_key()
    of_curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))
    of_rsa = isinstance(key, rsa.RSAPublicKey) and _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS
    if not (of_curve or of_rsa):
        raise ValueError("a key that no browser would take")
    names: list[str] = []
    for extension in request.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names += [_text_of(name) for name in extension.value]
    if not 1 <= len(names) <= MAX_NAMES:
        raise ValueError(f"{len(names)} names, not 1 to {MAX_NAMES}")
    return SigningRequest(
        spki=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        names=tuple(names),
        possession=request.is_signature_valid,
    )


def _text_of(name: x509.GeneralName) -> str:
    if isinstance(name, (x509.DNSName, x509.IPAddress)):
        return str(name.value)
    raise ValueError("a name that is neither a host name nor an address")


def _builder(
    *,
    subject: str,
    issuer: str,
    spki: bytes,
    issuer_key: TlsKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    key = load_der_public_key(spki)
    if not isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
        raise TypeError("not a key that certificates are issued for")
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key._private.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority, critical=False)
    )


def _as_server(builder: x509.CertificateBuilder, names: Sequence[str]) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_alternative_names(names), critical=False)
    )


def _add(builder: x509.CertificateBuilder, extensions: Sequence[tuple[str, bytes]]) -> x509.CertificateBuilder:
    for dotted, value in extensions:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), value)
        builder = builder.add_extension(unknown, critical=False)
    return builder


def _sign(builder: x509.CertificateBuilder, key: TlsKey) -> bytes:
    return builder.sign(key._private, SHA384()).public_bytes(Encoding.DER)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])  # its upper bound: RFC 5280 A.1


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
