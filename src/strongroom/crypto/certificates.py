"""X.509 certificates and CRLs (RFC 5280) of a small fixed PKI: read, verified one signature at a time, and issued.

With ``tls_certificates``, the only place that uses ``cryptography.x509``. It reads what the verifier judges by itself
(names as the bytes they were signed as, dates, constraints, extensions by OID) and decides nothing about trust: general
path validators want web-server certificates, which these are not. Whatever the library raises on foreign bytes becomes
``MalformedCollateral``; it may raise at any attribute, so all of them are read once, here, at parsing.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto import der
from strongroom.crypto.der import DerReader
from strongroom.crypto.ecdsa import verify_der
from strongroom.crypto.usual_extensions import Extensions, usual_extensions, usual_list_extensions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from strongroom.crypto.ecdsa import EcdsaPrivateKey, EcdsaPublicKey

__all__ = [
    "MAX_CERTIFICATE_BYTES",
    "MAX_CHAIN_BYTES",
    "MAX_CRL_BYTES",
    "Certificate",
    "DistinguishedName",
    "RevocationList",
    "issue_certificate",
    "issue_revocation_list",
    "parse_pem_chain",
    "pem",
    "pem_blocks",
    "pem_der",
    "public_key_from_spki",
    "spki",
    "split_pem",
    "verify_signature",
]

MAX_CERTIFICATE_BYTES: Final = 16 * 1024  # genuine ones have 650 to 1,300
MAX_CHAIN_BYTES: Final = 64 * 1024
MAX_CRL_BYTES: Final = 4 * 1024 * 1024
_MAX_CHAIN_LENGTH: Final = 8
_MAX_REVOKED: Final = 100_000
_ECDSA_WITH_SHA256: Final = der.element(
    der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, der.oid("1.2.840.10045.4.3.2"))
)
_P256: Final = der.element(
    der.SEQUENCE,
    der.element(der.OBJECT_IDENTIFIER, der.oid("1.2.840.10045.2.1")),
    der.element(der.OBJECT_IDENTIFIER, der.oid("1.2.840.10045.3.1.7")),
)
_VERSION_TAG: Final = 0xA0
_EXTENSIONS_TAG: Final = 0xA3
_CRL_EXTENSIONS_TAG: Final = 0xA0
_KEY_ID_TAG: Final = 0x80
_STANDARD: Final = (der.oid("2.5.29"), der.oid("1.3.6.1.5.5.7"))  # arcs of the extensions of RFC 5280
_SUBJECT_KEY_ID: Final = der.oid("2.5.29.14")
_KEY_USAGE: Final = der.oid("2.5.29.15")
_BASIC_CONSTRAINTS: Final = der.oid("2.5.29.19")
_CRL_NUMBER: Final = der.oid("2.5.29.20")
_AUTHORITY_KEY_ID: Final = der.oid("2.5.29.35")
_BIT_STRING: Final = 0x03
_SET: Final = 0x31
_TEXT_TAGS: Final = (0x0C, 0x13, 0x16)  # UTF8String, PrintableString, IA5String: all of them UTF-8
_COMMON_NAME: Final = der.oid("2.5.4.3")
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_NOTHING: Final[frozenset[str]] = frozenset()
_WHITE_SPACE: Final = b" \t\r\n\x0b\x0c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate, everything read that a judgement needs.

    ``subject`` and ``issuer`` are the names' DER exactly as signed; ``spki`` is the SubjectPublicKeyInfo's. ``ca`` and
    ``path_length`` are basicConstraints (``None`` when the extension is absent); ``key_usages`` holds the names of
    RFC 5280 (``keyCertSign``) or is ``None``; ``extensions`` maps an OID that is not one of RFC 5280 to the extension's
    value; ``critical_extensions`` are all OIDs marked critical. ``key`` is ``None`` when it is not on P-256.
    ``ecdsa_p256_sha256`` tells whether it is *and* both algorithm fields name ECDSA with SHA-256; no signature of
    another kind is ever verified.
    """

    der: bytes = field(repr=False)
    version: int
    serial: int
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    common_name: str
    issuer_common_name: str
    spki: bytes = field(repr=False)
    key: EcdsaPublicKey | None = field(repr=False, compare=False)
    subject_key_id: bytes | None = field(repr=False)
    not_before: datetime
    not_after: datetime
    ca: bool | None
    path_length: int | None
    key_usages: frozenset[str] | None
    extensions: Mapping[str, bytes] = field(hash=False, repr=False)
    critical_extensions: frozenset[str]
    ecdsa_p256_sha256: bool
    tbs: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def from_der(cls, data: bytes, *, path: str = "certificate") -> Certificate:
        """Read one certificate, or raise ``MalformedCollateral``."""
        if len(data) > MAX_CERTIFICATE_BYTES:
            raise MalformedCollateral(f"{len(data)} bytes, at most {MAX_CERTIFICATE_BYTES} are read", path=path)
        try:
            return _read_certificate(data, path)
        except MalformedCollateral:
            raise
        except Exception as error:
            raise MalformedCollateral(f"not a certificate: {error}", path=path) from error

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether a DER signature over ``message`` is this certificate's key's (ECDSA P-256, SHA-256)."""
        return self.ecdsa_p256_sha256 and self.key is not None and verify_der(self.key, message, signature)

    def signed(self, subject: Certificate | RevocationList) -> bool:
        """Tell whether this certificate's key made the signature of another certificate or of a CRL."""
        return subject.ecdsa_p256_sha256 and self.verify(subject.tbs, subject.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """One CRL. ``number`` and ``authority_key_id`` are ``None`` when the extension is absent.

    ``entries`` is the DER of what is revoked, one entry after the other; ``revokes`` looks up in it.
    ``ecdsa_p256_sha256`` tells whether both algorithm fields name ECDSA with SHA-256. ``critical_extensions`` would
    change what the list means (a delta list, a list for some certificates only), so whoever does not know them must
    not use it.
    """

    der: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    issuer_common_name: str
    number: int | None
    authority_key_id: bytes | None
    this_update: datetime
    next_update: datetime | None
    entries: bytes = field(repr=False)
    critical_extensions: frozenset[str]
    ecdsa_p256_sha256: bool
    tbs: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def from_der(cls, data: bytes, *, path: str = "CRL") -> RevocationList:
        """Read one CRL, or raise ``MalformedCollateral``."""
        if len(data) > MAX_CRL_BYTES:
            raise MalformedCollateral(f"{len(data)} bytes, at most {MAX_CRL_BYTES} are read", path=path)
        try:
            return _read_revocation_list(data, path)
        except MalformedCollateral:
            raise
        except Exception as error:
            raise MalformedCollateral(f"not a CRL: {error}", path=path) from error

    @property
    def revoked(self) -> frozenset[int]:
        """All serial numbers in the list, as numbers: their hexadecimal forms differ between tools."""
        serials = (der.spans(self.entries, start, end)[0] for _, _, start, end in der.spans(self.entries))
        return frozenset(int.from_bytes(self.entries[start:end], "big", signed=True) for _, _, start, end in serials)

    def revokes(self, serial: int) -> bool:
        """Tell whether a serial number is in the list.

        DER writes a number in one way only: where its bytes do not occur, no entry has it, and none need be read.
        """
        return bool(self.entries) and der.unsigned(serial) in self.entries and serial in self.revoked


def parse_pem_chain(data: bytes, *, path: str) -> tuple[Certificate, ...]:
    """Read the certificates of a PEM text in their order (1 to 8), or raise ``MalformedCollateral``."""
    return tuple(
        Certificate.from_der(certificate, path=f"{path}[{index}]")
        for index, certificate in enumerate(split_pem(data, path=path))
    )


def split_pem(data: bytes, *, path: str) -> tuple[bytes, ...]:
    """Find the DER of the certificates of a PEM text in their order (1 to 8), or raise ``MalformedCollateral``."""
    return tuple([pem_der(block, path=path) for block in pem_blocks(data, path=path)])


def pem_blocks(data: bytes, *, path: str) -> list[bytes]:
    """Find the base64 texts of the certificates of a PEM text in their order (1 to 8), for ``pem_der``.

    Between and after them only white space and the NUL of C strings are allowed, else ``MalformedCollateral``.
    """
    if len(data) > MAX_CHAIN_BYTES:
        raise MalformedCollateral(f"{len(data)} bytes, at most {MAX_CHAIN_BYTES} are read", path=path)
    before, *blocks = data.split(_BEGIN)
    if not 1 <= len(blocks) <= _MAX_CHAIN_LENGTH:
        raise MalformedCollateral(f"{len(blocks)} PEM certificates, not 1 to {_MAX_CHAIN_LENGTH}", path=path)
    bodies = []
    for block in blocks:
        body, end, after = block.partition(_END)
        if not end or body[:1].strip(_WHITE_SPACE) or (before + after).strip(_WHITE_SPACE + b"\0"):
            raise MalformedCollateral("something else than PEM certificates", path=path)
        bodies.append(body)
    return bodies


def pem_der(text: bytes, *, path: str) -> bytes:
    """Decode one base64 text, white space aside, in the one form that its bytes have, or raise."""
    digits = text.translate(None, delete=_WHITE_SPACE)
    try:
        data = binascii.a2b_base64(digits)
    except binascii.Error as error:
        raise MalformedCollateral(f"not base64: {error}", path=path) from error
    if binascii.b2a_base64(data, newline=False) != digits:  # other characters, or bits that belong to no byte
        raise MalformedCollateral("not base64 in its one form", path=path)
    return data


def pem(certificates: Iterable[bytes]) -> bytes:
    """Write DER certificates as PEM text, each with its line end."""
    return b"".join(
        x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM) for certificate in certificates
    )


def public_key_from_spki(data: bytes) -> EcdsaPublicKey | None:
    """Decode a SubjectPublicKeyInfo, or give ``None`` when it is not a key on P-256."""
    try:
        key = load_der_public_key(data)
    except Exception:  # noqa: BLE001 - whatever the library raises, it is not a key that is used here
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


def verify_signature(key_info: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a DER signature is that of a SubjectPublicKeyInfo's key (ECDSA P-256, SHA-256)."""
    key = public_key_from_spki(key_info)
    return key is not None and verify_der(key, message, signature)


def spki(point: bytes) -> bytes:
    """Write the SubjectPublicKeyInfo of a 64-byte point of P-256."""
    return der.element(der.SEQUENCE, _P256, der.element(_BIT_STRING, b"\x00\x04", point))


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinguishedName:
    """A name with the attributes that Intel's certificates have."""

    common_name: str
    organization: str
    locality: str = "Santa Clara"
    state: str = "CA"
    country: str = "US"

    def _to_x509(self) -> x509.Name:
        oids = x509.oid.NameOID
        return x509.Name(
            [
                x509.NameAttribute(oids.COMMON_NAME, self.common_name),
                x509.NameAttribute(oids.ORGANIZATION_NAME, self.organization),
                x509.NameAttribute(oids.LOCALITY_NAME, self.locality),
                x509.NameAttribute(oids.STATE_OR_PROVINCE_NAME, self.state),
                x509.NameAttribute(oids.COUNTRY_NAME, self.country),
            ]
        )


def issue_certificate(
    *,
    subject: DistinguishedName,
    subject_point: bytes,
    issuer: DistinguishedName,
    issuer_key: EcdsaPrivateKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
    ca: bool,
    path_length: int | None = None,
    key_usages: frozenset[str] | None = None,
    extensions: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """Issue a certificate over a 64-byte point of P-256; DER.

    A root is one whose subject and issuer, point and key agree. ``key_usages`` defaults to what the kind needs;
    ``extensions`` are (OID, value) pairs added as not critical.
    """
    if key_usages is None:
        key_usages = frozenset({"keyCertSign", "cRLSign"} if ca else {"digitalSignature", "nonRepudiation"})
    key = public_key_from_spki(spki(subject_point))
    if key is None:
        raise ValueError("not a point of P-256")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject._to_x509())
        .issuer_name(issuer._to_x509())
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.private.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_key_usage(key_usages), critical=True)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    for dotted, value in extensions:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), value)
        builder = builder.add_extension(unknown, critical=False)
    return builder.sign(issuer_key.private, SHA256()).public_bytes(Encoding.DER)


def issue_revocation_list(
    *,
    issuer: DistinguishedName,
    issuer_key: EcdsaPrivateKey,
    number: int,
    this_update: datetime,
    next_update: datetime,
    revoked: Iterable[int] = (),
) -> bytes:
    """Issue a CRL with a number and an authority key identifier; DER. Every serial is revoked since ``this_update``."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer._to_x509())
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.private.public_key()), critical=False
        )
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(this_update).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer_key.private, SHA256()).public_bytes(Encoding.DER)


_KEY_USAGES: Final = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}


def _key_usage(names: frozenset[str]) -> x509.KeyUsage:
    flags = {attribute: name in names for name, attribute in _KEY_USAGES.items()}
    return x509.KeyUsage(**flags, encipher_only=False, decipher_only=False)


def _read_certificate(data: bytes, path: str) -> Certificate:
    loaded = x509.load_der_x509_certificate(data)  # it is DER, of this structure: from here on places are enough
    tbs, fields, algorithm, signature = _signed_parts(data)
    version = 1
    tag, _, start, end = fields[0]
    if tag == _VERSION_TAG:
        version = data[end - 1] + 1
        _, _, start, end = fields.pop(1)
    serial = int.from_bytes(data[start:end], "big", signed=True)
    if not 0 < serial < 1 << 160:  # RFC 5280 section 4.1.2.2: positive, 20 octets
        raise MalformedCollateral(f"serial number {serial}, not positive and of at most 20 octets", path=path)
    inner_algorithm, issuer, _, subject, key_info = [data[begin:end] for _, begin, _, end in fields[1:6]]
    key = public_key_from_spki(key_info) if key_info[2:].startswith(_P256) else None
    known = usual_extensions(data, fields[6][1], fields[6][3]) if len(fields) == 7 else None
    read = known or _read_extensions(data, fields[6:], len(loaded.extensions), path)
    return Certificate(
        der=data,
        version=version,
        serial=serial,
        subject=subject,
        issuer=issuer,
        common_name=_common_name(subject),
        issuer_common_name=_common_name(issuer),
        spki=key_info,
        key=key,
        subject_key_id=read.subject_key_id,
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        ca=read.ca,
        path_length=read.path_length,
        key_usages=read.key_usages,
        extensions=read.others,
        critical_extensions=read.critical,
        ecdsa_p256_sha256=key is not None and inner_algorithm == algorithm == _ECDSA_WITH_SHA256,
        tbs=tbs,
        signature=signature,
    )


def _read_extensions(data: bytes, fields: list[der.Span], count: int, path: str) -> Extensions:
    """Read extensions of any form; ``count`` is how many the library has read, which raises for what is malformed."""
    extensions: dict[bytes, bytes] = {}
    critical = []
    others = {}
    for oid, is_critical, value in _extensions(data, fields):
        extensions[oid] = value
        if is_critical:
            critical.append(_dotted(oid))
        if not oid.startswith(_STANDARD):
            others[_dotted(oid)] = value
    if len(extensions) != count:
        raise MalformedCollateral("extensions that are read in two ways", path=path)
    ca, path_length = _basic_constraints(extensions.get(_BASIC_CONSTRAINTS))
    key_id = extensions.get(_SUBJECT_KEY_ID)
    return Extensions(
        subject_key_id=None if key_id is None else _whole(key_id, der.OCTET_STRING),
        ca=ca,
        path_length=path_length,
        key_usages=_key_usages(extensions.get(_KEY_USAGE)),
        others=others,
        critical=frozenset(critical),
    )


def _signed_parts(data: bytes) -> tuple[bytes, list[der.Span], bytes, bytes]:
    """The parts of a certificate or a CRL: what is signed and its fields, how it says it was signed, the signature."""
    ((_, _, start, end),) = der.spans(data)
    (_, begin, start, end), algorithm, bits = der.spans(data, start, end)
    if data[bits[2]]:
        raise ValueError("the signature is not whole bytes")
    fields = der.spans(data, start, end)
    return data[begin:end], fields, data[algorithm[1] : algorithm[3]], data[bits[2] + 1 : bits[3]]


def _extensions(
    data: bytes, fields: list[der.Span], *, tag: int = _EXTENSIONS_TAG
) -> Iterator[tuple[bytes, bool, bytes]]:
    """Yield (OID, whether it is critical, value) of the extensions among some fields."""
    for found, _, start, end in fields:
        if found != tag:
            continue
        ((_, _, first, last),) = der.spans(data, start, end)
        for _, _, begin, until in der.spans(data, first, last):
            # an OID, TRUE or nothing, and an OCTET STRING to the end: the library has seen to that
            at = begin + 2 + data[begin + 1]
            critical = data[at] == der.BOOLEAN
            octets = at + 3 if critical else at
            width = data[octets + 1]
            yield data[begin + 2 : at], critical, data[octets + 2 + (width & 0x7F if width & 0x80 else 0) : until]


def _whole(data: bytes, tag: int) -> bytes:
    """The contents of the one element that some bytes are."""
    ((found, _, start, end),) = der.spans(data)
    if found != tag:
        raise ValueError(f"tag {found:#04x}, not {tag:#04x}")
    return data[start:end]


@lru_cache(maxsize=64)  # a PKI has few different ones, as of the next
def _basic_constraints(value: bytes | None) -> tuple[bool | None, int | None]:
    """Read basicConstraints (RFC 5280 section 4.2.1.9): whether it is of a CA, and the path length."""
    if value is None:
        return None, None
    reader = DerReader(_whole(value, der.SEQUENCE), path="basicConstraints", error=MalformedCollateral)
    ca = reader.next_tag() == der.BOOLEAN
    if ca and not reader.boolean("cA"):
        raise reader.fail("cA is written though it is false")
    length = reader.number("pathLenConstraint", at_most=1 << 32) if reader.remaining else None
    reader.expect_end()
    return ca, length


@lru_cache(maxsize=64)
def _key_usages(value: bytes | None) -> frozenset[str] | None:
    """Read keyUsage (RFC 5280 section 4.2.1.3), the two of key agreement aside."""
    if value is None:
        return None
    unused, *octets = _whole(value, _BIT_STRING)
    if not 1 <= len(octets) <= 2 or unused > 7 or octets[-1] & ((1 << unused) - 1):
        raise ValueError("keyUsage is not a list of at most 9 bits")
    return frozenset(name for bit, name in enumerate(_KEY_USAGES) if octets[0] & 0x80 >> bit)


_dotted: Final = lru_cache(maxsize=256)(der.dotted)


def _read_revocation_list(data: bytes, path: str) -> RevocationList:
    loaded = x509.load_der_x509_crl(data)  # as with a certificate
    if len(loaded) > _MAX_REVOKED:
        raise MalformedCollateral(f"{len(loaded)} entries, at most {_MAX_REVOKED} are read", path=path)
    tbs, fields, algorithm, signature = _signed_parts(data)
    if fields[0][0] == der.INTEGER:  # the version
        del fields[0]
    inner_algorithm, issuer = [data[begin:end] for _, begin, _, end in fields[:2]]
    entries = b"".join([data[start:end] for tag, _, start, end in fields[3:] if tag == der.SEQUENCE])
    known = usual_list_extensions(data, fields[-1][1], fields[-1][3])
    number, authority_key_id, critical = (*known, _NOTHING) if known else _list_extensions(data, fields, loaded, path)
    return RevocationList(
        der=data,
        issuer=issuer,
        issuer_common_name=_common_name(issuer),
        number=number,
        authority_key_id=authority_key_id,
        this_update=loaded.last_update_utc,
        next_update=loaded.next_update_utc,
        entries=entries,
        critical_extensions=critical,
        ecdsa_p256_sha256=inner_algorithm == algorithm == _ECDSA_WITH_SHA256,
        tbs=tbs,
        signature=signature,
    )


def _list_extensions(
    data: bytes, fields: list[der.Span], loaded: x509.CertificateRevocationList, path: str
) -> tuple[int | None, bytes | None, frozenset[str]]:
    """Read a CRL's extensions of any form: number, authority key identifier, and what is critical."""
    extensions: dict[bytes, bytes] = {}
    critical = []
    for oid, is_critical, value in _extensions(data, fields[3:], tag=_CRL_EXTENSIONS_TAG):
        extensions[oid] = value
        if is_critical:
            critical.append(_dotted(oid))
    if len(extensions) != len(loaded.extensions):
        raise MalformedCollateral("extensions that are read in two ways", path=path)
    number = extensions.get(_CRL_NUMBER)
    authority = extensions.get(_AUTHORITY_KEY_ID)
    return (
        None if number is None else _number(_whole(number, der.INTEGER)),
        None if authority is None else _key_id(_whole(authority, der.SEQUENCE)),
        frozenset(critical),
    )


def _number(contents: bytes) -> int:
    value = int.from_bytes(contents, "big", signed=True)
    if value < 0 or not contents:
        raise ValueError("a number that is negative or empty")
    return value


def _key_id(contents: bytes) -> bytes | None:
    """The keyIdentifier of an authority key identifier (RFC 5280 section 4.2.1.1), which may be absent."""
    return next((contents[start:end] for tag, _, start, end in der.spans(contents) if tag == _KEY_ID_TAG), None)


@lru_cache(maxsize=256)  # the names of a PKI are few
def _common_name(name: bytes) -> str:
    """The one common name of a name's DER, or an empty text when there is none or more than one."""
    found = []
    attributes = DerReader(name, path="name", error=MalformedCollateral).enter(der.SEQUENCE, "name")
    while attributes.remaining:
        relative = attributes.enter(_SET, "attributes")
        while relative.remaining:
            attribute = relative.enter(der.SEQUENCE, "attribute")
            of = attribute.take(der.OBJECT_IDENTIFIER, "attribute type")
            tag = attribute.next_tag()
            if of == _COMMON_NAME:
                found.append(attribute.take(tag, "common name").decode() if tag in _TEXT_TAGS else "")
    return found[0] if len(found) == 1 else ""
