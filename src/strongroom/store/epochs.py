"""The root keys of every epoch of a deployment (docs/keys.md, "Key epochs").

The newest root key is what platforms seal, instances hand over and people share. It opens one row with the earlier
ones: who has an earlier one gets no further by it. New rows are sealed under the newest; earlier keys only open. What
names rows and answers OPAQUE comes from the first for ever, because neither can be computed anew from what is stored.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.crypto.aead import OpenFailed, open_sealed, seal
from strongroom.crypto.hashing import labelled_hash
from strongroom.crypto.kdf import KEY_BYTES, derive
from strongroom.store.keys import StoreKeys
from strongroom.store.ports import Table
from strongroom.store.root import Root

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.store.keys import TenantSecret
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction

__all__ = ["FIRST_EPOCH", "BranchSealing", "RootKeys", "keep_earlier"]

FIRST_EPOCH: Final = 1
_LABEL: Final = "strongroom v1 earlier roots"
_EPOCH_BYTES: Final = 8
_MAX_EPOCHS: Final = 1024
_MAX_BYTES: Final = 64 * 1024


class RootKeys:
    """The root keys that one instance holds. Threads may share it.

    ``reload`` gives the newest root key that is sealed for this code on this platform: asked for when a row turns up
    that was sealed in an epoch which began after this instance had started.
    """

    def __init__(self, storage: RecordStore, newest: Root, reload: Callable[[], Root]) -> None:
        self._storage = storage
        self._reload = reload
        self._lock = threading.Lock()
        self._newest = self._started = newest
        self._keys = _opened(storage, newest)

    @property
    def newest(self) -> Root:
        """The root key under which new rows are sealed."""
        return self._newest

    @property
    def all(self) -> tuple[Root, ...]:
        """Every root key, the oldest first."""
        return tuple(Root(key=key, epoch=epoch) for epoch, key in sorted(self._keys.items()))

    def of(self, epoch: int) -> Root | None:
        """Give the root key of an epoch, or ``None`` when this instance has no way to it."""
        if epoch > self._newest.epoch:
            with self._lock:
                if epoch > self._newest.epoch:
                    self._catch_up()
        key = self._keys.get(epoch)
        return None if key is None else Root(key=key, epoch=epoch)

    def signed_heads(self, head_key: bytes) -> bool:
        """Tell whether a public head key (32 bytes) is, or in an earlier epoch was, this deployment's."""
        return any(StoreKeys.derive(root.key, root.epoch).head.public == head_key for root in self.all)

    def keys(self, tenant: TenantSecret | None = None) -> StoreKeys:
        """Derive a branch's keys: of identifiers and OPAQUE in the first epoch.

        Heads and device certificates are signed in the epoch in which this instance started, as its evidence says.
        """
        first = StoreKeys.derive(self._keys[FIRST_EPOCH], FIRST_EPOCH, tenant)
        if self._started.epoch == FIRST_EPOCH:
            return first
        heads = StoreKeys.derive(self._started.key, self._started.epoch, tenant)
        return StoreKeys(
            identifiers=first.identifiers,
            sealing=heads.sealing,
            opaque=first.opaque,
            head=heads.head,
            enrolment=heads.enrolment,
        )

    def _catch_up(self) -> None:
        try:
            found = self._reload()
        except Misconfigured:  # a root key that was handed over, and is not sealed for this platform yet
            return
        if found.epoch > self._newest.epoch:
            self._keys = _opened(self._storage, found)
            self._newest = found


class BranchSealing:
    """The sealing keys of one tenant's branch, by epoch. Implements ``store.sealing.SealingKeys``."""

    def __init__(self, roots: RootKeys, tenant: TenantSecret | None = None) -> None:
        self._roots = roots
        self._tenant = tenant
        self._known: dict[int, bytes] = {}

    def newest(self) -> tuple[int, bytes]:
        """Give the epoch and the key to seal with."""
        root = self._roots.newest
        return root.epoch, self._key(root)

    def of(self, epoch: int) -> bytes | None:
        """Give the key that opens what was sealed in an epoch."""
        if (key := self._known.get(epoch)) is not None:
            return key
        root = self._roots.of(epoch)
        return None if root is None else self._key(root)

    def _key(self, root: Root) -> bytes:
        key = self._known.get(root.epoch)
        if key is None:
            key = self._known[root.epoch] = StoreKeys.derive(root.key, root.epoch, self._tenant).sealing
        return key


def keep_earlier(transaction: WriteTransaction, newest: Root, earlier: tuple[Root, ...]) -> None:
    """Seal the earlier root keys under the newest, once, in the transaction that begins its epoch."""
    body = canonical.encode({"roots": [root.epoch.to_bytes(_EPOCH_BYTES, "big") + root.key for root in earlier]})
    name, key = _place(newest)
    transaction.insert(Table.DEPLOYMENT, name, seal(key, body, name))


def _opened(storage: RecordStore, newest: Root) -> dict[int, bytes]:
    with storage.read() as transaction:
        return {newest.epoch: newest.key} | _earlier(transaction, newest)


def _earlier(transaction: ReadTransaction, newest: Root) -> dict[int, bytes]:
    if newest.epoch == FIRST_EPOCH:
        return {}
    name, key = _place(newest)
    row = transaction.get(Table.DEPLOYMENT, name)
    if row is None:
        raise StorageUnavailable("the earlier root keys are missing from the database")
    try:
        fields = Fields.decode(
            open_sealed(key, row.value, name), path="earlier roots", error=Malformed, max_bytes=_MAX_BYTES
        )
        entries = fields.byte_strings("roots", length=_EPOCH_BYTES + KEY_BYTES, at_most=_MAX_EPOCHS)
        fields.done()
    except (OpenFailed, Malformed) as cause:
        raise StorageUnavailable("the earlier root keys in the database were altered") from cause
    return {int.from_bytes(entry[:_EPOCH_BYTES], "big"): entry[_EPOCH_BYTES:] for entry in entries}


def _place(newest: Root) -> tuple[bytes, bytes]:
    """Give the row's key and the key of its seal; both need the newest root key."""
    key = derive(newest.key, _LABEL, newest.epoch.to_bytes(_EPOCH_BYTES, "big"))
    return labelled_hash("strongroom v1 earlier roots name", key), key
