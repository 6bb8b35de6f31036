"""The peer tinfoil 0.13.6 in a process of its own: ``python -m bench.tinfoil_peer QUOTE COLLATERAL UNIX_TIME``.

It runs in the environment that ``make bench-setup`` makes, for its dependencies do not go together with ours. For each
line with a number on standard input it verifies so often and answers with the CPU milliseconds that one took.

tinfoil asks Intel over the network and looks at the clock. Both are given here: each request is answered at once with
the parts of the collateral, and the time is that of the quote. Its files are not read, so that nothing is known before;
writing them is left out, which is to its advantage, as is its own policy about one operator's machines.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent_encoded

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tinfoil.attestation import cert_utils, collateral_tdx
from tinfoil.attestation.attestation_tdx import TdxVerificationConfig, verify_tdx_attestation
from tinfoil.attestation.validate_tdx import PolicyOptions


class Answer:
    def __init__(self, content: bytes, header: str, chain: str) -> None:
        self.content = content
        self.headers = {header: percent_encoded(chain)}


def answers(parts: dict[str, str]) -> dict[str, Answer]:
    pck_crl = x509.load_der_x509_crl(bytes.fromhex(parts["pck_crl"])).public_bytes(Encoding.PEM)
    tcb_info = f'{{"tcbInfo":{parts["tcb_info"]},"signature":"{parts["tcb_info_signature"]}"}}'
    identity = f'{{"enclaveIdentity":{parts["qe_identity"]},"signature":"{parts["qe_identity_signature"]}"}}'
    return {
        "/tcb?": Answer(tcb_info.encode(), "TCB-Info-Issuer-Chain", parts["tcb_info_issuer_chain"]),
        "/qe/identity": Answer(
            identity.encode(), "SGX-Enclave-Identity-Issuer-Chain", parts["qe_identity_issuer_chain"]
        ),
        "/pckcrl?": Answer(pck_crl, "SGX-PCK-CRL-Issuer-Chain", parts["pck_crl_issuer_chain"]),
        "IntelSGXRootCA.der": Answer(bytes.fromhex(parts["root_ca_crl"]), "", ""),
    }


def stand_still(at: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return at.astimezone(tz)

    for module in (cert_utils, collateral_tdx):
        module.datetime = Clock


def main() -> None:
    evidence, collateral, unix_time = sys.argv[1:]
    served = answers(json.loads(Path(collateral).read_text()))
    collateral_tdx._http_get = lambda url, *_: next(answer for part, answer in served.items() if part in url)
    collateral_tdx._read_cache = lambda *_: None
    collateral_tdx._write_cache = lambda *_: None
    stand_still(datetime.fromtimestamp(int(unix_time), UTC))
    document = base64.b64encode(Path(evidence).read_bytes()).decode()
    config = TdxVerificationConfig(min_tcb_evaluation_data_number=0, policy_options=PolicyOptions())
    for line in sys.stdin:
        calls = int(line)
        start = time.process_time_ns()
        for _ in range(calls):
            verify_tdx_attestation(document, is_compressed=False, config=config)
        print((time.process_time_ns() - start) / calls / 1e6, flush=True)


if __name__ == "__main__":
    main()
