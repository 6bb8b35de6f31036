"""Fuzz every target for some seconds and keep a small corpus: ``nice python fuzz/campaign.py SECONDS [TARGET ...]``.

One process at a time. Prints the table of README.md: executions, inputs kept, bytes kept, findings. What the corpus
of a target has beyond ``KEPT_INPUTS`` and ``KEPT_BYTES`` is dropped, the largest inputs first.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from targets import TARGETS

KEPT_BYTES = 24 * 1024
KEPT_INPUTS = 64


def run(name: str, seconds: int, directory: str) -> tuple[int, bool, str]:
    """Give executions, whether something was found, and the end of what was printed."""
    command = [sys.executable, str(HERE / "run.py"), name, directory, f"-max_total_time={seconds}", "-max_len=16384"]
    done = subprocess.run(
        [*command, "-print_final_stats=1", f"-artifact_prefix={HERE}/found-{name}-"],
        capture_output=True,
        text=True,
        check=False,
    )
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return int(executed[1]) if executed else 0, done.returncode != 0, done.stderr[-3000:] + done.stdout[-3000:]


def keep(name: str, directory: str) -> list[Path]:
    """Keep some inputs of every size, of those that were kept before and those that cover something new."""
    kept = HERE / "corpus" / name
    kept.mkdir(parents=True, exist_ok=True)
    inputs = {path.name: path.read_bytes() for where in (kept, Path(directory)) for path in where.iterdir()}
    for path in kept.iterdir():
        path.unlink()
    room = KEPT_BYTES
    by_size = sorted(inputs.items(), key=lambda item: (len(item[1]), item[0]))
    step = max(1, len(by_size) / KEPT_INPUTS)
    for found, data in (by_size[int(place * step)] for place in range(min(len(by_size), KEPT_INPUTS))):
        if (room := room - len(data)) < 0:
            break
        (kept / found).write_bytes(data)
    return list(kept.iterdir())


def main() -> int:
    seconds, *names = sys.argv[1:]
    print("| target | executions | inputs kept | bytes kept | findings |\n|---|---|---|---|---|", flush=True)
    findings = 0
    for name in names or TARGETS:
        with tempfile.TemporaryDirectory() as directory:
            executed, found, tail = run(name, int(seconds), directory)
            kept = keep(name, directory)
        size = sum(path.stat().st_size for path in kept)
        print(f"| {name} | {executed} | {len(kept)} | {size} | {int(found)} |", flush=True)
        if found:
            print(tail, file=sys.stderr, flush=True)
        findings += found
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
