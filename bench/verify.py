"""CPU time of one verification of a captured SGX quote, beside dcap-qvl: ``python -m bench.verify``.

The same quote, collateral and instant for all; CPU time of this process, so that a busy machine changes little. Rounds
of the contenders alternate, and the ratio is the median of the rounds' ratios. "remembering" is the verifier with a
``Memo`` that has seen this collateral, platform and attestation key; the quote's own signature is verified each time,
as with every new quote of a known store.
"""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dcap_qvl

from strongroom.formats.collateral import Collateral
from strongroom.verifier import INTEL_SGX_ROOT, Memo, assess

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = Path(__file__).parents[1] / "tests/vectors"
ROUNDS = 15
CALLS = 40


def cpu_milliseconds(call: Callable[[], object]) -> float:
    start = time.process_time_ns()
    for _ in range(CALLS):
        call()
    return (time.process_time_ns() - start) / CALLS / 1e6


def main() -> None:
    verdict = next(
        item
        for item in json.loads((VECTORS / "verdicts.json").read_text())
        if item["quote"].endswith("sgx_quote-f8b810.quote.bin")
    )
    evidence = (VECTORS / verdict["quote"]).read_bytes()
    text = (VECTORS / verdict["collateral"]).read_text()
    at = datetime.fromtimestamp(verdict["unix_time"], UTC)
    collateral = Collateral.from_json(text.encode())
    theirs = dcap_qvl.QuoteCollateralV3.from_json(text)
    memo = Memo(capacity=1000)

    def ours() -> None:
        assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at).genuine

    def remembering() -> None:
        assert assess(evidence, collateral, [INTEL_SGX_ROOT], at=at, memo=memo).genuine

    def qvl() -> None:
        assert dcap_qvl.verify(evidence, theirs, verdict["unix_time"]).status

    contenders = {"strongroom": ours, "strongroom, remembering": remembering, "dcap-qvl": qvl}
    for call in contenders.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            times[name].append(cpu_milliseconds(call))
    print(f"{ROUNDS} rounds of {CALLS} verifications, CPU milliseconds each")
    for name, measured in times.items():
        ratio = statistics.median(a / b for a, b in zip(measured, times["dcap-qvl"], strict=True))
        print(
            f"{name:24} median {statistics.median(measured):6.3f}  "
            f"least {min(measured):6.3f}  most {max(measured):6.3f}  of dcap-qvl {ratio:4.2f}"
        )


if __name__ == "__main__":
    main()
