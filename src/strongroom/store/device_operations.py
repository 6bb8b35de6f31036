"""The store's operations on devices: the list, approval of a new one by an old one, and the look-up at each request.

Revocation is no operation of its own: it is an entry of the vault's log (``DeviceRemoved``), appended as any other.
From the commit on, no request of that device is answered, on no instance and no channel, however old.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import (
    ClientNotAttested,
    Conflict,
    DevicePending,
    DeviceRevoked,
    MalformedEntry,
    NotAuthorised,
    StorageUnavailable,
)
from strongroom.formats import device_api as api
from strongroom.formats.store_api import Appended
from strongroom.store.devices import DeviceNote, Waiting
from strongroom.store.enrolment import attested_grade
from strongroom.store.transactions import transact
from strongroom.vaultlog.entry import DeviceAdded, Step

if TYPE_CHECKING:
    from strongroom.base.clock import Clock
    from strongroom.store.devices import Devices
    from strongroom.store.enrolment import Enroller
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.sessions import ChannelSession
    from strongroom.store.vaults import Vaults

__all__ = ["DeviceOperations"]

_SEEN_EVERY_MS: Final = 60 * 60 * 1000  # coarse: a row written with every proof would cost more than it says
_log = logging.getLogger(__name__)


class DeviceOperations:
    """The operations of one tenant. What a session has proven, the routes have checked."""

    def __init__(
        self, storage: RecordStore, devices: Devices, vaults: Vaults, clock: Clock, enroller: Enroller
    ) -> None:
        self._storage = storage
        self._enroller = enroller
        self._devices = devices
        self._vaults = vaults
        self._clock = clock

    def check(self, session: ChannelSession) -> None:
        """Look up whether this session's device still belongs to its vault, and what the account demands of devices.

        ``DeviceRevoked`` when it was removed: the session is nobody's after that. ``ClientNotAttested`` when the
        account admits attested devices only, and this session has shown no evidence that counts for its device.
        """
        identity = session.identity
        if identity is None:
            return
        with self._storage.read() as transaction:
            if identity.device_key is not None:
                try:
                    self.require_member(transaction, identity.vault_id, identity.device_key)
                except (DeviceRevoked, NotAuthorised):
                    session.identity = None
                    raise
            demanded = self._devices.demands_evidence(transaction, identity.account_id)
        if demanded and not self._attested(session):
            raise ClientNotAttested(
                "this account admits attested devices only", hint="attest this device, or use one that does"
            )

    def _attested(self, session: ChannelSession) -> bool:
        client, identity = session.client, session.require()
        if client is None or self._now_ms() >= client.expires_at_ms:
            return False
        return identity.device_key is None or attested_grade(client, identity.device_key) is not None

    def demand_evidence(self, session: ChannelSession, body: api.DemandEvidence) -> api.Done:
        """Have the account admit attested devices only, or any again. Only an attested device may ask for the first."""
        identity = session.require()
        if body.attested and not self._attested(session):
            raise ClientNotAttested("only an attested device can lock out those that are not")
        transact(
            self._storage,
            lambda transaction: self._devices.demand_evidence(transaction, identity.account_id, demanded=body.attested),
        )
        return api.Done()

    def require_member(self, transaction: ReadTransaction, vault_id: bytes, device_key: bytes) -> None:
        """Raise unless the device is a member: ``DeviceRevoked`` when it was one, ``NotAuthorised`` otherwise."""
        state = self._vaults.state(transaction, vault_id)
        if device_key in state.removed:
            raise DeviceRevoked("this device was revoked", hint="it can be set up anew, as another device")
        if device_key not in state.members:
            raise NotAuthorised("unknown or revoked device")

    def refuse_if_waiting(
        self, transaction: ReadTransaction, account_id: bytes, vault_id: bytes, device_key: bytes
    ) -> None:
        """Raise ``DevicePending`` for a device that proved its key and waits for approval."""
        if device_key in self._vaults.state(transaction, vault_id).members:
            return
        waiting = self._devices.waiting(transaction, account_id, at_ms=self._now_ms())
        if any(item.device_key == device_key for item in waiting):
            raise DevicePending(
                "this device waits for approval", hint="approve it on another device, or use the recovery kit"
            )

    def seen(self, account_id: bytes, device_key: bytes, name: str) -> None:
        """Note that a device has proven itself, and under which name; at most once an hour."""
        now = self._now_ms()
        with self._storage.read() as transaction:
            note = self._devices.notes(transaction, account_id, [device_key]).get(device_key)
        if note is not None and abs(now - note.seen_ms) < _SEEN_EVERY_MS and name in ("", note.name):
            return

        def keep(transaction: WriteTransaction) -> None:
            old = self._devices.notes(transaction, account_id, [device_key]).get(device_key, DeviceNote(added_ms=now))
            note = replace(old, seen_ms=now, name=name or old.name)
            self._devices.save(transaction, account_id, device_key, note)
            waiting = self._devices.waiting(transaction, account_id, at_ms=now)
            left = [item for item in waiting if item.device_key != device_key]
            if len(left) < len(waiting):
                self._devices.save_waiting(transaction, account_id, left)

        try:
            transact(self._storage, keep)
        except (Conflict, StorageUnavailable) as error:
            # a name and an hour are not worth a refusal
            _log.warning("a device's last use was not noted: %s", error.message)

    def listed(self, session: ChannelSession, body: api.ListDevices) -> api.DeviceList:
        """Give every device that belongs or belonged to the vault, and those that wait."""
        del body
        identity = session.require()
        with self._storage.read() as transaction:
            state = self._vaults.state(transaction, identity.vault_id)
            every = sorted(state.members | state.removed)
            notes = self._devices.notes(transaction, identity.account_id, every)
            waiting = self._devices.waiting(transaction, identity.account_id, at_ms=self._now_ms())
        nothing = DeviceNote()
        return api.DeviceList(
            devices=[_view(device, notes.get(device, nothing), removed=device in state.removed) for device in every],
            waiting=[
                api.WaitingDevice(
                    device_key=item.device_key, kem_key=item.kem_key, name=item.name, asked_ms=item.asked_ms
                )
                for item in waiting
                if not item.sealed
            ],
        )

    def ask(self, session: ChannelSession, body: api.AskForApproval) -> api.Done:
        """Note that a device wants to be admitted. The account's password was proven; that admits nobody."""
        identity, now = session.require(), self._now_ms()

        def note(transaction: WriteTransaction) -> None:
            state = self._vaults.state(transaction, identity.vault_id)
            if body.device_key in state.members | state.removed:
                raise Conflict("this device has asked before")
            waiting = self._devices.waiting(transaction, identity.account_id, at_ms=now)
            others = [item for item in waiting if item.device_key != body.device_key]
            asking = Waiting(device_key=body.device_key, kem_key=body.kem_key, name=body.name, asked_ms=now)
            self._devices.save_waiting(transaction, identity.account_id, [*others, asking])

        transact(self._storage, note)
        return api.Done()

    def awaited(self, session: ChannelSession, body: api.AwaitApproval) -> api.Awaited:
        """Tell what has become of a request."""
        identity = session.require()
        with self._storage.read() as transaction:
            waiting = self._devices.waiting(transaction, identity.account_id, at_ms=self._now_ms())
        for item in waiting:
            if item.device_key == body.device_key:
                state = api.ApprovalState.APPROVED if item.sealed else api.ApprovalState.WAITING
                return api.Awaited(state=state, sealed=item.sealed)
        return api.Awaited(state=api.ApprovalState.GONE)

    def approve(self, session: ChannelSession, body: api.Approve) -> Appended:
        """Admit a waiting device and keep what was sealed to it, in one transaction; ``HeadMoved`` as an append."""
        identity, now = session.require(), self._now_ms()
        admitted = [_admitted_by(pair.entry, pair.sealed) for pair in body.entries]
        if any(device != body.device_key for device in admitted) or not body.sealed:
            raise MalformedEntry("the entry admits another device than the approved one", path="entries")

        def admit(transaction: WriteTransaction) -> bytes:
            waiting = self._devices.waiting(transaction, identity.account_id, at_ms=now)
            asked = next((item for item in waiting if item.device_key == body.device_key), None)
            if asked is None:
                raise Conflict("no such device waits for approval", hint="let it ask again")
            head = self._vaults.append(
                transaction,
                identity,
                expected_length=body.expected_length,
                expected_chain=body.expected_chain,
                entries=body.entries,
                time_ms=now,
            )
            # an entry of an earlier approval may be there already; what counts is that the device is a member now
            self.require_member(transaction, identity.vault_id, body.device_key)
            decided = [replace(item, sealed=body.sealed) if item is asked else item for item in waiting]
            self._devices.save_waiting(transaction, identity.account_id, decided)
            self._devices.save(
                transaction, identity.account_id, body.device_key, DeviceNote(name=asked.name, added_ms=now)
            )
            return head

        return Appended(head=transact(self._storage, admit))

    def enrol(self, session: ChannelSession, body: api.Enrol) -> api.Enrolled:
        """Give the session's device a certificate, of the grade that this session has proven."""
        del body
        identity, now = session.require(), self._now_ms()
        if identity.device_key is None:
            raise NotAuthorised("this session has proven no device", hint="prove the device")
        device_key = identity.device_key
        client = session.client if self._attested(session) else None
        signed = self._enroller.issue(identity, client, at_ms=now)
        grade = signed.certificate.attested

        def note(transaction: WriteTransaction) -> bool:
            notes = self._devices.notes(transaction, identity.account_id, [device_key])
            old = notes.get(device_key, DeviceNote(added_ms=now, seen_ms=now))
            new = replace(old, grade=signed.certificate.grade, measurement=b"", attested_ms=old.attested_ms)
            if grade is not None:
                new = replace(new, measurement=grade.measurement, attested_ms=grade.attested_at_ms)
            if new != old:
                self._devices.save(transaction, identity.account_id, device_key, new)
            return new.attested_ms > old.attested_ms

        return api.Enrolled(
            certificate=signed.to_bytes(),
            enrolment_key=self._enroller.public,
            evidence_was_new=transact(self._storage, note),
        )

    def refuse(self, session: ChannelSession, body: api.RefuseDevice) -> api.Done:
        """Forget a request; one that is not there is as good as forgotten."""
        identity = session.require()

        def forget(transaction: WriteTransaction) -> None:
            waiting = self._devices.waiting(transaction, identity.account_id, at_ms=self._now_ms())
            left = [item for item in waiting if item.device_key != body.device_key]
            self._devices.save_waiting(transaction, identity.account_id, left)

        transact(self._storage, forget)
        return api.Done()

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _admitted_by(entry: bytes, sealed: bytes) -> bytes:
    change = Step.from_bytes(entry, sealed).entry.entry.change
    if not isinstance(change, DeviceAdded):
        raise MalformedEntry("an approval holds the entry that admits a device, and no other", path="entries")
    return change.device


def _view(device_key: bytes, note: DeviceNote, *, removed: bool) -> api.DeviceView:
    return api.DeviceView(
        device_key=device_key,
        name=note.name,
        added_ms=note.added_ms,
        seen_ms=note.seen_ms,
        grade=note.grade,
        measurement=note.measurement,
        removed=removed,
    )
