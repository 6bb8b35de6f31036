"""A second implementation of the RA-TLS certificate, from the specification alone: cbor2 and cryptography directly.

``Plan`` makes certificates, right ones and, by changing a field, wrong ones. ``verify`` says what a certificate is
bound to. Neither uses anything of the package under test but the attester that makes the quote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

DICE = x509.ObjectIdentifier("2.23.133.5.4.9")
GRAMINE = x509.ObjectIdentifier("1.2.840.113741.1337.6")
HASHES = {1: hashlib.sha256, 7: hashlib.sha384, 8: hashlib.sha512}
REPORT_DATA = slice(48 + 320, 48 + 384)  # of a quote: header 48, report body 384 with the report data at its end

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def spki_of(key: Any) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw_map(*pairs: tuple[str, bytes]) -> bytes:
    """A map with its pairs as they come, repeated keys included, as cbor2 would not write it."""
    return bytes((0xA0 | len(pairs),)) + b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in pairs)


@dataclass
class Plan:
    """One certificate. ``quote`` makes a quote over 64 bytes."""

    quote: Callable[[bytes], bytes]
    at: datetime
    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    hash_number: int = 1
    hashed_key: bytes | None = None
    claims: bytes | None = None
    tail: bytes = bytes(32)
    report_hash: bytes | None = None
    lifetime: timedelta = timedelta(hours=1)
    signer: PrivateKey | None = None
    extra: Sequence[tuple[str, bytes, bool]] = ()
    evidence: Callable[[bytes], bytes] = lambda right: right
    oids: Sequence[x509.ObjectIdentifier] = (DICE,)

    @property
    def spki(self) -> bytes:
        return spki_of(self.key.public_key())

    def right_claims(self) -> bytes:
        hashed = self.hashed_key or HASHES.get(self.hash_number, hashlib.sha256)(self.spki).digest()
        return cbor2.dumps({"pubkey-hash": cbor2.dumps([self.hash_number, hashed])})

    def tagged(self) -> bytes:
        claims = self.right_claims() if self.claims is None else self.claims
        report_data = (self.report_hash or hashlib.sha256(claims).digest()) + self.tail
        return self.evidence(cbor2.dumps(cbor2.CBORTag(60000, [self.quote(report_data), claims])))

    def bare(self) -> bytes:
        return self.quote((self.report_hash or hashlib.sha256(self.spki).digest()) + self.tail)

    def der(self) -> bytes:
        name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "second")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(self.at - timedelta(minutes=1))
            .not_valid_after(self.at - timedelta(minutes=1) + self.lifetime)
        )
        for oid in self.oids:
            value = self.tagged() if oid == DICE else self.bare()
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        for dotted, value, critical in self.extra:
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), value)
            builder = builder.add_extension(unknown, critical=critical)
        return builder.sign(self.signer or self.key, SHA256()).public_bytes(Encoding.DER)

    def pem(self) -> bytes:
        certificate = x509.load_der_x509_certificate(self.der()).public_bytes(Encoding.PEM)
        return certificate + self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def verify(der: bytes) -> dict[str, Any]:
    """Check signature and binding of a certificate, by assertion; gives its quote and claims."""
    certificate = x509.load_der_x509_certificate(der)
    key: Any = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        hash_used: Any = certificate.signature_hash_algorithm
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hash_used)
    else:
        key.verify(
            certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(certificate.signature_hash_algorithm)
        )
    value: Any = certificate.extensions.get_extension_for_oid(DICE).value
    tagged = cbor2.loads(value.value)
    assert tagged.tag == 60000
    quote, encoded = tagged.value
    claims = cbor2.loads(encoded)
    number, hashed = cbor2.loads(claims["pubkey-hash"])
    assert hashed == HASHES[number](spki_of(key)).digest()
    assert quote[REPORT_DATA] == hashlib.sha256(encoded).digest() + bytes(32)
    return {
        "quote": quote,
        "claims": claims,
        "lifetime": certificate.not_valid_after_utc - certificate.not_valid_before_utc,
    }
