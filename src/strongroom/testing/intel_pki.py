"""A small PKI of Intel's shape for tests: every certificate, list, document and report can be made wrong, then signed.

A plan is changed first and built afterwards, so that the one thing a test changed is the one thing that is wrong and
all signatures over it are good. It proves nothing about the real PKI; captured evidence in ``tests/vectors`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from strongroom.crypto.certificates import DistinguishedName, issue_certificate, issue_revocation_list, pem, spki
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.hashing import sha256
from strongroom.formats.collateral import Collateral
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, Configuration, PckExtension, PckTcb, SgxType
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote_parts import INTEL_QE_VENDOR_ID, PCK_CERTIFICATE_CHAIN, QuoteHeader, Signatures
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.sgx_report import Attributes, SgxReport
from strongroom.formats.tcb_info import TcbComponent, TcbInfo, TcbLevel
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus
from strongroom.verifier.anchors import SIMULATED_VENDOR, Anchor
from strongroom.verifier.policy import ANY, AppraisalPolicy, TcbRule

__all__ = ["AT", "VENDOR", "CertificatePlan", "IntelPki", "ListPlan", "key", "levels"]

AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The instant at which an unchanged plan is accepted."""

VENDOR: Final = "Example"
_BEGIN: Final = AT - timedelta(days=365)
_END: Final = AT + timedelta(days=3650)
_ISSUED: Final = AT - timedelta(days=2)
_NEXT: Final = AT + timedelta(days=28)
_COMPONENTS: Final = (12, 12, 3, 3, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def key(name: str) -> EcdsaPrivateKey:
    """Give the key of a name; the same in every run."""
    return EcdsaPrivateKey.from_scalar(sha256(b"strongroom test key " + name.encode()))


@dataclass(kw_only=True)
class CertificatePlan:
    """One certificate to be issued; ``issuer`` is ``None`` for a root, ``signer`` another key than the issuer's."""

    common_name: str
    key: EcdsaPrivateKey
    issuer: CertificatePlan | None
    ca: bool
    path_length: int | None
    serial: int
    signer: EcdsaPrivateKey | None = None
    not_before: datetime = _BEGIN
    not_after: datetime = _END
    key_usages: frozenset[str] | None = None
    extensions: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def name(self) -> DistinguishedName:
        """The subject."""
        return DistinguishedName(common_name=self.common_name, organization=f"{VENDOR} Corporation")

    def der(self) -> bytes:
        """Issue the certificate."""
        issuer = self.issuer or self
        return issue_certificate(
            subject=self.name,
            subject_point=self.key.point,
            issuer=issuer.name,
            issuer_key=self.signer or issuer.key,
            serial=self.serial,
            not_before=self.not_before,
            not_after=self.not_after,
            ca=self.ca,
            path_length=self.path_length,
            key_usages=self.key_usages,
            extensions=self.extensions,
        )


@dataclass(kw_only=True)
class ListPlan:
    """One CRL to be issued."""

    issuer: CertificatePlan
    signer: EcdsaPrivateKey | None = None
    number: int = 1
    this_update: datetime = _ISSUED
    next_update: datetime = _NEXT
    revoked: list[int] = field(default_factory=list)

    def der(self) -> bytes:
        """Issue the list."""
        return issue_revocation_list(
            issuer=self.issuer.name,
            issuer_key=self.signer or self.issuer.key,
            number=self.number,
            this_update=self.this_update,
            next_update=self.next_update,
            revoked=self.revoked,
        )


def levels(*statuses: tuple[int, TcbStatus, tuple[str, ...]]) -> tuple[TcbLevel, ...]:
    """Make TCB levels that differ in the first component: (its SVN, status, advisories)."""
    return tuple(
        TcbLevel(
            components=tuple(TcbComponent(svn=svn) for svn in (first, *_COMPONENTS[1:])),
            pce_svn=13,
            tcb_date=datetime(2020 + first % 5, 1, 1, tzinfo=UTC),
            status=status,
            advisory_ids=advisories,
        )
        for first, status, advisories in statuses
    )


class IntelPki:
    """The plan of one platform with its manufacturer. Change attributes, then ``build``."""

    def __init__(self, vendor: str = VENDOR) -> None:
        self.vendor = vendor
        self.root = CertificatePlan(
            common_name=f"{vendor} SGX Root CA", key=key("root"), issuer=None, ca=True, path_length=1, serial=1
        )
        self.intermediate = CertificatePlan(
            common_name=f"{vendor} SGX PCK Platform CA",
            key=key("intermediate"),
            issuer=self.root,
            ca=True,
            path_length=0,
            serial=2,
        )
        self.leaf = CertificatePlan(
            common_name=f"{vendor} SGX PCK Certificate",
            key=key("pck"),
            issuer=self.intermediate,
            ca=False,
            path_length=None,
            serial=3,
        )
        self.tcb_signer = CertificatePlan(
            common_name=f"{vendor} SGX TCB Signing",
            key=key("tcb signing"),
            issuer=self.root,
            ca=False,
            path_length=None,
            serial=4,
        )
        self.qe_signer = self.tcb_signer
        self.root_crl = ListPlan(issuer=self.root)
        self.pck_crl = ListPlan(issuer=self.intermediate)
        self.pck_chain = [self.leaf, self.intermediate, self.root]
        self.pck_crl_chain = [self.intermediate, self.root]
        self.tcb_chain = [self.tcb_signer, self.root]
        self.qe_chain = [self.qe_signer, self.root]
        self.extension = PckExtension(
            ppid=bytes(range(16)),
            tcb=PckTcb(components=_COMPONENTS, pce_svn=13, cpu_svn=bytes(_COMPONENTS)),
            pce_id=b"\x00\x00",
            fmspc=bytes.fromhex("30606a000000"),
            sgx_type=SgxType.SCALABLE,
            platform_instance_id=bytes(16),
            configuration=Configuration(dynamic_platform=False, cached_keys=False, smt_enabled=False),
        )
        self.extension_bytes: bytes | None = None
        self.header = QuoteHeader(qe_svn=0, pce_svn=0, qe_vendor_id=INTEL_QE_VENDOR_ID, user_data=bytes(20))
        self.report = SgxReport(
            cpu_svn=bytes(_COMPONENTS),
            misc_select=0,
            attributes=Attributes(flags=0x05, xfrm=0xE7),
            mr_enclave=MrEnclave(sha256(b"code")),
            mr_signer=MrSigner(sha256(b"signer")),
            isv_prod_id=7,
            isv_svn=3,
            report_data=bytes(64),
        )
        self.qe_report = SgxReport(
            cpu_svn=bytes(_COMPONENTS),
            misc_select=0,
            attributes=Attributes(flags=0x15, xfrm=0xE7),
            mr_enclave=MrEnclave(sha256(b"quoting enclave")),
            mr_signer=MrSigner(sha256(b"manufacturer")),
            isv_prod_id=1,
            isv_svn=8,
            report_data=bytes(64),
        )
        self.qe_report_data: bytes | None = None
        self.qe_auth_data = bytes(32)
        self.attestation_key = key("attestation")
        self.quote_signer: EcdsaPrivateKey | None = None
        self.qe_report_signer: EcdsaPrivateKey | None = None
        self.tcb_info = TcbInfo(
            version=3,
            id="SGX",
            issue_date=_ISSUED,
            next_update=_NEXT,
            fmspc=self.extension.fmspc,
            pce_id=self.extension.pce_id,
            tcb_evaluation_data_number=18,
            levels=levels((12, TcbStatus.UP_TO_DATE, ()), (5, TcbStatus.OUT_OF_DATE, ("EXAMPLE-SA-1",))),
        )
        self.tcb_info_body: bytes | None = None
        self.tcb_info_signer: EcdsaPrivateKey | None = None
        self.qe_identity = QeIdentity(
            id="QE",
            issue_date=_ISSUED,
            next_update=_NEXT,
            tcb_evaluation_data_number=18,
            misc_select=0,
            misc_select_mask=0xFFFFFFFF,
            attributes=bytes.fromhex("11000000000000000000000000000000"),
            attributes_mask=bytes.fromhex("fbffffffffffffff0000000000000000"),
            mr_signer=self.qe_report.mr_signer,
            isv_prod_id=1,
            levels=(
                IsvSvnLevel(isv_svn=8, tcb_date=datetime(2025, 1, 1, tzinfo=UTC), status=TcbStatus.UP_TO_DATE),
                IsvSvnLevel(
                    isv_svn=6,
                    tcb_date=datetime(2019, 1, 1, tzinfo=UTC),
                    status=TcbStatus.OUT_OF_DATE,
                    advisory_ids=("EXAMPLE-SA-2",),
                ),
            ),
        )
        self.qe_identity_body: bytes | None = None
        self.qe_identity_signer: EcdsaPrivateKey | None = None

    @property
    def anchor(self) -> Anchor:
        """The root as an anchor."""
        return Anchor(
            name=self.root.common_name,
            spki=spki(self.root.key.point),
            simulated=self.vendor.startswith(SIMULATED_VENDOR),
            vendor=self.vendor,
        )

    def policy(self) -> AppraisalPolicy:
        """Give a policy that accepts the unchanged plan and nothing else."""
        return AppraisalPolicy(
            anchors=(self.anchor,),
            accept_simulated_platform=False,
            accept_debug_enclaves=False,
            mr_enclaves=frozenset({self.report.mr_enclave}),
            signers=(),
            trust_domains=(),
            tcb=(TcbRule(status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY),),
            minimum_tcb_evaluation_data_number=18,
            maximum_collateral_age=ANY,
            expired_collateral_grace=timedelta(0),
            platforms=ANY,
            smt_enabled=ANY,
            dynamic_platform=ANY,
            cached_keys=ANY,
        )

    def set_components(self, *components: int, pce_svn: int = 13) -> None:
        """Give the platform other versions, in both of their forms."""
        tcb = PckTcb(components=components, pce_svn=pce_svn, cpu_svn=bytes(components))
        self.extension = replace(self.extension, tcb=tcb)

    def quote(self) -> SgxQuote:
        """Sign the quote."""
        unsigned = SgxQuote(header=self.header, report=self.report, **self.signatures())
        return replace(unsigned, signature=self.sign(unsigned.signed_bytes))

    def sign(self, message: bytes) -> bytes:
        """Sign with the attestation key, or with the key that stands in for it."""
        return (self.quote_signer or self.attestation_key).sign_raw(message)

    def signatures(self) -> Signatures:
        """Make everything in a quote's signature section but the signature over the report body."""
        extension = self.extension.to_bytes() if self.extension_bytes is None else self.extension_bytes
        self.leaf.extensions = [(PCK_EXTENSION_OID, extension)] if extension else []
        bound = sha256(self.attestation_key.point + self.qe_auth_data) + bytes(32)
        qe_report = replace(self.qe_report, report_data=bound if self.qe_report_data is None else self.qe_report_data)
        return Signatures(
            signature=bytes(64),
            attestation_key=self.attestation_key.point,
            qe_report=qe_report,
            qe_report_signature=(self.qe_report_signer or self.leaf.key).sign_raw(qe_report.to_bytes()),
            qe_auth_data=self.qe_auth_data,
            certification_data_type=PCK_CERTIFICATE_CHAIN,
            certification_data=pem(plan.der() for plan in self.pck_chain) + b"\0",
            padding=0,
        )

    def collateral(self) -> Collateral:
        """Sign the collateral."""
        tcb_info = self.tcb_info.to_bytes() if self.tcb_info_body is None else self.tcb_info_body
        qe_identity = self.qe_identity.to_bytes() if self.qe_identity_body is None else self.qe_identity_body
        return Collateral(
            pck_crl_issuer_chain=pem(plan.der() for plan in self.pck_crl_chain),
            root_ca_crl=self.root_crl.der(),
            pck_crl=self.pck_crl.der(),
            tcb_info_issuer_chain=pem(plan.der() for plan in self.tcb_chain),
            tcb_info=tcb_info,
            tcb_info_signature=(self.tcb_info_signer or self.tcb_chain[0].key).sign_raw(tcb_info),
            qe_identity_issuer_chain=pem(plan.der() for plan in self.qe_chain),
            qe_identity=qe_identity,
            qe_identity_signature=(self.qe_identity_signer or self.qe_chain[0].key).sign_raw(qe_identity),
        )

    def build(self) -> tuple[bytes, Collateral]:
        """Sign everything: evidence and collateral."""
        return self.quote().to_bytes(), self.collateral()
