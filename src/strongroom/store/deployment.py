"""A deployment: its root key, sealed to the platform, and its identity.

``create`` is the operator's explicit act, once. ``open`` is every start after it. The deployment key is sealed under
the root key and taken out only to certify an instance; the instance key is born in memory at each start.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom import __version__
from strongroom.attesters.sealing import SealingPolicy
from strongroom.base import canonical
from strongroom.base.errors import Conflict, Malformed, Misconfigured, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.channel.server import InstanceIdentity
from strongroom.crypto.hashing import labelled_hash, sha256
from strongroom.crypto.kdf import KEY_BYTES
from strongroom.crypto.signatures import SEED_BYTES, SigningKey
from strongroom.formats.instance_certificate import MAX_LIFETIME_MS, InstanceCertificate, machine_id
from strongroom.formats.restore_notice import RestoreNotice
from strongroom.store.backup import UNFINISHED_ROW
from strongroom.store.charter import Charter
from strongroom.store.epochs import FIRST_EPOCH, BranchSealing, RootKeys, keep_earlier
from strongroom.store.guess_gate import found_guesses
from strongroom.store.joins import JoinEvent, JoinLog, JoinRecord
from strongroom.store.keys import DEFAULT_TENANT, StoreKeys
from strongroom.store.ports import Table
from strongroom.store.quorum_record import QuorumRecord
from strongroom.store.restores import keep_notice
from strongroom.store.root import Root, Sealer, keep_copy, open_copy, replace_copy
from strongroom.store.sealing import OneKey, SealedRows
from strongroom.store.transactions import transact
from strongroom.verifier.release import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from strongroom.formats.distrust_notice import DistrustNotice, SignedDistrustNotice
    from strongroom.store.freshness import FreshnessAnchor
    from strongroom.store.keys import TenantSecret
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction

__all__ = ["Branch", "Deployment", "Sealer"]

_DEPLOYMENT_ROW: Final = sha256(b"strongroom deployment key")
_CLOCK_SKEW_MS: Final = 10 * 60 * 1000  # a client's clock may lag behind ours by this much
_RENEW_BEFORE_MS: Final = MAX_LIFETIME_MS // 2


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Branch:
    """One tenant's place in a deployment: its id, its keys, its sealed rows. No representation."""

    tenant: bytes
    keys: StoreKeys
    rows: SealedRows
    epoch: int
    signed_heads: Callable[[bytes], bool]
    deployment_id: bytes


class Deployment:
    """An open deployment. Implements ``transport.ports.IdentitySource``."""

    def __init__(
        self, storage: RecordStore, sealer: Sealer, root: Root, *, instance_key: SigningKey | None = None
    ) -> None:
        self.storage = storage
        self._roots = RootKeys(storage, root, lambda: open_copy(storage, sealer))
        self.machine = machine_id(sealer.platform_id)
        self.keys = self._roots.keys()
        self.rows = SealedRows(BranchSealing(self._roots))
        self.joins = JoinLog(self.rows, self.keys)
        self._instance_key = instance_key or SigningKey.generate()
        self._identity: InstanceIdentity | None = None
        self._lock = threading.Lock()
        self.deployment_key = self._load_deployment_key().public
        with storage.read() as transaction:
            self.epoch = self._epoch(transaction)

    @classmethod
    def create(
        cls,
        storage: RecordStore,
        sealer: Sealer,
        *,
        policy: SealingPolicy = SealingPolicy.MRENCLAVE,
        charter: Charter | None = None,
        anchor: FreshnessAnchor | None = None,
        time_ms: int = 0,
    ) -> Deployment:
        """Draw a root key and a deployment key and keep both sealed; ``Conflict`` when there is a deployment.

        ``charter`` are its rules; without one nobody may join, release or recover. ``anchor`` is the
        counter on which the guess limits hang from then on.
        """
        root = Root(key=os.urandom(KEY_BYTES), epoch=FIRST_EPOCH)
        keys = StoreKeys.derive(root.key, root.epoch)
        rows = SealedRows(OneKey(keys.sealing, root.epoch))
        rules = (charter or Charter.closed()).to_bytes()

        def make(transaction: WriteTransaction) -> None:
            if transaction.get(Table.DEPLOYMENT, _DEPLOYMENT_ROW) is not None:
                raise Conflict("this database already holds a deployment")
            keep_copy(transaction, root, sealer, policy=policy)
            rows.insert(transaction, Table.DEPLOYMENT, _DEPLOYMENT_ROW, SigningKey.generate().seed)
            found_guesses(transaction, rows, keys, anchor)
            rows.insert(transaction, Table.DEPLOYMENT, keys.identifier("charter"), rules)
            created = JoinRecord(
                event=JoinEvent.CREATED, time_ms=time_ms, machine=machine_id(sealer.platform_id), detail=sha256(rules)
            )
            JoinLog(rows, keys).append(transaction, created)

        transact(storage, make)  # one transaction: a crash leaves no deployment or a whole one
        return cls(storage, sealer, root)

    @classmethod
    def open(cls, storage: RecordStore, sealer: Sealer, *, restoring: bool = False) -> Deployment:
        """Unseal the root key; ``Misconfigured`` when there is none, or none for this code on this platform.

        A deployment whose backup was put back opens for ``note_restored`` only, until that was called.
        """
        cls.require(storage)
        if not restoring and cls.is_being_restored(storage):
            raise Misconfigured("a restore was not finished", hint="run `strongroom restore` again")
        return cls(storage, sealer, open_copy(storage, sealer))

    @staticmethod
    def is_being_restored(storage: RecordStore) -> bool:
        """Tell whether a backup's rows were put back and the deployment has not said so yet."""
        with storage.read() as transaction:
            return transaction.get(Table.DEPLOYMENT, UNFINISHED_ROW) is not None

    def note_restored(self, *, time_ms: int, reason: str, at_least: int = 0) -> RestoreNotice:
        """Begin an epoch that clients see, and sign that the rows are a backup's (docs/spec/restores.md)."""
        key = self._load_deployment_key()

        def note(transaction: WriteTransaction) -> RestoreNotice:
            row = transaction.get(Table.DEPLOYMENT, UNFINISHED_ROW)
            if row is None:
                raise Conflict("no restore is under way")
            fields = Fields.decode(row.value, path="unfinished restore", error=Malformed, max_bytes=64)
            notice = RestoreNotice(
                deployment=self.deployment_id,
                epoch=max(self._epoch(transaction) + 1, at_least),
                taken_ms=fields.number("taken"),
                restored_ms=time_ms,
                reason=reason,
            )
            keep_notice(transaction, notice.sign(key))
            self._put(transaction, "epoch", canonical.encode({"epoch": notice.epoch}))
            self._log(transaction, JoinEvent.RESTORE, time_ms, sha256(notice.to_bytes()))
            transaction.delete(Table.DEPLOYMENT, UNFINISHED_ROW, expected_version=row.version)
            return notice

        # one transaction: a crash before it leaves a deployment that does not open, after it one that has said it
        return transact(self.storage, note)

    @staticmethod
    def require(storage: RecordStore) -> None:
        """Raise ``Misconfigured`` unless the database holds a deployment, whoever may open it."""
        with storage.read() as transaction:
            row = transaction.get(Table.DEPLOYMENT, _DEPLOYMENT_ROW)
        if row is None:
            raise Misconfigured("this database holds no deployment", hint="make one with `strongroom init`")

    @classmethod
    def take_over(
        cls,
        storage: RecordStore,
        sealer: Sealer,
        root: Root,
        *,
        instance_key: SigningKey | None = None,
        recovered: JoinRecord | None = None,
    ) -> Deployment:
        """Become an instance with a root key that was handed over or recovered, and seal a copy of it.

        ``recovered`` is what to log of a recovery, which also begins a new epoch that clients see. ``Misconfigured``
        when the database is not the one that the key belongs to.
        """
        try:
            deployment = cls(storage, sealer, root, instance_key=instance_key)
        except StorageUnavailable as cause:
            raise Misconfigured(
                "the root key does not open this database", hint="an instance uses its deployment's own database"
            ) from cause

        def settle(transaction: WriteTransaction) -> None:
            keep_copy(transaction, root, sealer)
            if recovered is not None:
                deployment.joins.append(transaction, recovered)
                deployment.epoch = deployment._epoch(transaction) + 1
                deployment._put(transaction, "epoch", canonical.encode({"epoch": deployment.epoch}))

        # one transaction: a crash before the commit leaves an instance that has nothing, after it one that has all
        transact(storage, settle)
        return deployment

    @property
    def deployment_id(self) -> bytes:
        """SHA-256 of the deployment key: what invitations carry and clients pin."""
        return sha256(self.deployment_key)

    @property
    def tenant(self) -> bytes:
        """The deployment's own branch is the default tenant's."""
        return DEFAULT_TENANT

    def branch(self, tenant: TenantSecret) -> Branch:
        """Give a tenant's branch. What is sealed in one branch opens in no other."""
        rows = SealedRows(BranchSealing(self._roots, tenant))
        return Branch(
            tenant=tenant.tenant,
            keys=self._roots.keys(tenant),
            rows=rows,
            epoch=self.epoch,
            deployment_id=self.deployment_id,
            signed_heads=self.signed_heads,
        )

    def signed_heads(self, head_key: bytes) -> bool:
        """Tell whether a public head key is, or in an earlier epoch was, this deployment's."""
        return self._roots.signed_heads(head_key)

    @property
    def root(self) -> Root:
        """The newest root key, which is the one to hand over; it opens the row with the earlier ones."""
        return self._roots.newest

    def begin_epoch(self, sealer: Sealer, *, time_ms: int) -> None:
        """Begin a new key epoch: draw its root key, seal it for this platform, and log it.

        From here on new rows are sealed in it, by every instance that can unseal it. This instance signs heads as
        before until it is opened again, for its sessions were told its head key. ``Conflict`` when another epoch has
        begun meanwhile. Shares of the earlier root key open nothing that is sealed from now on.
        """
        old = self.root
        new = Root(key=os.urandom(KEY_BYTES), epoch=old.epoch + 1)

        def begin(transaction: WriteTransaction) -> None:
            replace_copy(transaction, old, new, sealer)
            keep_earlier(transaction, new, self._roots.all)
            visible = max(self._epoch(transaction), self.epoch) + 1
            self._put(transaction, "epoch", canonical.encode({"epoch": visible}))
            self._log(transaction, JoinEvent.ROTATION, time_ms, bytes(32))

        # one transaction: a crash leaves the old epoch, or the new one with every key that it needs
        transact(self.storage, begin)
        self._roots.of(new.epoch)

    @property
    def instance(self) -> bytes:
        """SHA-256 of this instance's key."""
        return sha256(self._instance_key.public)

    def charter(self, transaction: ReadTransaction) -> Charter:
        """Read the deployment's rules; the closed charter for a deployment older than charters."""
        value = self._get(transaction, "charter")
        return Charter.closed() if value is None else Charter.from_bytes(value)

    def set_charter(self, transaction: WriteTransaction, charter: Charter, *, time_ms: int) -> None:
        """Change the rules, and log it. Vendor keys and recovery are not the operator's to change."""
        before = self.charter(transaction)
        if (before.vendor, before.recovery) != (charter.vendor, charter.recovery):
            raise Misconfigured("vendor keys and the recovery rule are fixed when a deployment is made")
        self._put(transaction, "charter", charter.to_bytes())
        self._log(transaction, JoinEvent.CHARTER, time_ms, sha256(charter.to_bytes()))

    def release_state(self, transaction: ReadTransaction) -> ReleaseState:
        """Read which releases were authorised."""
        value = self._get(transaction, "releases")
        return ReleaseState.beginning() if value is None else ReleaseState.from_bytes(value)

    def set_release_state(self, transaction: WriteTransaction, state: ReleaseState) -> None:
        """Keep that a release was authorised, and log it."""
        self._put(transaction, "releases", state.to_bytes())
        digest = bytes(32) if state.newest is None else state.newest.manifest.digest
        self._log(transaction, JoinEvent.RELEASE, state.accepted_ms, digest)

    def quorum(self, transaction: ReadTransaction) -> QuorumRecord | None:
        """Read which instances keep the deployment's counter, where any do."""
        value = self._get(transaction, "quorum")
        return None if value is None else QuorumRecord.from_bytes(value)

    def set_quorum(self, transaction: WriteTransaction, record: QuorumRecord, *, time_ms: int) -> None:
        """Keep that a quorum was founded, and log it."""
        self._put(transaction, "quorum", record.to_bytes())
        self._log(transaction, JoinEvent.QUORUM, time_ms, record.anchor)

    def shares_issued(self, transaction: ReadTransaction) -> bool:
        """Tell whether recovery shares were handed out in clear."""
        return self._get(transaction, "shares issued") is not None

    def note_shares(self, transaction: WriteTransaction, *, in_clear: bool, time_ms: int) -> None:
        """Log that recovery shares were made."""
        if in_clear:
            self._put(transaction, "shares issued", b"1")
        self._log(transaction, JoinEvent.SHARES, time_ms, bytes(32))

    def identity(self, at: datetime) -> InstanceIdentity:
        """Give this instance's identity; its certificate is renewed when half of its life is over."""
        at_ms = int(at.timestamp() * 1000)
        with self._lock:
            if self._identity is None or not self._fresh(self._identity, at_ms):
                self._identity = self._certify(at_ms)
            return self._identity

    def sign_notice(self, notice: DistrustNotice) -> SignedDistrustNotice:
        """Sign a distrust notice about this deployment with its key (docs/spec/floors-and-notices.md 4)."""
        if notice.deployment != self.deployment_id:
            raise ValueError("the notice is about another deployment")
        return notice.sign(self._load_deployment_key())

    def _fresh(self, identity: InstanceIdentity, at_ms: int) -> bool:
        certificate = identity.certificate.certificate
        # a clock that was set back must not leave us with a certificate from the future
        return certificate.not_before_ms <= at_ms < certificate.not_after_ms - _RENEW_BEFORE_MS

    def _certify(self, at_ms: int) -> InstanceIdentity:
        certificate = InstanceCertificate(
            deployment=self.deployment_id,
            instance_key=self._instance_key.public,
            epoch=self.epoch,
            machine=self.machine,
            not_before_ms=at_ms - _CLOCK_SKEW_MS,
            not_after_ms=at_ms - _CLOCK_SKEW_MS + MAX_LIFETIME_MS,
        )
        return InstanceIdentity(
            deployment_key=self.deployment_key,
            instance_key=self._instance_key,
            certificate=certificate.sign(self._load_deployment_key()),
            head_key_hash=sha256(self.keys.head.public),
            epoch=self.epoch,
            release=labelled_hash("strongroom v1 release", __version__.encode()),
        )

    def _load_deployment_key(self) -> SigningKey:
        with self.storage.read() as transaction:
            row = self.rows.get(transaction, Table.DEPLOYMENT, _DEPLOYMENT_ROW)
        if row is None or len(row.value) != SEED_BYTES:
            raise StorageUnavailable("the deployment key is missing from the database")
        return SigningKey.from_seed(row.value)

    def _epoch(self, transaction: ReadTransaction) -> int:
        """The epoch that clients see: it rises with every recovery, the root key's own does not."""
        value = self._get(transaction, "epoch")
        if value is None:
            return self.root.epoch
        fields = Fields.decode(value, path="epoch", error=Malformed, max_bytes=64)
        epoch = fields.number("epoch")
        fields.done()
        return epoch

    def _log(self, transaction: WriteTransaction, event: JoinEvent, time_ms: int, detail: bytes) -> None:
        record = JoinRecord(event=event, time_ms=time_ms, machine=self.machine, instance=self.instance, detail=detail)
        self.joins.append(transaction, record)

    def _get(self, transaction: ReadTransaction, name: str) -> bytes | None:
        row = self.rows.get(transaction, Table.DEPLOYMENT, self.keys.identifier(name))
        return None if row is None else row.value

    def _put(self, transaction: WriteTransaction, name: str, value: bytes) -> None:
        key = self.keys.identifier(name)
        row = self.rows.get(transaction, Table.DEPLOYMENT, key)
        if row is None:
            self.rows.insert(transaction, Table.DEPLOYMENT, key, value)
        else:
            self.rows.replace(transaction, Table.DEPLOYMENT, key, expected_version=row.version, value=value)
