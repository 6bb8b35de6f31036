"""The Provisioning Certification Service of Intel, and the caches (PCCS) that speak its interface, version 4.

Source: "Intel SGX and Intel TDX services, V4 API", sections Get Revocation List, Get SGX and TDX TCB Info, Enclave
Identity; for PCCS, Intel's design guide of the Provisioning Certificate Caching Service. None of it needs an account.
A PCCS differs in two points: it has the root CA's CRL, as hexadecimal text, and it ignores a wish for one TCB
evaluation data number, so the answer is compared with the wish.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

from strongroom.base.errors import MalformedCollateral
from strongroom.collateral.checked import INTEL, CheckedCollateral, check_collateral
from strongroom.collateral.fetching import Fetcher, check_address, tls_context
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.crypto.certificates import MAX_CHAIN_BYTES, MAX_CRL_BYTES, parse_pem_chain, pem
from strongroom.formats.collateral import Collateral
from strongroom.formats.crl import parse_crl
from strongroom.formats.signed_json import MAX_BODY_BYTES, SignedJson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.collateral.fetching import Answer
    from strongroom.collateral.kinds import PlatformKind
    from strongroom.verifier.anchors import Anchor

__all__ = ["INTEL_PCS", "INTEL_ROOT_CRL", "Evaluation", "PcsSource", "Update", "decode_issuer_chain"]

INTEL_PCS: Final = "https://api.trustedservices.intel.com"
INTEL_ROOT_CRL: Final = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

# the second of each is what older versions of the interface call it, and some caches still do
_TCB_CHAIN: Final = ("TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain")
_QE_CHAIN: Final = ("SGX-Enclave-Identity-Issuer-Chain", "SGX-QE-Identity-Issuer-Chain")
_CRL_CHAIN: Final = ("SGX-PCK-CRL-Issuer-Chain",)
_LABEL: Final = re.compile(rb"-----(BEGIN|END)\+CERTIFICATE-----", re.ASCII)
_ENCODED_TWICE: Final = 2


class Update(StrEnum):
    """Which of two evaluations: the newest one, or the one that platforms must have reached by now."""

    EARLY = "early"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Which TCB evaluation to ask for: a number, or else what ``update`` says. The service takes one of the two."""

    update: Update = Update.STANDARD
    number: int | None = None

    @property
    def query(self) -> str:
        """The parameter."""
        if self.number is not None:
            return f"tcbEvaluationDataNumber={self.number}"
        return f"update={self.update}"


class PcsSource:
    """Asks one service, each time anew. Nothing is asked before ``collateral`` is called.

    ``url`` is where the service listens, without the path (``https://api.trustedservices.intel.com``,
    ``https://pccs.example:8081``). ``root_crl_url`` is where the root CA's CRL is, for a service that has none; a PCCS
    has it. ``ca_pem`` are the CAs that may vouch for the service's TLS certificate, instead of the system's.
    """

    def __init__(
        self,
        url: str,
        *,
        root_crl_url: str | None = None,
        evaluation: Evaluation | None = None,
        anchors: Sequence[Anchor] = INTEL,
        ca_pem: bytes | None = None,
        seconds: float = 30.0,
    ) -> None:
        self._base = check_address(url)
        self._root_crl_url = (
            f"{self._base}/sgx/certification/v4/rootcacrl" if root_crl_url is None else check_address(root_crl_url)
        )
        self._evaluation = evaluation or Evaluation()
        self._anchors = tuple(anchors)
        self._tls = tls_context(ca_pem)
        self._seconds = seconds
        self.name = urlsplit(self._base).netloc

    @classmethod
    def intel(cls, *, evaluation: Evaluation | None = None, seconds: float = 30.0) -> PcsSource:
        """Ask Intel itself, which learns the kind of platform that somebody at this address wants to verify."""
        return cls(INTEL_PCS, root_crl_url=INTEL_ROOT_CRL, evaluation=evaluation, seconds=seconds)

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Fetch the four documents and check them; ``CollateralUnavailable``, ``MalformedCollateral``."""
        checked = check_collateral(self.fetch(kind, at), anchors=self._anchors, resource=f"what {self.name} answered")
        checked.require(kind, at, resource=f"what {self.name} answered")
        self._require_number(checked)
        return checked

    def fetch(self, kind: PlatformKind, at: datetime) -> Collateral:
        """Fetch the four documents as they are. They are well-formed and nothing else is known of them."""
        tee = f"{self._base}/{kind.tee}/certification/v4"
        sgx = f"{self._base}/sgx/certification/v4"
        wanted = self._evaluation.query
        fmspc = kind.fmspc.hex().upper()
        with Fetcher(tls=self._tls, seconds=self._seconds) as fetcher:

            def get(url: str, what: str, limit: int) -> tuple[Answer, str]:
                resource = f"{what} from {urlsplit(url).netloc}"
                return fetcher.get(url, resource=resource, max_bytes=limit, at=at), resource

            answer, resource = get(f"{tee}/tcb?fmspc={fmspc}&{wanted}", f"TCB info of {fmspc}", MAX_BODY_BYTES)
            tcb_info = SignedJson.from_bytes(answer.body, name="tcbInfo")
            tcb_info_chain = _issuer_chain(answer, _TCB_CHAIN, resource)
            answer, resource = get(f"{tee}/qe/identity?{wanted}", f"QE identity for {kind.tee}", MAX_BODY_BYTES)
            qe_identity = SignedJson.from_bytes(answer.body, name="enclaveIdentity")
            qe_identity_chain = _issuer_chain(answer, _QE_CHAIN, resource)
            # SGX and TDX share PCK certificates, so their CRLs are at one place
            answer, resource = get(
                f"{sgx}/pckcrl?ca={kind.ca}&encoding=der", f"CRL of the {kind.ca} CA", 2 * MAX_CRL_BYTES
            )
            pck_crl = parse_crl(answer.body, path=resource).der
            pck_crl_chain = _issuer_chain(answer, _CRL_CHAIN, resource)
            answer, resource = get(self._root_crl_url, "CRL of the root CA", 2 * MAX_CRL_BYTES)
            root_ca_crl = parse_crl(answer.body, path=resource).der
        return Collateral(
            pck_crl_issuer_chain=pck_crl_chain,
            root_ca_crl=root_ca_crl,
            pck_crl=pck_crl,
            tcb_info_issuer_chain=tcb_info_chain,
            tcb_info=tcb_info.body,
            tcb_info_signature=tcb_info.signature,
            qe_identity_issuer_chain=qe_identity_chain,
            qe_identity=qe_identity.body,
            qe_identity_signature=qe_identity.signature,
        )

    def _require_number(self, checked: CheckedCollateral) -> None:
        wanted = self._evaluation.number
        got = {checked.tcb_info.number, checked.qe_identity.number}
        if wanted is not None and got != {wanted}:
            text = f"has TCB evaluation data number {' and '.join(map(str, sorted(got)))}, not {wanted}"
            raise ResourceUnavailable(text, resource=f"what {self.name} answered")


def decode_issuer_chain(value: bytes, *, path: str) -> bytes:
    """Read an issuer chain from a header and write it as PEM, or raise ``MalformedCollateral``.

    Intel URL-encodes the PEM text. Proxies and caches are known to encode it twice, to write spaces as plus signs (as
    forms do; the plus signs of base64 are then encoded), or to pass the text on with spaces for its line ends.
    """
    if len(value) > 4 * MAX_CHAIN_BYTES:
        raise MalformedCollateral("the issuer chain is too long", path=path)
    for _ in range(_ENCODED_TWICE):
        if b"%" in value:
            value = unquote_to_bytes(value)
    text = _LABEL.sub(rb"-----\1 CERTIFICATE-----", value)
    return pem(certificate.der for certificate in parse_pem_chain(text, path=path))


def _issuer_chain(answer: Answer, names: Sequence[str], resource: str) -> bytes:
    value = answer.header(*names)
    if value is None:
        raise MalformedCollateral(f"no header {names[0]}, or several that differ", path=resource)
    return decode_issuer_chain(value, path=f"issuer chain of the {resource}")
