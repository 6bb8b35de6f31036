"""A sample of all single-bit flips of captured evidence and collateral; ``fuzz/flip_all.py`` flips every bit."""

from __future__ import annotations

import random
import re

import pytest

from bit_flips import PARTS, SETS, FlipSet
from generated_cases_reasons import DOCUMENT

SAMPLE = 120
"""Bits of each part of each set; the same ones in every run."""


@pytest.fixture(scope="module", params=SETS)
def flips(request: pytest.FixtureRequest) -> FlipSet:
    return FlipSet(request.param)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("part", PARTS)
def test_a_flipped_bit_is_refused_or_changes_nothing(flips: FlipSet, part: str) -> None:
    bits = 8 * len(flips.part(part))
    chosen = random.Random(part).sample(range(bits), min(SAMPLE, bits))  # noqa: S311
    outcome = flips.flip(part, chosen)
    assert outcome.changed == []
    assert outcome.malformed + outcome.refused + outcome.same.total() == len(chosen)
    text_only = {
        "white space of PEM or JSON",
        "escaped white space of PEM",
        "case of a letter in the file's hexadecimal",
    }
    assert set(outcome.same) <= text_only


def test_the_recorded_run_flipped_every_bit() -> None:
    recorded = re.findall(
        r"^\| (.+, version \d) \| (.+?) \| (\d+) \| (\d+) \| (\d+) \|.*\| (\d+) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    expected = {(name, part): 8 * len(FlipSet(name).part(part)) for name in SETS for part in PARTS}
    assert {(name, part): int(bits) for name, part, bits, *_ in recorded} == expected
    assert {changed for *_, changed in recorded} == {"0"}
