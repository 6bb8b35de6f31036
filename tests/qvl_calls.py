"""The recorded calls of Intel's Quote Verification Library (tests/vectors/intel-qvl-calls), made to our functions.

Each of the library's functions sees a part of an appraisal; ``replay`` judges that part with the same inputs and the
verifier's own functions. A null pointer has no counterpart here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evidence_vectors import VECTORS
from strongroom.base.errors import Malformed
from strongroom.crypto import ecdsa
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.formats.crl import parse_crl
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote import open_quote, read_whole
from strongroom.formats.quote_parts import TeeType
from strongroom.formats.sgx_report import SgxReport
from strongroom.formats.signed_json import SignedJson
from strongroom.formats.tcb_info import TcbInfo
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.chains import Chain, Kind, judge_chain
from strongroom.verifier.documents import judge_qe_identity, judge_tcb_info
from strongroom.verifier.inquiry import Inquiry
from strongroom.verifier.memo import Memo
from strongroom.verifier.quoting_enclave import judge_attestation_key, judge_qe_report, judge_quote, quote_signed
from strongroom.verifier.revocation import judge_list, judge_revocation
from strongroom.verifier.tcb_status import judge_tcb

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURED = datetime(2026, 11, 24, 9, 29, tzinfo=UTC)
"""The certificates of the calls live one hour around this instant."""

CALLS: list[dict[str, Any]] = [
    json.loads(line) for line in (VECTORS / "intel-qvl-calls/calls.jsonl").read_text().splitlines()
]


@dataclass
class Replayed:
    """What our functions found: (check, step) of every finding, or that an input is malformed."""

    findings: set[tuple[str, str]]
    malformed: str = ""

    @property
    def accepted(self) -> bool:
        return not self.findings and not self.malformed


def has_null(call: dict[str, Any]) -> bool:
    """Tell whether a pointer is null; the date and the QE identity of ``VerifyQuote`` may be left out."""
    optional = {"date", "qe"} if call["fn"] == "VerifyQuote" else {"date"}
    return any(value is None for name, value in call.items() if name not in optional)


def replay(call: dict[str, Any]) -> Replayed:
    parts = {
        name: bytes.fromhex(value) if value is not None else None
        for name, value in call.items()
        if name not in ("test", "fn", "date", "status")
    }
    try:
        anchors = [Anchor.from_certificate(parts["root"].strip(b"\0"), simulated=False)] if parts.get("root") else []
        inquiry = Inquiry(anchors=anchors, memo=Memo(capacity=0), at=CAPTURED, grace=timedelta(0))
        PARTS[call["fn"]](inquiry, parts)
    except Malformed as error:
        return Replayed(findings=set(), malformed=str(error))
    return Replayed(findings={(item.check.value, item.section.removeprefix("appraisal ")) for item in inquiry.findings})


def chain(inquiry: Inquiry, data: bytes, kind: Kind) -> Chain | None:
    return judge_chain(inquiry, parse_pem_chain(data, path=kind.title), kind)


def tcb_info(inquiry: Inquiry, parts: dict[str, Any]) -> None:
    document = SignedJson.from_bytes(parts["tcb"].strip(b"\0"), name="tcbInfo")
    info = TcbInfo.from_bytes(document.body)
    issuers = chain(inquiry, parts["chain"], Kind.TCB_INFO)
    judge_list(inquiry, "the root CRL", parse_crl(parts["rootcrl"]), issuers.root) if issuers else None
    judge_tcb_info(
        inquiry,
        info,
        body=document.body,
        signature=document.signature,
        chain=issuers,
        platform=None,
        tee=TeeType[info.id],
    )


def enclave_identity(inquiry: Inquiry, parts: dict[str, Any]) -> None:
    document = SignedJson.from_bytes(parts["identity"].strip(b"\0"), name="enclaveIdentity")
    identity = QeIdentity.from_bytes(document.body)
    issuers = chain(inquiry, parts["chain"], Kind.QE_IDENTITY)
    judge_list(inquiry, "the root CRL", parse_crl(parts["rootcrl"]), issuers.root) if issuers else None
    tee = TeeType.TDX if identity.id == "TD_QE" else TeeType.SGX
    judge_qe_identity(inquiry, identity, body=document.body, signature=document.signature, chain=issuers, tee=tee)


def enclave_report(inquiry: Inquiry, parts: dict[str, Any]) -> None:
    body = SignedJson.from_bytes(parts["identity"].strip(b"\0"), name="enclaveIdentity").body
    judge_qe_report(inquiry, SgxReport.from_bytes(parts["report"]), QeIdentity.from_bytes(body))


def pck_certificate(inquiry: Inquiry, parts: dict[str, Any]) -> None:
    pck = chain(inquiry, parts["chain"], Kind.PCK)
    judge_revocation(
        inquiry,
        root_crl=parse_crl(parts["rootcrl"]),
        pck_crl=parse_crl(parts["pckcrl"]),
        pck=pck,
        pck_crl_chain=None,
        others=(),
    )


def revocation_list(inquiry: Inquiry, parts: dict[str, Any]) -> None:
    issuers = parse_pem_chain(parts["chain"], path="issuers")
    signer = next((item for item in issuers if item.subject != item.issuer), issuers[0])
    judge_list(inquiry, "the CRL", parse_crl(parts["crl"]), signer)


def quote(inquiry: Inquiry, parts: dict[str, Any]) -> None:
    opened = open_quote(parts["quote"])
    evidence = read_whole(opened)
    (certificate,) = parse_pem_chain(parts["pck"], path="PCK")
    parse_crl(parts["crl"])
    info = TcbInfo.from_bytes(SignedJson.from_bytes(parts["tcb"].strip(b"\0"), name="tcbInfo").body)
    platform = PckExtension.from_bytes(certificate.extensions[PCK_EXTENSION_OID])
    judge_attestation_key(inquiry, evidence, Chain(certificates=(certificate,), anchor=None))
    judge_quote(inquiry, opened, signed=quote_signed(opened, ecdsa.public_key(evidence.attestation_key)))
    level = None
    if parts["qe"] is not None:
        body = SignedJson.from_bytes(parts["qe"].strip(b"\0"), name="enclaveIdentity").body
        level = judge_qe_report(inquiry, evidence.qe_report, QeIdentity.from_bytes(body))
    judge_tcb(inquiry, info, platform, evidence.report, level)


PARTS: dict[str, Callable[[Inquiry, dict[str, Any]], None]] = {
    "VerifyTCBInfo": tcb_info,
    "VerifyEnclaveIdentity": enclave_identity,
    "VerifyEnclaveReport": enclave_report,
    "VerifyPCKCertificate": pck_certificate,
    "VerifyPCKRevocationList": revocation_list,
    "VerifyQuote": quote,
}
