"""CPU time of one verification of captured quotes, SGX and TDX, beside dcap-qvl: ``python -m bench.verify``.

The same quote, collateral and instant for all; CPU time of this process, so that a busy machine changes little. Rounds
of the contenders alternate, and a ratio is the median of the rounds' ratios.

* "strongroom, cold" starts with nothing but its configuration: every certificate, list and document is read, and every
  signature verified but one. Intel's usual root certificate is part of the anchor (``verifier.anchors.KNOWN_ROOTS``),
  read and found to be signed by itself when the library is loaded; dcap-qvl has it built in, too.
* "strongroom, warm" has a ``Memo`` that has seen this collateral, platform and attestation key; the quote's report, its
  signature and the instant are judged each time, as with every new quote of a known store. "with policy" is
  ``appraise`` under a policy, the others are ``assess``.
* "tinfoil" is a verifier in Python with the same library, for TDX of version 4 only. It runs in a process of its own,
  where ``make bench-setup`` has made its environment, in turn with the others (``bench.tinfoil_peer``).
* "Intel's QVL" is the C++ library inside a wheel, where that installs; it reads SGX quotes of version 3 only.
* "floor, cold" and "floor, warm" are what no verifier on pyca/cryptography can go below: the same ten signatures with
  their keys' decoding, and the quote's own one, without reading or comparing anything.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dcap_qvl

from strongroom.crypto import ecdsa
from strongroom.crypto.certificates import (
    Certificate,
    RevocationList,
    parse_pem_chain,
    public_key_from_spki,
    verify_signature,
)
from strongroom.formats.collateral import Collateral
from strongroom.formats.quote import parse_quote
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes, TdReport
from strongroom.verifier import ANY, INTEL_SGX_ROOT, AppraisalPolicy, Memo, TcbRule, TdRule, appraise, assess

try:
    import sgx_dcap_quote_verify as qvl
except ImportError:
    qvl = None

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = Path(__file__).parents[1] / "tests/vectors"
QUOTES = {
    "SGX, version 3": "sgx/dcap-qvl/sgx_quote-f8b810.quote.bin",
    "TDX, version 4": "tdx/dcap-qvl/tdx_quote-f1c850.quote.bin",
    "TDX, version 5": "tdx/go-tdx-guest/quote_v5_sample-cf77a6.quote.bin",
}
TINFOIL = Path(__file__).parents[1] / ".venv-bench/bin/python"
ROUNDS = 15
CALLS = 40
TINFOIL_CALLS = 10  # it takes longer than all others together


def cpu_milliseconds(call: Callable[[], object]) -> float:
    start = time.process_time_ns()
    for _ in range(CALLS):
        call()
    return (time.process_time_ns() - start) / CALLS / 1e6


def raw(spki: bytes, message: bytes, signature: bytes) -> bool:
    key = public_key_from_spki(spki)
    return key is not None and ecdsa.verify_raw(key, message, signature)


def floors(evidence: bytes, collateral: Collateral) -> tuple[Callable[[], None], Callable[[], None]]:
    """Give the unavoidable signature checks: of everything, and of a new quote of a known platform."""
    quote = parse_quote(evidence)
    leaf, intermediate, root = parse_pem_chain(quote.certification_data, path="")
    signer = parse_pem_chain(collateral.tcb_info_issuer_chain, path="")[0]
    lists = [RevocationList.from_der(data) for data in (collateral.root_ca_crl, collateral.pck_crl)]
    signed: list[tuple[Certificate, Certificate | RevocationList]] = [
        (intermediate, leaf),
        (root, intermediate),
        (root, root),
        (root, signer),
        (root, lists[0]),
        (intermediate, lists[1]),
    ]
    documents = [
        (leaf.spki, quote.qe_report.to_bytes(), quote.qe_report_signature),
        (signer.spki, collateral.tcb_info, collateral.tcb_info_signature),
        (signer.spki, collateral.qe_identity, collateral.qe_identity_signature),
    ]
    message = quote.signed_bytes

    def warm() -> None:
        key = ecdsa.public_key(quote.attestation_key)
        assert key is not None
        assert ecdsa.verify_raw(key, message, quote.signature)

    def cold() -> None:
        assert all(verify_signature(issuer.spki, subject.tbs, subject.signature) for issuer, subject in signed)
        assert all(raw(*parts) for parts in documents)
        warm()

    return cold, warm


def accepting(evidence: bytes) -> AppraisalPolicy:
    """Write a policy that accepts the code of a quote whatever the state of its platform."""
    report = parse_quote(evidence).report
    of_sgx = not isinstance(report, TdReport)
    settings = {"require_sept_ve_disable": False, "accept_seam_attributes": False}
    domain: dict[str, Any] = {field.name: ANY for field in fields(TdRule)} | settings
    accepted = [status for status in TcbStatus if status is not TcbStatus.REVOKED]
    return AppraisalPolicy(
        anchors=(INTEL_SGX_ROOT,),
        accept_simulated_platform=False,
        accept_debug_enclaves=True,
        mr_enclaves=frozenset({report.mr_enclave} if of_sgx else ()),
        signers=(),
        trust_domains=() if of_sgx else (TdRule(**domain | {"accepted_attributes": TdAttributes((1 << 30) | 1)}),),
        tcb=tuple(TcbRule(status=item, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY) for item in accepted),
        minimum_tcb_evaluation_data_number=0,
        maximum_collateral_age=ANY,
        expired_collateral_grace=timedelta(0),
        platforms=ANY,
        smt_enabled=ANY,
        dynamic_platform=ANY,
        cached_keys=ANY,
    )


def intel_library(evidence: bytes, collateral: Collateral, at: datetime) -> Callable[[], None] | None:
    """Give a verification by Intel's library as the wheel has it: SGX of version 3 only, and only where it installs."""
    quote = parse_quote(evidence)
    if qvl is None or quote.header.version != 3:
        return None
    end = b"-----END CERTIFICATE-----\n"
    leaf, intermediate, root = (part + end for part in quote.certification_data.split(end)[:3])
    parts = {
        "trusted_root_ca_certificate": root.decode(),
        "pck_certificate": leaf.decode(),
        "pck_signing_chain": (intermediate + root).decode(),
        "root_ca_crl": collateral.root_ca_crl.hex(),
        "intermediate_ca_crl": collateral.pck_crl.hex(),
        "tcb_info": signed_document("tcbInfo", collateral.tcb_info, collateral.tcb_info_signature),
        "tcb_signing_chain": collateral.tcb_info_issuer_chain.decode(),
        "quote": evidence,
        "qe_identity": signed_document("enclaveIdentity", collateral.qe_identity, collateral.qe_identity_signature),
        "expiration_date": at,
    }

    def intel() -> None:
        assert qvl.verify(**parts).pck_certificate_status.name == "STATUS_OK"

    return intel


def signed_document(name: str, body: bytes, signature: bytes) -> str:
    return f'{{"{name}":{body.decode()},"signature":"{signature.hex()}"}}'


class Tinfoil:
    """The peer in its own process."""

    def __init__(self, evidence: Path, collateral: Path, unix_time: int) -> None:
        arguments = [TINFOIL, "-m", "bench.tinfoil_peer", evidence, collateral, str(unix_time)]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.milliseconds(1)

    def milliseconds(self, calls: int) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(calls, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def measure(name: str, path: str) -> None:
    verdicts = json.loads((VECTORS / "verdicts.json").read_text())
    verdict = next(item for item in verdicts if item["quote"] == path and "status" in item)
    evidence = (VECTORS / path).read_bytes()
    text = (VECTORS / verdict["collateral"]).read_text()
    at = datetime.fromtimestamp(verdict["unix_time"], UTC)
    collateral = Collateral.from_json(text.encode())
    theirs = dcap_qvl.QuoteCollateralV3.from_json(text)
    memo = Memo(capacity=1000)
    floor_cold, floor_warm = floors(evidence, collateral)

    def cold() -> None:
        assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).genuine

    def warm() -> None:
        assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at, memo=memo).genuine

    policy = accepting(evidence)

    def warm_with_policy() -> None:
        assert appraise(evidence, collateral, policy, at=at, memo=memo).policy_digest

    def phala() -> None:
        assert dcap_qvl.verify(evidence, theirs, verdict["unix_time"]).status

    contenders = {
        "strongroom, cold": cold,
        "strongroom, warm": warm,
        "with policy": warm_with_policy,
        "dcap-qvl": phala,
        "floor, cold": floor_cold,
        "floor, warm": floor_warm,
    }
    if (intel := intel_library(evidence, collateral, at)) is not None:
        contenders["Intel's QVL"] = intel
    for call in contenders.values():
        call()
    meters = {contender: partial(cpu_milliseconds, call) for contender, call in contenders.items()}
    tinfoil = None
    if TINFOIL.exists() and parse_quote(evidence).header.version == 4:
        tinfoil = Tinfoil(VECTORS / path, VECTORS / verdict["collateral"], verdict["unix_time"])
        meters["tinfoil"] = partial(tinfoil.milliseconds, TINFOIL_CALLS)
    times: dict[str, list[float]] = {contender: [] for contender in meters}
    for _ in range(ROUNDS):
        for contender, meter in meters.items():
            times[contender].append(meter())
    if tinfoil is not None:
        tinfoil.close()
    print(f"{name}: {ROUNDS} rounds of {CALLS} verifications, CPU milliseconds each")
    for contender, measured in times.items():
        speed = statistics.median(b / a for a, b in zip(measured, times["dcap-qvl"], strict=True))
        floor = "cold" if contender.endswith("cold") else "warm"
        of_floor = statistics.median(b / a for a, b in zip(measured, times[f"floor, {floor}"], strict=True))
        print(
            f"  {contender:17} median {statistics.median(measured):6.3f}  least {min(measured):6.3f}  "
            f"most {max(measured):6.3f}  speed of dcap-qvl's {speed:5.2f}"
            + (f", of the {floor} floor's {of_floor:4.2f}" if contender.startswith("strongroom") else "")
        )


def main() -> None:
    for name, path in QUOTES.items():
        measure(name, path)


if __name__ == "__main__":
    main()
