"""Flip every bit of captured evidence and collateral: ``nice python fuzz/flip_all.py``. It takes some minutes.

Prints the table of docs/spec/conformance.md. Exit code 1 when a flip was accepted with another meaning.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bit_flips import PARTS, SETS, FlipSet


def main() -> int:
    print("| set | part | bits | malformed | refused | same meaning | other meaning |")
    print("|---|---|---|---|---|---|---|")
    faults = 0
    for name in SETS:
        flips = FlipSet(name)
        for part in PARTS:
            start = time.process_time()
            outcome = flips.flip(part)
            same = ", ".join(f"{count} ({kind})" for kind, count in sorted(outcome.same.items())) or "0"
            print(
                f"| {name} | {part} | {outcome.bits} | {outcome.malformed} | {outcome.refused} | {same} "
                f"| {len(outcome.changed)} |",
                flush=True,
            )
            print(f"{time.process_time() - start:.0f} s; changed: {outcome.changed[:20]}", file=sys.stderr, flush=True)
            faults += len(outcome.changed)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
