"""Reports of Intel's attestation service as history: what Intel said, when, and why nothing rests on it any more.

The service ended on 2025-04-02 and its signing certificate expired on 2026-11-20. A report can be shown to be
authentic *at its own time*. It is never usable now, whatever it says: no session can come from this module.
docs/spec/legacy-reports.md has the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import equal
from strongroom.legacy_epid.report import AttestationReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.crypto.rsa_certificates import RsaCertificate

__all__ = ["INTEL_REPORT_CA", "HistoricalReport", "verify_history"]

INTEL_REPORT_CA: Final = bytes.fromhex("7b42e41ec43b91db834a065de4f98a13c44d695570e839cfa8921e584e40735d")
"""SHA-256 of the certificate of "Intel SGX Attestation Report Signing CA", valid 2016-11-14 to 2049-12-31."""

_SERVICE_ENDED: Final = "2025-04-02"
_LEAF_BITS: Final = 2048
_CA_BITS: Final = 3072


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalReport:
    """A report that was authentic. ``usable_now`` is false for every one; ``why_not`` says it in sentences."""

    report: AttestationReport
    authentic_at: datetime
    signed_by: str
    why_not: tuple[str, ...]

    @property
    def usable_now(self) -> Literal[False]:
        """Always false."""
        return False


def verify_history(
    body: bytes, signature: bytes, chain: Sequence[RsaCertificate], *, at: datetime, authority: bytes
) -> HistoricalReport:
    """Verify a report's signature and chain at the report's own time.

    ``chain`` is the signing certificate and its issuer, in this order; ``authority`` is SHA-256 of the issuer's
    certificate (32 bytes), ``at`` the present. Raises ``AppraisalRefused`` with every finding; ``Malformed`` for a body
    that is no report, which is read only after its signature holds.
    """
    findings = _chain_findings(chain, authority)
    if findings:
        raise AppraisalRefused(findings)
    leaf, issuer = chain
    if not leaf.verify(body, signature):
        raise AppraisalRefused([_finding("3.1", Check.SIGNATURE, "the report is not signed by this certificate's key")])
    report = AttestationReport.from_body(body)
    for section, certificate in (("4.1", leaf), ("4.2", issuer)):
        if not certificate.not_before <= report.timestamp <= certificate.not_after:
            findings.append(
                _finding(
                    section,
                    Check.EXPIRY,
                    f"the certificate {certificate.common_name!r} was not valid when the report says it was made",
                    expected=f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}",
                    actual=f"{report.timestamp:%Y-%m-%d}",
                )
            )
    if report.timestamp > at:
        findings.append(_finding("4.3", Check.FRESHNESS, "the report is from the future"))
    if findings:
        raise AppraisalRefused(findings)
    return HistoricalReport(
        report=report, authentic_at=report.timestamp, signed_by=leaf.common_name, why_not=_why_not(leaf, at)
    )


def _chain_findings(chain: Sequence[RsaCertificate], authority: bytes) -> list[Finding]:
    if len(chain) != 2:
        return [
            _finding(
                "2.1", Check.CHAIN, "the chain is not one signing certificate and its issuer", actual=str(len(chain))
            )
        ]
    leaf, issuer = chain
    checks = [
        ("2.2", equal(issuer.fingerprint, authority), "the issuer is not the pinned authority"),
        ("2.3", issuer.is_ca and issuer.key_bits >= _CA_BITS, "the issuer is no authority"),
        ("2.4", issuer.issued(leaf), "the issuer did not sign the signing certificate"),
        ("2.5", not leaf.is_ca, "the signing certificate is an authority itself"),
        ("2.6", leaf.signs and leaf.key_bits >= _LEAF_BITS, "the signing certificate is not for signatures"),
    ]
    return [_finding(section, Check.CHAIN, message) for section, holds, message in checks if not holds]


def _why_not(leaf: RsaCertificate, at: datetime) -> tuple[str, ...]:
    reasons = [f"Intel's attestation service ended on {_SERVICE_ENDED}; what it said then, nobody renews"]
    if at > leaf.not_after:
        reasons.append(f"the signing certificate expired on {leaf.not_after:%Y-%m-%d %H:%M:%S} UTC")
    return tuple(reasons)


def _finding(section: str, check: Check, message: str, *, expected: str = "", actual: str = "") -> Finding:
    return Finding(check=check, message=message, section=f"legacy-reports {section}", expected=expected, actual=actual)
