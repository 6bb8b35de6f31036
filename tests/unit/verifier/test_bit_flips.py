"""One flipped bit in a real quote is refused, or changes nothing of what is accepted."""

from __future__ import annotations

import pytest

from evidence_vectors import VERDICTS, case
from strongroom.base.errors import Malformed
from strongroom.verifier import INTEL_SGX_ROOT, Memo, assess

VERDICT = next(item for item in VERDICTS if item["quote"].endswith("sgx_quote-f8b810.quote.bin"))
STRUCTURE_BYTES = 436 + 576 + 2 + 32 + 6


def survivors(places: list[int]) -> list[int]:
    evidence, collateral, at = case(VERDICT)
    memo = Memo(capacity=1000)
    original = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at, memo=memo)
    assert original.genuine
    accepted = []
    for place in places:
        byte, bit = divmod(place, 8)
        flipped = evidence[:byte] + bytes((evidence[byte] ^ 1 << bit,)) + evidence[byte + 1 :]
        try:
            assessment = assess(flipped, collateral, [INTEL_SGX_ROOT], at=at, memo=memo)
        except Malformed:
            continue
        if assessment.genuine:
            assert assessment == original
            accepted.append(place)
    return accepted


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_no_bit_of_the_signed_structure_survives(bit: int) -> None:
    assert survivors([byte * 8 + bit for byte in range(STRUCTURE_BYTES)]) == []


def test_bits_of_the_certificates_text_survive_only_as_white_space() -> None:
    evidence, _, _ = case(VERDICT)
    places = list(range(STRUCTURE_BYTES * 8, len(evidence) * 8, 23))
    for place in survivors(places):
        assert evidence[place // 8] in b"\n\0 "
