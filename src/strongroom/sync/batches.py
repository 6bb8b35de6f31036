"""What goes into one append: the sealed versions of records that the log does not have (docs/spec/sync.md 4.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import NotAuthorised
from strongroom.crypto.hashing import sha256
from strongroom.records.sealed_record import RecordPlace, seal_record
from strongroom.vaultlog.chain import authorise_device
from strongroom.vaultlog.entry import Entry, RecordWritten, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.crypto.signatures import SigningKey
    from strongroom.records.keyring import Keyring
    from strongroom.records.keys import VaultKey
    from strongroom.sync.model import RecordState
    from strongroom.vaultlog.chain import ChainState

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_RECORDS", "Batch", "VaultKeys", "next_batch"]

MAX_BATCH_RECORDS: Final = 199  # and a device's entry: 200 entries in one append
MAX_BATCH_BYTES: Final = 512 * 1024  # of sealed records, passed by at most one record


class VaultKeys:
    """The keys of one vault, each derived once."""

    def __init__(self, keyring: Keyring, vault: bytes) -> None:
        self.keyring = keyring
        self._vault = vault
        self._known: dict[int, VaultKey] = {}

    def of(self, epoch: int) -> VaultKey:
        """Give the key of an epoch that the keyring reaches."""
        if epoch not in self._known:
            self._known[epoch] = self.keyring.vault_key(self._vault, epoch=epoch)
        return self._known[epoch]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Batch:
    """An append: the record states as they are sent, and the steps that write them."""

    records: tuple[RecordState, ...]
    steps: tuple[Step, ...]


def next_batch(
    chain: ChainState,
    dirty: Iterable[RecordState],
    *,
    device_key: SigningKey,
    keys: VaultKeys,
    may_admit: bool,
) -> Batch | None:
    """Make the next append to the end of ``chain``, or ``None`` when there is nothing to append.

    ``NotAuthorised`` when there is, and the device is no member and may not admit itself.
    """
    is_member = device_key.public in chain.members
    waiting = [record for record in dirty if record.current != record.base]
    steps: list[Step] = []
    if not is_member and may_admit:
        epoch = keys.keyring.generation
        admission = authorise_device(keys.keyring.signing_key(), device_key.public, chain, epoch=epoch)
        steps.append(Step(entry=admission, sealed=b""))
    elif not is_member and waiting:
        raise NotAuthorised("this device is no member of the vault and cannot write to it")
    records: list[RecordState] = []
    size = 0
    for record in waiting:
        if len(records) == MAX_BATCH_RECORDS or size >= MAX_BATCH_BYTES:
            break
        previous = steps[-1].entry.chain_hash if steps else chain.chain_hash
        step = _seal_step(record, chain.vault, chain.length + len(steps), previous, device_key=device_key, keys=keys)
        steps.append(step)
        records.append(replace(record, sent=record.current))
        size += len(step.sealed)
    return Batch(records=tuple(records), steps=tuple(steps)) if steps else None


def _seal_step(
    record: RecordState, vault: bytes, index: int, previous: bytes, *, device_key: SigningKey, keys: VaultKeys
) -> Step:
    author, version, epoch = device_key.public, record.base_version + 1, keys.keyring.generation
    place = RecordPlace(vault=vault, record=record.record, version=version, author=author, epoch=epoch)
    sealed = seal_record(record.current, keys.of(epoch), place)
    change = RecordWritten(record=record.record, version=version, sealed_digest=sha256(sealed))
    entry = Entry(vault=vault, epoch=epoch, index=index, previous=previous, author=author, change=change)
    return Step(entry=entry.signed_by(device_key), sealed=sealed)
