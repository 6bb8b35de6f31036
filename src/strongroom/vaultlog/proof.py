"""Portable proofs that a store contradicted itself (docs/spec/vault-log.md section 7).

A proof holds what the store signed and what leads from one statement to the other; checking it takes nothing else:
no network, no account, no key. Whose the head key was, the claims of that time's evidence say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedEntry
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.merkle import consistency_roots
from strongroom.vaultlog.entry import MAX_ENTRY_BYTES, SignedEntry
from strongroom.vaultlog.head import MAX_HEAD_BYTES, SignedHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.vaultlog.head import Head

__all__ = [
    "MAX_PATH",
    "MAX_PROOF_BYTES",
    "MAX_PROOF_ENTRIES",
    "ProofKind",
    "ProofVerdict",
    "make_proof",
    "verify_proof",
]

MAX_PROOF_ENTRIES: Final = 1_000
MAX_PATH: Final = 128  # two hashes for each bit of a length
MAX_PROOF_BYTES: Final = MAX_PROOF_ENTRIES * (MAX_ENTRY_BYTES + 8) + MAX_PATH * 40 + 2 * MAX_HEAD_BYTES + 256
_FORMAT: Final = "strongroom proof"
_VERSION: Final = 1
_PATH: Final = "proof"


class ProofKind(StrEnum):
    """What a proof accuses the store of."""

    ROLLBACK = "rollback"
    FORK = "fork"
    TAMPERED = "tampered"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofVerdict:
    """What a proof shows.

    ``conclusive`` tells whether the signed statements contradict each other by themselves; where it is false, the
    signatures are genuine but part of the accusation rests on the word of the device that made the proof.
    ``earlier`` is what the store signed first, ``later`` what it signed then; ``reason`` is one sentence.
    """

    kind: ProofKind
    conclusive: bool
    reason: str
    vault: bytes
    earlier: Head | None
    later: Head


def make_proof(
    kind: ProofKind,
    *,
    earlier: bytes | None,
    later: bytes,
    entries: Sequence[SignedEntry] = (),
    path: Sequence[bytes] = (),
) -> bytes:
    """Write a proof file from signed heads and what leads from one to the other; too many entries are left out.

    ``path`` is a consistency path from the length of the shorter head to that of the longer.
    """
    kept = entries if len(entries) <= MAX_PROOF_ENTRIES else ()
    return canonical.encode(
        {
            "format": _FORMAT,
            "version": _VERSION,
            "kind": str(kind),
            "earlier": earlier,
            "later": later,
            "entries": [entry.to_bytes() for entry in kept],
            "path": list(path),
        }
    )


def verify_proof(data: bytes) -> ProofVerdict:
    """Check a proof file; ``MalformedEntry`` when it is none or a signature of a head in it is wrong."""
    fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=MAX_PROOF_BYTES)
    fields.exactly("format", _FORMAT)
    fields.exactly("version", _VERSION)
    kind = _KINDS.get(fields.text("kind", at_most=32))
    raw_earlier = fields.optional_byte_string("earlier", at_most=MAX_HEAD_BYTES)
    later = _signed_head(fields.byte_string("later", at_most=MAX_HEAD_BYTES))
    raw_entries = fields.byte_strings("entries", at_most=MAX_PROOF_ENTRIES)
    path = fields.byte_strings("path", length=DIGEST_BYTES, at_most=MAX_PATH)
    fields.done()
    if kind is None:
        raise fields.fail("a proof of an unknown kind")
    earlier = None if raw_earlier is None else _signed_head(raw_earlier)
    if earlier is not None and earlier.vault != later.vault:
        raise fields.fail("the heads are of two vaults")
    entries = [SignedEntry.from_bytes(entry) for entry in raw_entries]
    match kind, earlier:
        case ProofKind.ROLLBACK, earlier if earlier is not None:
            conclusive, reason = _judge_rollback(earlier, later)
        case ProofKind.FORK, earlier if earlier is not None:
            conclusive, reason = _judge_fork(earlier, later, entries, path)
        case ProofKind.TAMPERED, _:
            conclusive, reason = _judge_tampered(later, entries)
        case ProofKind.WITHHELD, earlier if earlier is not None:
            conclusive, reason = False, "the store left out what another device of this vault had seen"
        case _:
            raise fields.fail("the earlier head is missing")
    return ProofVerdict(
        kind=kind, conclusive=conclusive, reason=reason, vault=later.vault, earlier=earlier, later=later
    )


_KINDS: Final = {kind.value: kind for kind in ProofKind}


def _signed_head(data: bytes) -> Head:
    signed = SignedHead.from_bytes(data)
    if not signed.is_authentic():
        raise MalformedEntry("a head's signature is wrong", path=_PATH)
    return signed.head


def _judge_rollback(earlier: Head, later: Head) -> tuple[bool, str]:
    if later.length >= earlier.length:
        return False, "the second head is not shorter than the first"
    if later.time_ms < earlier.time_ms:
        # a shorter head that was signed first contradicts nothing: only the device knows that it was shown later
        return False, "the shorter head bears the earlier time"
    return True, f"a head of length {earlier.length}, then one of length {later.length}, were signed for one vault"


def _judge_fork(earlier: Head, later: Head, entries: Sequence[SignedEntry], path: Sequence[bytes]) -> tuple[bool, str]:
    if earlier.length == later.length:
        if (earlier.chain_hash, earlier.root) == (later.chain_hash, later.root):
            return False, "the two heads are the same"
        return True, f"two heads of length {earlier.length} with different hashes were signed for one vault"
    if path:
        return _judge_path(earlier, later, path)
    if not entries or not _leads_to(entries, later):
        return False, "no entries show which history the longer head stands on"
    first = entries[0].entry
    if first.index != earlier.length:
        return False, "the entries do not begin where the shorter head ends"
    if first.previous == earlier.chain_hash:
        return False, "the longer head extends the shorter one"
    return True, _other_history(earlier, later)


def _judge_path(earlier: Head, later: Head, path: Sequence[bytes]) -> tuple[bool, str]:
    shorter, longer = sorted((earlier, later), key=lambda head: head.length)
    roots = consistency_roots(shorter.length, longer.length, path)
    if roots is None or roots[1] != longer.root:
        return False, "the path does not lead to the longer head"
    if roots[0] == shorter.root:
        return False, "the longer head extends the shorter one"
    return True, _other_history(shorter, longer)


def _other_history(shorter: Head, longer: Head) -> str:
    return f"the head of length {longer.length} stands on another history than the head of length {shorter.length}"


def _judge_tampered(later: Head, entries: Sequence[SignedEntry]) -> tuple[bool, str]:
    if not entries or not _is_under(entries, later):
        return False, "no entries show that the head stands on the one in question"
    first = entries[0]
    if first.entry.vault != later.vault:
        return True, f"the head stands on entry {first.entry.index} of another vault"
    if not first.is_authentic():
        return True, f"the head stands on entry {first.entry.index}, which its author did not sign"
    return False, f"entry {first.entry.index} is signed by the author it names"


def _leads_to(entries: Sequence[SignedEntry], head: Head) -> bool:
    """Tell whether the entries, from the first one's index on, are the end of the chain that the head names."""
    first = entries[0].entry.index
    counted = all(signed.entry.index == first + place for place, signed in enumerate(entries))
    return counted and first + len(entries) == head.length and _is_under(entries, head)


def _is_under(entries: Sequence[SignedEntry], head: Head) -> bool:
    """Tell whether the head's hash commits to the entries, whatever they say of their place."""
    linked = all(later.entry.previous == earlier.chain_hash for earlier, later in pairwise(entries))
    return linked and entries[-1].chain_hash == head.chain_hash
