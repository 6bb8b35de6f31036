"""The root key and its sealed copies: one row for each platform and measurement that was handed it.

A copy's row is named by a hash of a key that only that code gets on that platform, so the database learns neither, and
nobody else finds the row. A copy opens with another such key (docs/spec/instances.md 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from strongroom.attesters.sealing import SealingPolicy
from strongroom.base import canonical
from strongroom.base.errors import Conflict, Malformed, Misconfigured, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.crypto.aead import OpenFailed, open_sealed, seal
from strongroom.crypto.hashing import labelled_hash, sha256
from strongroom.crypto.kdf import KEY_BYTES
from strongroom.store.ports import Table
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction

__all__ = ["Root", "Sealer", "keep_copy", "open_copy", "replace_copy"]

_LABEL: Final = "strongroom root key v1"
_NAME_LABEL: Final = "strongroom root copy name v1"
_SINGLE_ROW: Final = sha256(b"strongroom root key")  # where the first schema kept its only copy


class Sealer(Protocol):
    """What a deployment needs of the platform."""

    @property
    def platform_id(self) -> bytes:
        """Identify the machine, as its evidence does (for SGX the PPID, 16 bytes)."""
        ...

    def sealing_key(self, policy: SealingPolicy, label: str) -> bytes:
        """Derive a 32-byte key that only this enclave, or this signer's, gets on this platform."""
        ...


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Root:
    """The root key of one key epoch. No representation, so that nothing prints it."""

    key: bytes
    epoch: int

    def to_bytes(self) -> bytes:
        """Encode, to be sealed."""
        return canonical.encode({"key": self.key, "epoch": self.epoch})

    @classmethod
    def from_bytes(cls, data: bytes) -> Root:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="root key", error=Malformed, max_bytes=256)
        root = cls(key=fields.byte_string("key", length=KEY_BYTES), epoch=fields.number("epoch"))
        fields.done()
        return root


def keep_copy(
    transaction: WriteTransaction, root: Root, sealer: Sealer, *, policy: SealingPolicy = SealingPolicy.MRENCLAVE
) -> None:
    """Seal the root key for this code on this platform; a copy that is there already is replaced."""
    name = _name(sealer, policy)
    box = seal(sealer.sealing_key(policy, _LABEL), root.to_bytes(), _place(policy))
    sealed = canonical.encode({"policy": str(policy), "box": box})
    row = transaction.get(Table.DEPLOYMENT, name)
    if row is None:
        transaction.insert(Table.DEPLOYMENT, name, sealed)
    else:
        transaction.replace(Table.DEPLOYMENT, name, expected_version=row.version, value=sealed)


def open_copy(storage: RecordStore, sealer: Sealer) -> Root:
    """Unseal this code's copy on this platform.

    ``Misconfigured`` when there is none; ``StorageUnavailable`` when it was altered. The single copy of an older
    database is brought forward.
    """
    with storage.read() as transaction:
        root = _find(transaction, sealer)
        if root is not None:
            return root
        single = transaction.get(Table.DEPLOYMENT, _SINGLE_ROW)
    if single is None:
        raise _none()
    policy, root = _unseal(single.value, sealer)

    def bring_forward(transaction: WriteTransaction) -> None:
        # a crash before the commit leaves the single row, a crash after it the copy: either opens
        keep_copy(transaction, root, sealer, policy=policy)
        transaction.delete(Table.DEPLOYMENT, _SINGLE_ROW, expected_version=single.version)

    transact(storage, bring_forward)
    return root


def replace_copy(transaction: WriteTransaction, old: Root, new: Root, sealer: Sealer) -> None:
    """Seal another root key in the place of ``old``; ``Conflict`` when it is not what is sealed there."""
    for policy in SealingPolicy:
        row = transaction.get(Table.DEPLOYMENT, _name(sealer, policy))
        if row is not None:
            if _unseal(row.value, sealer)[1] != old:
                break
            return keep_copy(transaction, new, sealer, policy=policy)
    raise Conflict("another root key is sealed for this platform by now")


def _find(transaction: ReadTransaction, sealer: Sealer) -> Root | None:
    for policy in SealingPolicy:
        row = transaction.get(Table.DEPLOYMENT, _name(sealer, policy))
        if row is not None:
            # whoever finds the row has its key: a copy that does not open was altered
            try:
                return _unseal(row.value, sealer)[1]
            except Misconfigured as cause:
                raise _altered() from cause
    return None


def _unseal(sealed: bytes, sealer: Sealer) -> tuple[SealingPolicy, Root]:
    try:
        fields = Fields.decode(sealed, path="sealed root key", error=Malformed, max_bytes=1024)
        policy = SealingPolicy(fields.text("policy", at_most=16))
        box = fields.byte_string("box", at_most=512)
        fields.done()
    except (Malformed, ValueError) as cause:
        raise _altered() from cause
    try:
        return policy, Root.from_bytes(open_sealed(sealer.sealing_key(policy, _LABEL), box, _place(policy)))
    except OpenFailed:
        raise _none() from None


def _name(sealer: Sealer, policy: SealingPolicy) -> bytes:
    return labelled_hash("strongroom v1 root copy", policy.encode(), sealer.sealing_key(policy, _NAME_LABEL))


def _place(policy: SealingPolicy) -> bytes:
    return canonical.encode([_LABEL, str(policy)])


def _altered() -> StorageUnavailable:
    return StorageUnavailable("the sealed root key in the database was altered")


def _none() -> Misconfigured:
    return Misconfigured(
        "the root key does not unseal: no copy of it was sealed for this measurement on this platform",
        hint="start the code that has one, join a running instance (`strongroom join`), or recover from shares",
    )
