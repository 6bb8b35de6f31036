"""The simulated quoting enclave: reports and genuine-format quotes of version 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.attesters.simulated.pki import Certificates, Keys
from strongroom.attesters.simulated.settings import EnclaveIdentity, PlatformSettings
from strongroom.attesters.simulated.tcb import (
    QE_ATTRIBUTES,
    QE_ISV_PROD_ID,
    QE_ISV_SVN,
    QE_MR_ENCLAVE,
    QE_MR_SIGNER,
    platform_tcb,
)
from strongroom.crypto.certificates import pem
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.hashing import sha256
from strongroom.formats.sgx_quote import INTEL_QE_VENDOR_ID, PCK_CERTIFICATE_CHAIN, QuoteHeader, SgxQuote
from strongroom.formats.sgx_report import FLAG_DEBUG, REPORT_DATA_BYTES, Attributes, SgxReport

__all__ = ["QuotingEnclave", "certify", "report"]

_INIT_MODE64: Final = 0x05
_XFRM: Final = 0xE7  # x87, SSE, AVX, AVX-512
_AUTH_DATA: Final = bytes(range(32))  # what Intel's quoting enclave writes there


def report(identity: EnclaveIdentity, cpu_svn: bytes, report_data: bytes) -> SgxReport:
    """Make the report body that EREPORT would give to an enclave of this identity; ``report_data`` has 64 bytes."""
    if len(report_data) != REPORT_DATA_BYTES:
        raise ValueError(f"report data has {REPORT_DATA_BYTES} bytes")
    return SgxReport(
        cpu_svn=cpu_svn,
        misc_select=0,
        attributes=Attributes(flags=_INIT_MODE64 | (FLAG_DEBUG if identity.debug else 0), xfrm=_XFRM),
        mr_enclave=identity.mr_enclave,
        mr_signer=identity.mr_signer,
        isv_prod_id=identity.isv_prod_id,
        isv_svn=identity.isv_svn,
        report_data=report_data,
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QuotingEnclave:
    """Signs quotes with an attestation key that the PCK certified once, through the QE's report."""

    attestation_key: EcdsaPrivateKey
    header: QuoteHeader
    qe_report: SgxReport
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_data: bytes

    def quote(self, body: SgxReport) -> bytes:
        """Sign a report body."""
        signed = self.header.to_bytes() + body.to_bytes()
        return SgxQuote(
            header=self.header,
            report=body,
            signature=self.attestation_key.sign_raw(signed),
            attestation_key=self.attestation_key.point,
            qe_report=self.qe_report,
            qe_report_signature=self.qe_report_signature,
            qe_auth_data=self.qe_auth_data,
            certification_data_type=PCK_CERTIFICATE_CHAIN,
            certification_data=self.certification_data,
        ).to_bytes()


def certify(keys: Keys, certificates: Certificates, settings: PlatformSettings) -> QuotingEnclave:
    """Start the quoting enclave: its report over the attestation key's hash, signed by the PCK."""
    tcb = platform_tcb(settings.tcb)
    qe_report = SgxReport(
        cpu_svn=tcb.cpu_svn,
        misc_select=0,
        attributes=QE_ATTRIBUTES,
        mr_enclave=QE_MR_ENCLAVE,
        mr_signer=QE_MR_SIGNER,
        isv_prod_id=QE_ISV_PROD_ID,
        isv_svn=QE_ISV_SVN,
        report_data=sha256(keys.attestation.point + _AUTH_DATA) + bytes(32),
    )
    return QuotingEnclave(
        attestation_key=keys.attestation,
        header=QuoteHeader(
            qe_svn=QE_ISV_SVN,
            pce_svn=tcb.pce_svn,
            qe_vendor_id=INTEL_QE_VENDOR_ID,
            user_data=keys.qe_id + bytes(4),
        ),
        qe_report=qe_report,
        qe_report_signature=keys.pck.sign_raw(qe_report.to_bytes()),
        qe_auth_data=_AUTH_DATA,
        certification_data=pem((certificates.pck, certificates.platform_ca, certificates.root)),
    )
