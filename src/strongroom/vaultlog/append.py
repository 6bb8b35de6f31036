"""What a store checks before a vault's log grows (docs/spec/vault-log.md section 7).

The same rules as a client's, told as answers to a caller: what a client would call misbehaviour of its store is
here a request that is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Denied, ForkDetected, HeadMoved, MalformedEntry, RecordTampered
from strongroom.vaultlog.chain import extend
from strongroom.vaultlog.entry import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.vaultlog.chain import ChainState

__all__ = ["MAX_APPEND_BYTES", "MAX_APPEND_STEPS", "admit"]

MAX_APPEND_STEPS: Final = 200
MAX_APPEND_BYTES: Final = 2 << 20  # entries and sealed records of one append together


def admit(
    state: ChainState, *, expected_length: int, expected_hash: bytes, steps: Sequence[tuple[bytes, bytes]]
) -> ChainState:
    """Judge an append of (entry, sealed record) pairs to ``state``; give the state to store by compare-and-swap.

    ``HeadMoved`` when the log does not end where the caller thinks; ``MalformedEntry`` for bytes that are no
    entries, or too many; ``Denied`` for entries that may not follow. Nothing is half-applied.
    """
    if not 0 < len(steps) <= MAX_APPEND_STEPS:
        raise MalformedEntry(f"an append has from 1 to {MAX_APPEND_STEPS} entries", path="append")
    if sum(len(entry) + len(sealed) for entry, sealed in steps) > MAX_APPEND_BYTES:
        raise MalformedEntry(f"an append has at most {MAX_APPEND_BYTES} bytes", path="append")
    if (expected_length, expected_hash) != (state.length, state.chain_hash):
        raise HeadMoved(f"the vault's log has {state.length} entries")
    try:
        return extend(state, [Step.from_bytes(entry, sealed) for entry, sealed in steps])
    except (ForkDetected, RecordTampered) as refusal:
        raise Denied(refusal.message) from refusal
