"""A deployment: its root key, sealed to the platform, and its identity.

``create`` is the operator's explicit act, once. ``open`` is every start after it. The deployment key is sealed under
the root key and taken out only to certify an instance; the instance key is born in memory at each start.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from strongroom import __version__
from strongroom.attesters.sealing import SealingPolicy
from strongroom.base import canonical
from strongroom.base.errors import Conflict, Malformed, Misconfigured, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.channel.server import InstanceIdentity
from strongroom.crypto.aead import OpenFailed, open_sealed, seal
from strongroom.crypto.hashing import labelled_hash, sha256
from strongroom.crypto.kdf import KEY_BYTES
from strongroom.crypto.signatures import SEED_BYTES, SigningKey
from strongroom.formats.instance_certificate import MAX_LIFETIME_MS, InstanceCertificate, machine_id
from strongroom.store.keys import DEFAULT_TENANT, StoreKeys
from strongroom.store.ports import Table
from strongroom.store.sealing import SealedRows

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.formats.distrust_notice import DistrustNotice, SignedDistrustNotice
    from strongroom.store.keys import TenantSecret
    from strongroom.store.ports import RecordStore

__all__ = ["Branch", "Deployment", "Sealer"]

_ROOT_ROW: Final = sha256(b"strongroom root key")
_DEPLOYMENT_ROW: Final = sha256(b"strongroom deployment key")
_ROOT_LABEL: Final = "strongroom root key v1"
_FIRST_EPOCH: Final = 1
_CLOCK_SKEW_MS: Final = 10 * 60 * 1000  # a client's clock may lag behind ours by this much
_RENEW_BEFORE_MS: Final = MAX_LIFETIME_MS // 2


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
class _Root:
    key: bytes
    epoch: int


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Branch:
    """One tenant's place in a deployment: its id, its keys, its sealed rows. No representation."""

    tenant: bytes
    keys: StoreKeys
    rows: SealedRows
    epoch: int


class Deployment:
    """An open deployment. Implements ``transport.ports.IdentitySource``."""

    def __init__(self, storage: RecordStore, sealer: Sealer, root: _Root) -> None:
        self._storage = storage
        self._machine = machine_id(sealer.platform_id)
        self._root = root
        self.epoch = root.epoch
        self.keys = StoreKeys.derive(root.key, root.epoch)
        self.rows = SealedRows(self.keys.sealing)
        self._instance_key = SigningKey.generate()
        self._identity: InstanceIdentity | None = None
        self._lock = threading.Lock()
        self.deployment_key = self._load_deployment_key().public

    @classmethod
    def create(
        cls, storage: RecordStore, sealer: Sealer, *, policy: SealingPolicy = SealingPolicy.MRENCLAVE
    ) -> Deployment:
        """Draw a root key and a deployment key and keep both sealed; ``Conflict`` when there is a deployment."""
        root = _Root(key=os.urandom(KEY_BYTES), epoch=_FIRST_EPOCH)
        body = canonical.encode({"key": root.key, "epoch": root.epoch})
        box = seal(sealer.sealing_key(policy, _ROOT_LABEL), body, _root_place(policy))
        sealed = canonical.encode({"policy": str(policy), "box": box})
        rows = SealedRows(StoreKeys.derive(root.key, root.epoch).sealing)
        # one transaction: a crash leaves no deployment or a whole one
        with storage.write() as transaction:
            if transaction.get(Table.DEPLOYMENT, _ROOT_ROW) is not None:
                raise Conflict("this database already holds a deployment")
            transaction.insert(Table.DEPLOYMENT, _ROOT_ROW, sealed)
            rows.insert(transaction, Table.DEPLOYMENT, _DEPLOYMENT_ROW, SigningKey.generate().seed)
        return cls(storage, sealer, root)

    @classmethod
    def open(cls, storage: RecordStore, sealer: Sealer) -> Deployment:
        """Unseal the root key; ``Misconfigured`` when there is none, or none for this code on this platform."""
        with storage.read() as transaction:
            row = transaction.get(Table.DEPLOYMENT, _ROOT_ROW)
        if row is None:
            raise Misconfigured("this database holds no deployment", hint="make one with `strongroom init`")
        return cls(storage, sealer, _unseal(row.value, sealer))

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
        keys = StoreKeys.derive(self._root.key, self.epoch, tenant)
        return Branch(tenant=tenant.tenant, keys=keys, rows=SealedRows(keys.sealing), epoch=self.epoch)

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
            machine=self._machine,
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
        with self._storage.read() as transaction:
            row = self.rows.get(transaction, Table.DEPLOYMENT, _DEPLOYMENT_ROW)
        if row is None or len(row.value) != SEED_BYTES:
            raise StorageUnavailable("the deployment key is missing from the database")
        return SigningKey.from_seed(row.value)


def _unseal(sealed: bytes, sealer: Sealer) -> _Root:
    try:
        fields = Fields.decode(sealed, path="sealed root key", error=Malformed, max_bytes=1024)
        policy = SealingPolicy(fields.text("policy", at_most=16))
        box = fields.byte_string("box", at_most=512)
        fields.done()
    except (Malformed, ValueError) as cause:
        raise StorageUnavailable("the sealed root key in the database was altered") from cause
    try:
        body = open_sealed(sealer.sealing_key(policy, _ROOT_LABEL), box, _root_place(policy))
    except OpenFailed:
        raise Misconfigured(
            "the root key does not unseal: it belongs to another measurement, signer or platform",
            hint="start the code that created this deployment, on its machine",
        ) from None
    opened = Fields.decode(body, path="root key", error=Malformed, max_bytes=256)
    return _Root(key=opened.byte_string("key", length=KEY_BYTES), epoch=opened.number("epoch"))


def _root_place(policy: SealingPolicy) -> bytes:
    return canonical.encode([_ROOT_LABEL, str(policy)])
