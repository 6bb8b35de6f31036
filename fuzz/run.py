"""Fuzz one target with coverage guidance: ``python fuzz/run.py TARGET [options of libFuzzer]``; see README.md.

``each`` in place of a target fuzzes all of them one after the other, in processes that share what was imported.

The kept corpus ``fuzz/corpus/TARGET`` and the target's seeds are where it begins. An input that takes more than a
second of CPU time is a finding, as is one that makes the process larger than 1 GB. A finding ends the run with a
traceback; the input stands in ``crash-…``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from hashlib import sha1
from pathlib import Path

import atheris

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

with atheris.instrument_imports(include=["strongroom", "targets"]):
    from targets import TARGETS, seeds

SECONDS = 1.0


def fuzz(name: str, options: list[str]) -> None:
    """Fuzz a target; it ends the process."""
    function, _ = TARGETS[name]
    warnings.simplefilter("ignore")

    def once(data: bytes) -> None:
        start = time.process_time()
        function(data)
        if (took := time.process_time() - start) > SECONDS:
            raise TimeoutError(f"{took:.1f} s of CPU time for {len(data)} bytes")

    kept = HERE / "corpus" / name
    with tempfile.TemporaryDirectory() as given:
        for seed in seeds(name):
            (Path(given) / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
        known = [str(kept)] if kept.is_dir() else []
        directories = [option for option in options if not option.startswith("-")]
        flags = ["-rss_limit_mb=1024", *(option for option in options if option.startswith("-"))]
        atheris.Setup([sys.argv[0], *flags, *directories, *known, given], once, enable_python_coverage=True)
        atheris.Fuzz()


def each(options: list[str]) -> int:
    """Fuzz every target in a process of its own; give how many found something."""
    found = 0
    for name in TARGETS:
        child = os.fork()
        if not child:
            fuzz(name, options)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(f"{name}: {'nothing found' if status == 0 else 'FOUND'}", flush=True)
        found += status != 0
    return found


def main() -> int:
    name, *options = sys.argv[1:]
    if name == "each":
        return each(options)
    fuzz(name, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
