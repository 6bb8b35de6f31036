"""Plans of ``testing.intel_pki`` whose certificates and lists can be wrong in more ways, and look more like Intel's.

Certificates have a CRL distribution point, which Intel's library requires. Extensions can be left out, added and made
critical; keys and signatures can be of another curve and hash; fields of the signed part can be patched and signed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.crypto import der
from strongroom.testing.intel_pki import CertificatePlan, IntelPki, ListPlan
from strongroom.testing.tdx_pki import TdxPki

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from strongroom.crypto.certificates import DistinguishedName
    from strongroom.formats.collateral import Collateral
    from strongroom.formats.quote_parts import Signatures

__all__ = [
    "AKI",
    "BASIC_CONSTRAINTS",
    "CRL_NUMBER",
    "CRL_POINTS",
    "KEY_USAGE",
    "SKI",
    "Certificate",
    "RevocationList",
    "Sgx",
    "Tdx",
    "Tdx5",
    "chain_text",
]

SKI, KEY_USAGE, BASIC_CONSTRAINTS, CRL_NUMBER = "2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.20"
CRL_POINTS, AKI = "2.5.29.31", "2.5.29.35"
_HASHES: dict[str, hashes.HashAlgorithm] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}


@lru_cache(maxsize=1)
def other_curve() -> ec.EllipticCurvePrivateKey:
    """The key on P-384 that stands where one on P-256 belongs."""
    return ec.derive_private_key(12345, ec.SECP384R1())


@dataclass(kw_only=True)
class Certificate(CertificatePlan):
    """One certificate to be issued, and what is wrong with it."""

    left_out: set[str] = field(default_factory=set)
    added: list[tuple[str, bytes, bool]] = field(default_factory=list)
    hashed_by: str = "sha256"
    on_p384: bool = False
    issuer_name: DistinguishedName | None = None
    renamed: dict[str, Any] = field(default_factory=dict)
    tbs_patch: Callable[[bytes], bytes] | None = None
    whole_patch: Callable[[bytes], bytes] | None = None
    key_identifier: bytes | None = None

    @property
    def name(self) -> DistinguishedName:
        """The subject, with Intel's organization so that Intel's library takes it."""
        return replace(super().name, **{"organization": "Intel Corporation", **self.renamed})

    def der(self) -> bytes:
        """Issue the certificate."""
        issuer = self.issuer or self
        signer = (self.signer or issuer.key).private
        public = other_curve().public_key() if self.on_p384 else self.key.private.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name._to_x509())
            .issuer_name((self.issuer_name or issuer.name)._to_x509())
            .public_key(public)
            .serial_number(self.serial)
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        usages = self.key_usages
        if usages is None:
            usages = frozenset({"keyCertSign", "cRLSign"} if self.ca else {"digitalSignature", "nonRepudiation"})
        point = x509.DistributionPoint([x509.UniformResourceIdentifier("https://example/crl.der")], None, None, None)
        standard: list[tuple[x509.ExtensionType, bool]] = [
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.private.public_key()), False),
            (x509.CRLDistributionPoints([point]), False),
            (
                x509.SubjectKeyIdentifier(self.key_identifier)
                if self.key_identifier
                else x509.SubjectKeyIdentifier.from_public_key(public),
                False,
            ),
            (_key_usage(usages), True),
            (x509.BasicConstraints(ca=self.ca, path_length=self.path_length), True),
        ]
        for extension, critical in standard:
            if extension.oid.dotted_string not in self.left_out:
                builder = builder.add_extension(extension, critical)
        for dotted, value, critical in [*((oid, value, False) for oid, value in self.extensions), *self.added]:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), value), critical=critical
            )
        return builder.sign(signer, _HASHES[self.hashed_by], ecdsa_deterministic=True).public_bytes(Encoding.DER)

    def sent(self) -> bytes:
        """Give the certificate with its patches, which need not be one any more."""
        data = self.der()
        if self.tbs_patch is not None:
            data = _signed_again(data, self.tbs_patch, (self.signer or (self.issuer or self).key).private)
        return data if self.whole_patch is None else self.whole_patch(data)


def chain_text(chain: Iterable[Any]) -> bytes:
    """Give certificates in PEM, whatever they hold."""
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(plan.sent()) + b"-----END CERTIFICATE-----\n"
        for plan in chain
    )


@dataclass(kw_only=True)
class RevocationList(ListPlan):
    """One CRL to be issued, and what is wrong with it."""

    left_out: set[str] = field(default_factory=set)
    added: list[tuple[str, bytes, bool]] = field(default_factory=list)
    hashed_by: str = "sha256"
    named: CertificatePlan | None = None
    identifies: CertificatePlan | None = None
    tbs_patch: Callable[[bytes], bytes] | None = None
    whole_patch: Callable[[bytes], bytes] | None = None

    def der(self) -> bytes:
        """Issue the list."""
        signer = (self.signer or self.issuer.key).private
        identified = (self.identifies or self.issuer).key.private.public_key()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name((self.named or self.issuer).name._to_x509())
            .last_update(self.this_update)
            .next_update(self.next_update)
        )
        standard: list[x509.ExtensionType] = [
            x509.CRLNumber(self.number),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(identified),
        ]
        for extension in standard:
            if extension.oid.dotted_string not in self.left_out:
                builder = builder.add_extension(extension, critical=False)
        for dotted, value, critical in self.added:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), value), critical=critical
            )
        for serial in self.revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(self.this_update).build()
            builder = builder.add_revoked_certificate(entry)
        data = builder.sign(signer, _HASHES[self.hashed_by], ecdsa_deterministic=True).public_bytes(Encoding.DER)
        if self.tbs_patch is not None:
            data = _signed_again(data, self.tbs_patch, signer)
        return data if self.whole_patch is None else self.whole_patch(data)


_USAGES = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}


def _key_usage(names: frozenset[str]) -> x509.KeyUsage:
    flags = {attribute: name in names for name, attribute in _USAGES.items()}
    return x509.KeyUsage(
        **flags, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False
    )


def _signed_again(data: bytes, patch: Callable[[bytes], bytes], signer: ec.EllipticCurvePrivateKey) -> bytes:
    """Patch the signed part and sign it anew."""
    reader = der.DerReader(data, path="patched", error=ValueError).enter(der.SEQUENCE, "whole")  # type: ignore[arg-type]
    tbs = patch(reader.take_whole(der.SEQUENCE, "tbs"))
    algorithm = reader.take_whole(der.SEQUENCE, "algorithm")
    signature = signer.sign(tbs, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return der.element(der.SEQUENCE, tbs, algorithm, der.element(0x03, b"\0" + signature))


class _Faulty(IntelPki):
    """Makes the plans of a plan into those of this module."""

    root: Certificate
    intermediate: Certificate
    leaf: Certificate
    tcb_signer: Certificate
    root_crl: RevocationList
    pck_crl: RevocationList

    def __init__(self) -> None:
        super().__init__("Intel")
        self.root = _certificate(self.root, None)
        self.intermediate = _certificate(self.intermediate, self.root)
        self.leaf = _certificate(self.leaf, self.intermediate)
        self.tcb_signer = self.qe_signer = _certificate(self.tcb_signer, self.root)
        self.root_crl = RevocationList(issuer=self.root)
        self.pck_crl = RevocationList(issuer=self.intermediate)
        self.pck_chain = [self.leaf, self.intermediate, self.root]
        self.pck_crl_chain = [self.intermediate, self.root]
        self.tcb_chain = [self.tcb_signer, self.root]
        self.qe_chain = [self.tcb_signer, self.root]

    def signatures(self) -> Signatures:
        """The same, with what is sent."""
        made = super().signatures()
        made["certification_data"] = chain_text(self.pck_chain) + b"\0"
        return made

    def collateral(self) -> Collateral:
        """The same, with what is sent."""
        return replace(
            super().collateral(),
            pck_crl_issuer_chain=chain_text(self.pck_crl_chain),
            tcb_info_issuer_chain=chain_text(self.tcb_chain),
            qe_identity_issuer_chain=chain_text(self.qe_chain),
        )


def _certificate(plan: CertificatePlan, issuer: Certificate | None) -> Certificate:
    return Certificate(
        common_name=plan.common_name,
        key=plan.key,
        issuer=issuer,
        ca=plan.ca,
        path_length=plan.path_length,
        serial=plan.serial,
    )


class Sgx(_Faulty):
    """An enclave: a quote of version 3."""


class Tdx(_Faulty, TdxPki):
    """A trust domain of TD 1.0: a quote of version 4."""


class Tdx5(Tdx):
    """A trust domain of TD 1.5: a quote of version 5."""

    def __init__(self) -> None:
        super().__init__()
        self.become_td_15()
