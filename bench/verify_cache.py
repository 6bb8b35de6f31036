"""Memory and cost of a verifier's ``Memo`` that knows thousands of platforms: ``python -m bench.verify_cache [COUNT]``.

Each platform has its own PCK certificate and attestation key, and all have the same collateral, as in a fleet of one
kind. Memory is what the process has grown by; the cost is CPU time of a warm appraisal of a platform that is known.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from pathlib import Path

from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.verifier import Memo, assess

COUNT = 10_000
CALLS = 300


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    pki = IntelPki()
    collateral = pki.collateral()
    anchors = [pki.anchor]
    memo = Memo(capacity=2 * count)
    marks = {1, 10, 100, 1000, count}
    first = pki.quote().to_bytes()
    assert assess(first, collateral, anchors, at=AT, memo=memo).genuine
    before = resident_bytes()
    print("platforms   memory MB   KB each   warm appraisal, CPU ms (median of 5)")
    for number in range(1, count + 1):
        pki.leaf.key, pki.leaf.serial = key(f"pck {number}"), 1000 + number
        pki.attestation_key = key(f"attestation {number}")
        evidence = pki.quote().to_bytes()
        assert assess(evidence, collateral, anchors, at=AT, memo=memo).genuine
        if number in marks:
            grown = resident_bytes() - before
            times = []
            for _ in range(5):
                start = time.process_time_ns()
                for _ in range(CALLS):
                    assess(evidence, collateral, anchors, at=AT, memo=memo)
                times.append((time.process_time_ns() - start) / CALLS / 1e6)
            print(f"{number:9}   {grown / 1e6:9.1f}   {grown / 1e3 / number:7.1f}   {statistics.median(times):.3f}")


if __name__ == "__main__":
    main()
