"""One flipped bit in a real quote is refused, or changes nothing of what is accepted."""

from __future__ import annotations

import pytest

from evidence_vectors import VERDICTS, case, surviving_flips

VERDICT = next(item for item in VERDICTS if item["quote"].endswith("sgx_quote-f8b810.quote.bin"))
STRUCTURE_BYTES = 436 + 576 + 2 + 32 + 6


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_no_bit_of_the_signed_structure_survives(bit: int) -> None:
    assert surviving_flips(VERDICT, [byte * 8 + bit for byte in range(STRUCTURE_BYTES)]) == []


def test_bits_of_the_certificates_text_survive_only_as_white_space() -> None:
    evidence, _, _ = case(VERDICT)
    places = list(range(STRUCTURE_BYTES * 8, len(evidence) * 8, 23))
    for place in surviving_flips(VERDICT, places):
        assert evidence[place // 8] in b"\n\0 "
