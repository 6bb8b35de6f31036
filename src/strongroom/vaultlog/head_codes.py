"""Comparing the head code that somebody reads out with a whole log (docs/spec/vault-log.md 4.1).

A code tells nothing of its length, but a device has every entry, so it can compute the code of each length that its
log has had, and find at which of them the other device stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from strongroom.vaultlog.head import code_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.vaultlog.entry import Step

__all__ = ["Agreement", "Comparison", "codes_of", "compare_code"]


class Agreement(StrEnum):
    """What a code says beside a log.

    ``SAME``: both end in one entry. ``BEHIND``: the other device has read the beginning of this log. ``AHEAD``: it
    says that it has read more entries, of which a code cannot say whether they continue this log. ``DIFFERENT``: it
    says that it has read as many or fewer, and they are others. ``UNKNOWN``: it is ahead or different.
    """

    SAME = "same"
    BEHIND = "behind"
    AHEAD = "ahead"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The outcome; ``entries`` is how many of this log's the other device has read, where that is known, or 0."""

    agreement: Agreement
    entries: int = 0


def codes_of(vault: bytes, steps: Iterable[Step]) -> list[str]:
    """Give the code of each length from 1 on."""
    return [code_at(vault, length, step.entry.chain_hash) for length, step in enumerate(steps, start=1)]


def compare_code(codes: list[str], code: str, *, entries: int | None = None) -> Comparison:
    """Compare another device's code with those of this log; ``entries`` is how many the other one says it has."""
    if code in codes:
        found = codes.index(code) + 1
        if entries is not None and entries != found:
            return Comparison(agreement=Agreement.UNKNOWN)
        return Comparison(agreement=Agreement.SAME if found == len(codes) else Agreement.BEHIND, entries=found)
    if entries is None:
        return Comparison(agreement=Agreement.UNKNOWN)
    return Comparison(agreement=Agreement.AHEAD if entries > len(codes) else Agreement.DIFFERENT)
