"""What other verifiers say to a generated case: Intel's Quote Verification Library (as a wheel) and dcap-qvl."""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import dcap_qvl

from generated_cases_pki import chain_text

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.formats.collateral import Collateral

__all__ = ["HAS_QVL", "accepted", "of_dcap_qvl", "of_intel"]

HAS_QVL = find_spec("sgx_dcap_quote_verify") is not None
"""Intel's library is a test extra that has wheels for CPython 3.11 on Linux x86_64."""

_STATUS = {
    "STATUS_OK": "UpToDate",
    "STATUS_TCB_SW_HARDENING_NEEDED": "SWHardeningNeeded",
    "STATUS_TCB_CONFIGURATION_NEEDED": "ConfigurationNeeded",
    "STATUS_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED": "ConfigurationAndSWHardeningNeeded",
    "STATUS_TCB_OUT_OF_DATE": "OutOfDate",
    "STATUS_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED": "OutOfDateConfigurationNeeded",
}
STATUSES = frozenset(_STATUS.values()) | {"TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded"}


def accepted(verdict: str) -> bool:
    """Tell whether a verdict is a TCB status that a policy may take, and not a refusal."""
    return verdict in STATUSES


def of_dcap_qvl(pki: Any, evidence: bytes, collateral: Collateral, at: datetime) -> str:
    """Give the TCB status, or the last line of its error."""
    parts: dict[str, Any] = {part.name: getattr(collateral, part.name) for part in fields(collateral)}
    for name, value in parts.items():
        if name not in ("root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"):
            parts[name] = value.decode(errors="replace")
    try:
        theirs = dcap_qvl.QuoteCollateralV3(**parts)
        return str(dcap_qvl.verify_with_root_ca(evidence, theirs, pki.root.der(), int(at.timestamp())).status)
    except (ValueError, OverflowError) as error:
        return "refused: " + str(error).splitlines()[-1][:100]


def of_intel(pki: Any, evidence: bytes, collateral: Collateral, at: datetime) -> str:
    """Give the TCB status, or the first status of its four calls that is no success; version 3 only.

    The wheel wants the PCK chain apart from the quote, so it gets the plan's.
    """
    import sgx_dcap_quote_verify as qvl

    chain = pki.pck_chain
    leaf = pki.leaf if pki.leaf in chain else chain[0]
    issuers = [plan for plan in chain if plan is not leaf]
    try:
        result = qvl.verify(
            trusted_root_ca_certificate=chain_text([pki.root]).decode(),
            pck_certificate=chain_text([leaf]).decode(),
            pck_signing_chain=chain_text(issuers).decode(),
            root_ca_crl=collateral.root_ca_crl.hex(),
            intermediate_ca_crl=collateral.pck_crl.hex(),
            tcb_info=_document("tcbInfo", collateral.tcb_info, collateral.tcb_info_signature),
            tcb_signing_chain=collateral.tcb_info_issuer_chain.decode(errors="replace"),
            quote=evidence,
            qe_identity=_document("enclaveIdentity", collateral.qe_identity, collateral.qe_identity_signature),
            expiration_date=at,
        )
    except (ValueError, TypeError, RuntimeError) as error:
        return "refused: " + str(error)[:100]
    for status in (result.pck_certificate_status, result.tcb_info_status, result.qe_identity_status):
        if status.name != "STATUS_OK":
            return "refused: " + status.name.removeprefix("STATUS_")
    name: str = result.quote_status.name
    return _STATUS.get(name, "refused: " + name.removeprefix("STATUS_"))


def _document(name: str, body: bytes, signature: bytes) -> str:
    return f'{{"{name}":{body.decode(errors="replace")},"signature":"{signature.hex()}"}}'
