"""Step 6: the quoting enclave and the signatures from the PCK to the report (docs/spec/appraisal.md section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Check
from strongroom.crypto import ecdsa
from strongroom.crypto.hashing import equal, sha256
from strongroom.formats.quote_parts import INTEL_QE_VENDOR_ID
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.tcb import isv_svn_level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.crypto.ecdsa import EcdsaPublicKey
    from strongroom.formats.qe_identity import QeIdentity
    from strongroom.formats.quote import OpenedQuote, Quote
    from strongroom.formats.sgx_report import SgxReport
    from strongroom.formats.tcb_levels import IsvSvnLevel
    from strongroom.verifier.chains import Chain
    from strongroom.verifier.inquiry import Objections

__all__ = ["judge_attestation_key", "judge_qe_report", "judge_quote", "quote_signed"]

_ZEROS: Final = bytes(32)


def judge_attestation_key(inquiry: Objections, quote: Quote, pck: Chain | None) -> None:
    """Steps 6.1 and 6.2: the PCK's key over the QE's report, that report over the attestation key."""
    if pck is not None:
        inquiry.require(
            inquiry.raw_signature(pck.leaf, quote.qe_report.to_bytes(), quote.qe_report_signature),
            Check.SIGNATURE,
            "6.1",
            "the QE report is not signed by the PCK certificate's key",
        )
    bound = sha256(quote.attestation_key + quote.qe_auth_data) + _ZEROS
    inquiry.require(
        equal(bound, quote.qe_report.report_data),
        Check.KEY_BINDING,
        "6.2",
        "the QE report does not vouch for the attestation key",
        expected=bound.hex(),
        actual=quote.qe_report.report_data.hex(),
    )


def quote_signed(quote: OpenedQuote, key: EcdsaPublicKey | None) -> bool:
    """Tell whether a quote is signed by its attestation key; ``None`` is a point that is not on the curve."""
    return key is not None and ecdsa.verify_raw(key, quote.signed_bytes, quote.section.signature)


def judge_quote(inquiry: Objections, quote: OpenedQuote, *, signed: bool) -> None:
    """Steps 6.6 and 6.7: the attestation key over header and report, and whose quoting enclave it says it is."""
    inquiry.require(signed, Check.SIGNATURE, "6.6", "the quote is not signed by its attestation key")
    if quote.header.qe_vendor_id != INTEL_QE_VENDOR_ID:
        inquiry.object(
            Check.QE_IDENTITY,
            "6.7",
            "the quoting enclave is of another vendor",
            expected=INTEL_QE_VENDOR_ID.hex(),
            actual=quote.header.qe_vendor_id.hex(),
        )


def judge_qe_report(inquiry: Objections, report: SgxReport, identity: QeIdentity) -> IsvSvnLevel | None:
    """Steps 6.3 to 6.5: the QE's report shows the enclave of the QE identity; gives the level of its version."""
    for field, expected, actual in _differences(report, identity):
        inquiry.object(
            Check.QE_IDENTITY,
            "6.3",
            f"the quoting enclave has another {field} than the QE identity",
            expected=expected,
            actual=actual,
        )
    # whatever the identity's mask says: a debug QE hands its keys to the host
    inquiry.require(not report.attributes.debug, Check.QE_IDENTITY, "6.4", "the quoting enclave runs in debug mode")
    level = isv_svn_level(identity.levels, report.isv_svn)
    if level is None:
        inquiry.object(
            Check.QE_IDENTITY,
            "6.5",
            "the quoting enclave is older than every known version",
            expected=f"ISVSVN at least {min(item.isv_svn for item in identity.levels)}",
            actual=str(report.isv_svn),
        )
    elif level.status is TcbStatus.REVOKED:
        inquiry.object(
            Check.TCB_STATUS,
            "6.5",
            "this version of the quoting enclave is revoked",
            actual=f"ISVSVN {report.isv_svn}",
        )
    return level


def _differences(report: SgxReport, identity: QeIdentity) -> Iterator[tuple[str, str, str]]:
    """Yield (field, expected, actual) for what the QE's report shows otherwise than the identity says."""
    misc_select = report.misc_select & identity.misc_select_mask
    if misc_select != identity.misc_select:
        yield "MISCSELECT", f"{identity.misc_select:08x}", f"{misc_select:08x}"
    mask = int.from_bytes(identity.attributes_mask, "big")
    attributes = (int.from_bytes(report.attributes.to_bytes(), "big") & mask).to_bytes(16, "big")
    if attributes != identity.attributes:
        yield "attributes", identity.attributes.hex(), attributes.hex()
    if report.mr_signer != identity.mr_signer:
        yield "MRSIGNER", identity.mr_signer.hex(), report.mr_signer.hex()
    if report.isv_prod_id != identity.isv_prod_id:
        yield "ISVPRODID", str(identity.isv_prod_id), str(report.isv_prod_id)
