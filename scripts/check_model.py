"""Check the formal model of the attested exchange (docs/spec/formal/README.md).

    check_model.py                     every scenario, one line each; exits 1 if any is not as expected
    check_model.py key-bound no-pin    these scenarios, with the attack as a sequence of messages
    check_model.py --attacks           write every attack that was found to docs/spec/formal/attacks.txt
    check_model.py --pairs             take off two locks at a time, of those that break nothing alone
    check_model.py --list              the scenarios

For unbounded sessions it needs nothing but Python. ``--spin`` runs the second, bounded model with spin and gcc.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

FORMAL = Path(__file__).resolve().parent.parent / "docs" / "spec" / "formal"
sys.path.insert(0, str(FORMAL))

from attack_story import story  # noqa: E402
from exchange_locks import QUERIES, Lock  # noqa: E402
from horn import Clause  # noqa: E402
from scenarios import SCENARIOS, Outcome, Scenario, check  # noqa: E402


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Check the formal model of the attested exchange.")
    parser.add_argument("names", nargs="*", help="scenarios; all of them without this")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--attacks", action="store_true", help="write every attack to attacks.txt")
    parser.add_argument("--pairs", action="store_true", help="look for locks that replace each other")
    parser.add_argument("--spin", action="store_true", help="run the bounded model in spin instead")
    options = parser.parse_args()
    if options.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:26} {scenario.title}")
        return 0
    if options.spin:
        return _spin()
    if options.pairs:
        return _pairs()
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := set(options.names) - known.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    chosen = [known[name] for name in options.names] or list(SCENARIOS)
    attacks: list[str] = []
    failed = 0
    for scenario in chosen:
        outcome, line = _run(scenario)
        failed += not outcome.as_expected
        print(line, flush=True)
        if outcome.broken:
            attacks.append(f"{scenario.name}: {scenario.title}\n\n{story(_telling(outcome))}\n")
            if options.names:
                print(f"\n{story(_telling(outcome))}\n")
    if options.attacks:
        (FORMAL / "attacks.txt").write_text("\n\n".join(attacks))
    if not options.names:
        print(f"\n{len(chosen)} scenarios, {failed} not as expected. What must hold:")
        for name, words in QUERIES.items():
            print(f"  {name:20} {words}")
    return 1 if failed else 0


def _pairs() -> int:
    single = [scenario.without for scenario in SCENARIOS if len(scenario.without) == 1 and not scenario.breaks]
    spare = sorted(set().union(*single) - {Lock.SESSION_BINDING})
    for pair in combinations(spare, 2):
        outcome = check(Scenario(name="pair", title="", without=frozenset(pair)))
        if outcome.broken:
            print(f"{pair[0].value}\n  with {pair[1].value}: {', '.join(outcome.broken)}", flush=True)
    return 0


def _run(scenario: Scenario) -> tuple[Outcome, str]:
    start = time.process_time()
    outcome = check(scenario)
    seconds = time.process_time() - start
    verdict = "attack" if outcome.broken else "holds"
    if not outcome.as_expected:
        verdict += " (NOT AS EXPECTED)"
    numbers = f"{outcome.saturation.made:6} clauses {seconds:5.1f} s"
    return outcome, f"{scenario.name:26} {verdict:8} {numbers}  {scenario.title}"


def _telling(outcome: Outcome) -> Clause:
    """Choose the break that tells most: what the attacker reads, else whom it deceives."""
    for query in QUERIES:
        if query in outcome.broken:
            return outcome.broken[query]
    raise ValueError("nothing is broken")


SPIN_VARIANTS = {
    "as specified": ((), True),
    "no inclusion (6.2)": (("NO_INCLUSION",), False),
    "no proof of possession (6.6, 6.7)": (("NO_POSSESSION",), False),
    "no pin (6.4)": (("NO_PIN",), False),
    "no machine (6.10)": (("NO_MACHINE",), False),
    "one label for both directions": (("NO_DIRECTIONS",), False),
    "no replay window": (("NO_WINDOW",), False),
    "no request number in answers": (("NO_REQUEST_NUMBER",), False),
    "answers are taken more than once": (("MANY_ANSWERS",), False),
    "reachable: a client is served": (("REACH",), False),
}
"""Variants of exchange.pml: the flags to define, and whether every assertion must hold."""


def _spin() -> int:
    if not (shutil.which("spin") and shutil.which("gcc")):
        print("spin and gcc are needed: apt-get install spin gcc")
        return 2
    failed = 0
    for name, (flags, holds) in SPIN_VARIANTS.items():
        start = time.perf_counter()
        clean, states = spin(flags)
        seconds = time.perf_counter() - start
        verdict = "holds" if clean else "violated"
        if clean is not holds:
            verdict += " (NOT AS EXPECTED)"
            failed += 1
        print(f"{name:36} {verdict:9} {states:>9} states {seconds:5.1f} s", flush=True)
    return 1 if failed else 0


def spin(flags: tuple[str, ...]) -> tuple[bool, int]:
    """Check exchange.pml exhaustively with some flags; gives whether nothing was violated, and the states stored."""
    with tempfile.TemporaryDirectory() as directory:
        model = FORMAL / "exchange.pml"
        subprocess.run(
            ["spin", *(f"-D{flag}" for flag in flags), "-a", str(model)], cwd=directory, check=True, capture_output=True
        )
        subprocess.run(
            ["gcc", "-O2", "-DSAFETY", "-DNOREDUCE", "-DVECTORSZ=4096", "-o", "pan", "pan.c"],
            cwd=directory,
            check=True,
            capture_output=True,
        )
        ran = subprocess.run(["./pan", "-m100000"], cwd=directory, check=True, capture_output=True, text=True)
    errors = next(line for line in ran.stdout.splitlines() if "errors:" in line)
    stored = next(line for line in ran.stdout.splitlines() if "states, stored" in line)
    if "search depth too small" in ran.stdout:
        raise RuntimeError("the search was cut short")
    return errors.endswith("errors: 0"), int(float(stored.split()[0]))


if __name__ == "__main__":
    sys.exit(main())
