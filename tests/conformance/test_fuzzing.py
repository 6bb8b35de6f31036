"""Each fuzz target runs for a second from its kept corpus; and no input of 64 KiB takes long or much memory."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "fuzz"
NAMES = re.findall(r"^@target.*?^def (\w+)\(", (FUZZ / "targets.py").read_text(), re.MULTILINE | re.DOTALL)
SIZE = 64 * 1024
SECONDS = 1.0
MEMORY = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def targets() -> dict[str, tuple]:
    sys.path.insert(0, str(FUZZ))
    try:
        from targets import TARGETS
    finally:
        sys.path.remove(str(FUZZ))
    return TARGETS


def test_every_target_states_its_invariant_in_its_first_line(targets: dict[str, tuple]) -> None:
    assert sorted(targets) == sorted(NAMES)
    for name, (function, _) in targets.items():
        assert function.__doc__, name
        assert function.__doc__.splitlines()[0].endswith("."), name


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_corpus_and_the_seeds_hold_the_invariant(targets: dict[str, tuple], name: str) -> None:
    function, give = targets[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in (*give(), *(path.read_bytes() for path in sorted((FUZZ / "corpus" / name).iterdir()))):
            function(data)


def test_a_second_of_fuzzing_of_each_target_finds_nothing(tmp_path: Path) -> None:
    if find_spec("atheris") is None:
        pytest.skip("atheris has wheels for CPython 3.11 on Linux x86_64 only")
    grown = tmp_path / "grown"  # what a run finds new goes here; the kept corpus grows by a campaign only
    grown.mkdir()
    command = [sys.executable, str(FUZZ / "run.py"), "each", "-max_total_time=1", "-max_len=16384", str(grown)]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/found-"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
        check=False,
    )
    assert done.stdout.count(": nothing found\n") == len(NAMES), done.stdout + done.stderr[-3000:]
    assert done.returncode == 0


def large(name: str, seeds: list[bytes]) -> list[bytes]:
    """Inputs of 64 KiB: one byte over and over, noise, brackets, and seeds with their middle repeated."""
    noise = random.Random(name).randbytes(SIZE)  # noqa: S311
    inputs = [
        bytes(SIZE),
        b"\xff" * SIZE,
        noise,
        b"[" * SIZE,
        b'{"a":' * (SIZE // 5),
        b"0" * SIZE,
        b"\x30\x80" * (SIZE // 2),
    ]
    inputs += [b"\x9f" * SIZE, b"\x81" * SIZE, b"a = [" * (SIZE // 5), b"[a." + b"a." * (SIZE // 2)]
    inputs += [b'{"tcbLevels":[' + b"{}," * (SIZE // 3) + b"{}]}", b"-----BEGIN CERTIFICATE-----\n" * (SIZE // 28)]
    for seed in seeds:
        middle = seed[len(seed) // 4 : len(seed) // 2] or b"x"
        count = max(1, (SIZE - len(seed)) // len(middle))
        inputs.append(seed[: len(seed) // 2] + middle * count + seed[len(seed) // 2 :])
    return inputs


@pytest.mark.parametrize("name", NAMES)
def test_no_large_input_takes_long_or_much_memory(targets: dict[str, tuple], name: str) -> None:
    function, give = targets[name]
    for data in large(name, give()):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(data)
        assert time.process_time() - start < SECONDS, data[:20]
    tracemalloc.start()
    try:
        for data in large(name, give()):
            function(data)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in (FUZZ / "corpus").rglob("*") if path.is_file()) < 1024 * 1024
