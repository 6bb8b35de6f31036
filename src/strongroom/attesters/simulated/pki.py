"""The simulated manufacturer: its keys, all derived from one secret, and the certificates it issues.

Certificates are valid for fixed dates, so that making a platform needs no clock. What expires is the collateral.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from strongroom.attesters.simulated.settings import PlatformSettings
from strongroom.attesters.simulated.tcb import FMSPC, PCE_ID, platform_tcb
from strongroom.crypto.certificates import Certificate, DistinguishedName, issue_certificate, spki
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.kdf import derive
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, Configuration, PckExtension, SgxType

__all__ = [
    "NOT_AFTER",
    "NOT_BEFORE",
    "PCK_NAME",
    "PLATFORM_CA_NAME",
    "ROOT_NAME",
    "TCB_SIGNING_NAME",
    "Certificates",
    "Keys",
    "certificates_fit",
    "issue_pck",
    "issue_pki",
]

NOT_BEFORE: Final = datetime(2024, 1, 1, tzinfo=UTC)
NOT_AFTER: Final = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)  # where Intel's root ends, too
_SERIAL_BYTES: Final = 19  # RFC 5280 section 4.1.2.2 allows 20, the first bit zero


def _name(common_name: str) -> DistinguishedName:
    return DistinguishedName(
        common_name=f"Strongroom Simulated SGX {common_name}",
        organization="Strongroom Simulated Platform",
        locality="Simulated",
        state="Simulated",
        country="ZZ",
    )


ROOT_NAME: Final = _name("Root CA")
PLATFORM_CA_NAME: Final = _name("PCK Platform CA")
PCK_NAME: Final = _name("PCK Certificate")
TCB_SIGNING_NAME: Final = _name("TCB Signing")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Keys:
    """Every key of manufacturer and platform. ``ppid`` and ``instance_id`` name the platform (16 bytes each)."""

    root: EcdsaPrivateKey
    platform_ca: EcdsaPrivateKey
    tcb_signing: EcdsaPrivateKey
    pck: EcdsaPrivateKey
    attestation: EcdsaPrivateKey
    sealing: bytes
    ppid: bytes
    instance_id: bytes
    qe_id: bytes

    @classmethod
    def derive(cls, secret: bytes, manufacturer: bytes | None = None) -> Keys:
        """Derive everything from the platform's 32-byte secret, and what is the manufacturer's from its own if given.

        A platform that was made by itself is its own manufacturer.
        """

        def key(purpose: str, of: bytes = secret) -> EcdsaPrivateKey:
            return EcdsaPrivateKey.from_scalar(derive(of, f"strongroom v1 simulated {purpose} key"))

        def name(purpose: str) -> bytes:
            return derive(secret, f"strongroom v1 simulated {purpose}", length=16)

        maker = manufacturer or secret
        return cls(
            root=key("root", maker),
            platform_ca=key("platform CA", maker),
            tcb_signing=key("TCB signing", maker),
            pck=key("PCK"),
            attestation=key("attestation"),
            sealing=derive(secret, "strongroom v1 simulated sealing root"),
            ppid=name("PPID"),
            instance_id=name("platform instance id"),
            qe_id=name("QE id"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The four certificates in DER."""

    root: bytes
    platform_ca: bytes
    pck: bytes
    tcb_signing: bytes

    @property
    def pck_serial(self) -> int:
        """The serial number by which the PCK certificate is revoked."""
        return Certificate.from_der(self.pck).serial


def issue_pki(keys: Keys, settings: PlatformSettings) -> Certificates:
    """Issue all four certificates."""
    return Certificates(
        root=_issue(keys, ROOT_NAME, keys.root, ca=True, path_length=1),
        platform_ca=_issue(keys, PLATFORM_CA_NAME, keys.platform_ca, ca=True, path_length=0),
        tcb_signing=_issue(keys, TCB_SIGNING_NAME, keys.tcb_signing, ca=False),
        pck=issue_pck(keys, settings),
    )


def issue_pck(keys: Keys, settings: PlatformSettings) -> bytes:
    """Issue the PCK certificate for the platform's present versions; a change of versions takes a new one."""
    tcb = platform_tcb(settings.tcb)
    extension = PckExtension(
        ppid=keys.ppid,
        tcb=tcb,
        pce_id=PCE_ID,
        fmspc=FMSPC,
        sgx_type=SgxType.SCALABLE,
        platform_instance_id=keys.instance_id,
        configuration=Configuration(dynamic_platform=False, cached_keys=False, smt_enabled=False),
    )
    return issue_certificate(
        subject=PCK_NAME,
        subject_point=keys.pck.point,
        issuer=PLATFORM_CA_NAME,
        issuer_key=keys.platform_ca,
        serial=_serial(keys.pck.point, tcb.cpu_svn + tcb.pce_svn.to_bytes(2, "little")),
        not_before=NOT_BEFORE,
        not_after=NOT_AFTER,
        ca=False,
        extensions=((PCK_EXTENSION_OID, extension.to_bytes()),),
    )


def certificates_fit(keys: Keys, certificates: Certificates) -> bool:
    """Tell whether the certificates are over these keys; raises ``MalformedCollateral`` for what is none."""
    pairs = (
        (certificates.root, keys.root),
        (certificates.platform_ca, keys.platform_ca),
        (certificates.pck, keys.pck),
        (certificates.tcb_signing, keys.tcb_signing),
    )
    return all(Certificate.from_der(der).spki == spki(key.point) for der, key in pairs)


def _issue(
    keys: Keys, subject: DistinguishedName, key: EcdsaPrivateKey, *, ca: bool, path_length: int | None = None
) -> bytes:
    return issue_certificate(
        subject=subject,
        subject_point=key.point,
        issuer=ROOT_NAME,
        issuer_key=keys.root,
        serial=_serial(key.point),
        not_before=NOT_BEFORE,
        not_after=NOT_AFTER,
        ca=ca,
        path_length=path_length,
    )


def _serial(point: bytes, version: bytes = b"") -> int:
    # a first byte of 1 keeps every serial positive and of one length
    digest = derive(point, "strongroom v1 simulated serial number", version, length=_SERIAL_BYTES)
    return int.from_bytes(b"\x01" + digest[1:], "big")
