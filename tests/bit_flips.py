"""Every single bit of captured evidence and of its collateral, flipped one at a time.

A flip is refused (malformed, or with a finding), or the assessment is the same in every field and the flip was in the
text around what is signed. Anything else is a fault of the verifier.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from evidence_vectors import TDX_VERDICTS, VERDICTS, case, read
from strongroom.base.errors import Malformed
from strongroom.formats.collateral import Collateral
from strongroom.verifier import INTEL_SGX_ROOT, Memo, assess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.verifier import Assessment

__all__ = ["PARTS", "SETS", "FlipSet", "Flipped"]

SETS = {
    "SGX, version 3": next(item for item in VERDICTS if item["quote"].endswith("sgx_quote-f8b810.quote.bin")),
    "TDX, version 4": next(item for item in TDX_VERDICTS if "f1c850" in item["quote"] and "status" in item),
    "TDX, version 5": next(item for item in TDX_VERDICTS if "cf77a6" in item["quote"] and "status" in item),
}
PARTS = ("quote", *(part.name for part in fields(Collateral)), "collateral JSON")
"""The quote, each part of the collateral as the verifier gets it, and the file that the collateral comes in."""


@dataclass
class Flipped:
    """What became of the flips of one part."""

    bits: int = 0
    malformed: int = 0
    refused: int = 0
    same: Counter[str] = field(default_factory=Counter)
    """Accepted with the same meaning, by what stood in the byte before."""

    changed: list[int] = field(default_factory=list)
    """Accepted with another meaning: bit numbers. It has to be empty."""


class FlipSet:
    """One captured set of quote and collateral, accepted as it is."""

    def __init__(self, name: str) -> None:
        verdict = SETS[name]
        self.quote, self.collateral, self.at = case(verdict)
        self.json = read(verdict["collateral"])
        self.memo = Memo(capacity=200)
        self.original = self._assess(self.quote, self.collateral)
        assert self.original.genuine

    def part(self, name: str) -> bytes:
        if name == "quote":
            return self.quote
        if name == "collateral JSON":
            return self.json
        value: bytes = getattr(self.collateral, name)
        return value

    def flip(self, name: str, bits: Iterable[int] | None = None) -> Flipped:
        """Flip bits of one part, all of them unless told which; bit 0 is the lowest of the first byte."""
        whole = self.part(name)
        outcome = Flipped()
        for bit in range(8 * len(whole)) if bits is None else bits:
            place = bit // 8
            data = whole[:place] + bytes((whole[place] ^ 1 << bit % 8,)) + whole[place + 1 :]
            outcome.bits += 1
            try:
                assessment = self._with(name, data)
            except Malformed:
                outcome.malformed += 1
                continue
            if assessment is not None and not assessment.genuine:
                outcome.refused += 1
            elif assessment is None or assessment == self.original:
                outcome.same[_kind(name, whole[place], data[place])] += 1
            else:
                outcome.changed.append(bit)
        return outcome

    def _with(self, name: str, data: bytes) -> Assessment | None:
        """Assess the set with another part; ``None`` for a file that says the same."""
        if name == "quote":
            return self._assess(data, self.collateral)
        if name == "collateral JSON":
            collateral = Collateral.from_json(data)
            return None if collateral == self.collateral else self._assess(self.quote, collateral)
        return self._assess(self.quote, replace(self.collateral, **{name: data}))

    def _assess(self, quote: bytes, collateral: Collateral) -> Assessment:
        return assess(quote, collateral, [INTEL_SGX_ROOT], at=self.at, memo=self.memo)


def _kind(name: str, before: int, after: int) -> str:
    white_space = b"\0\t\n\v\f\r "
    if before in white_space and after in white_space:
        return "white space of PEM or JSON"
    if name == "collateral JSON" and chr(before) in "nrtf" and chr(after) in "nrtf":
        return "escaped white space of PEM"
    if name == "collateral JSON" and chr(before).isalpha() and before ^ after == 0x20:
        return "case of a letter in the file's hexadecimal"
    return f"{before:#04x} became {after:#04x}"
