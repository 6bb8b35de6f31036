"""Handing entries back to a store that lost them (docs/spec/vault-log.md section 9).

The store takes exactly the history that it had signed for, so handing back needs no trust on either side: this device
can add nothing to it, and the store can take nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import ForkDetected, Misconfigured
from strongroom.client.account import prove_device
from strongroom.client.renewal import restore_copy
from strongroom.client.vault import LocalVault
from strongroom.crypto.merkle import MerkleTree, consistency_path
from strongroom.formats import store_api as api
from strongroom.vaultlog.chain import chain_leaf
from strongroom.vaultlog.head import verify_head
from strongroom.vaultlog.proof import ProofKind, make_proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device
    from strongroom.sync.model import SyncState
    from strongroom.vaultlog.entry import Step
    from strongroom.vaultlog.head import VerifiedHead

__all__ = ["Repaired", "hand_back"]

_BATCH: Final = 200
_BATCH_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What was handed back: the number of entries, and the log's length before and after."""

    entries: int
    before: int
    after: int


def hand_back(device: Device, store: StoreApi) -> Repaired:
    """Give the store the entries that this device has verified and the store has lost.

    ``ForkDetected`` when the store's shorter log is not the beginning of this device's: then there is nothing to hand
    back, the histories have parted. ``Misconfigured`` when this device does not hold the log.
    """
    vault = LocalVault(device.store)
    state = vault.sync_state()
    if state is None or state.view.head is None or not state.view.complete:
        raise Misconfigured("this device has not read the whole log, so it can hand nothing back")
    prove_device(store, device)
    page = store.fetch(api.FetchPage(after=state.view.chain.length, limit=1, view=state.stated or b""))
    shown = verify_head(page.head, head_key_hash=store.peer().head_key_hash, vault=state.view.chain.vault)
    before, whole = shown.head.length, state.view.chain.length
    if before >= whole:
        return Repaired(entries=0, before=before, after=before)
    log = vault.log()
    if len(log) != whole:
        raise Misconfigured("this device does not hold the whole log, so it can hand nothing back")
    if before == 0 or log[before - 1].entry.chain_hash != shown.head.chain_hash:
        raise ForkDetected(
            f"the store's {before} entries are another history than this device's",
            proof=_fork_proof(state, log, shown),
        )
    _send(store, state, log, before)
    restore_copy(store, device, state.view.chain)
    return Repaired(entries=whole - before, before=before, after=whole)


def _send(store: StoreApi, state: SyncState, log: Sequence[Step], start: int) -> None:
    target, whole = state.view.head or b"", len(log)
    tree = _tree(log)
    views = [view for view in (state.stated, *state.sisters) if view is not None]
    while start < whole:
        end, size = start, 0
        while end < whole and end - start < _BATCH and size < _BATCH_BYTES:
            size += len(log[end].sealed)
            end += 1
        store.hand_back(
            api.HandBack(
                target=target,
                expected_length=start,
                expected_chain=log[start - 1].entry.chain_hash,
                entries=[api.EntryPair(entry=entry, sealed=sealed) for entry, sealed in _pairs(log[start:end])],
                path=list(consistency_path(end, whole, tree.complete)) if end < whole else [],
                views=views if end == whole else [],
            )
        )
        start = end


def _pairs(steps: Sequence[Step]) -> list[tuple[bytes, bytes]]:
    return [step.to_bytes() for step in steps]


def _fork_proof(state: SyncState, log: Sequence[Step], shown: VerifiedHead) -> bytes:
    shorter = shown.head.length
    path = consistency_path(shorter, len(log), _tree(log).complete) if shorter else ()
    return make_proof(ProofKind.FORK, earlier=state.view.head, later=shown.signed, path=path)


def _tree(log: Sequence[Step]) -> MerkleTree:
    return MerkleTree([chain_leaf(step.entry.chain_hash) for step in log])
