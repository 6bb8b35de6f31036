"""The store's operations, one method each: who may do it, one transaction, one answer. No HTTP in here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from strongroom.base.errors import NotAuthorised, SecondFactorMissing, SecondFactorNeeded
from strongroom.formats import store_api as api
from strongroom.store.account_index import AccountIndex, IndexedAccount
from strongroom.store.account_operations import AccountOperations, Parts, view_of
from strongroom.store.accounts import Account, Accounts
from strongroom.store.audit import AuditLog
from strongroom.store.device_operations import DeviceOperations
from strongroom.store.devices import Devices
from strongroom.store.enrolment import Enroller
from strongroom.store.keys import DEFAULT_TENANT
from strongroom.store.quotas import Unlimited, require_below
from strongroom.store.restores import notices
from strongroom.store.sessions import DeviceIdentity
from strongroom.store.transactions import transact
from strongroom.store.vaults import Renewal, Vaults, size_of

if TYPE_CHECKING:
    from strongroom.base.clock import Clock
    from strongroom.store.deployment import Branch, Deployment
    from strongroom.store.guess_gate import GuessGate
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.quotas import Allowance
    from strongroom.store.sessions import ChannelSession
    from strongroom.store.vaults import VaultNames

__all__ = ["StoreService"]

_log = logging.getLogger(__name__)


class StoreService:
    """One tenant's service. Its state is in the database, in the caller's session, and in ``guesses``, which all share.

    ``branch`` is the tenant's, or the deployment itself for the default tenant's; ``names`` is needed for any other.
    """

    def __init__(
        self,
        storage: RecordStore,
        branch: Branch | Deployment,
        clock: Clock,
        guesses: GuessGate,
        *,
        allowance: Allowance | None = None,
        names: VaultNames | None = None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._guesses = guesses
        self._allowance = allowance or Unlimited()
        self._accounts = Accounts(storage, branch.rows, branch.keys)
        self._index = AccountIndex(branch.rows, branch.keys)
        if branch.tenant != DEFAULT_TENANT and names is None:
            raise ValueError("vaults of another tenant than the default one need names of their own")
        own_names = None if branch.tenant == DEFAULT_TENANT else names
        self._vaults = Vaults(
            branch.rows, branch.keys, epoch=branch.epoch, signed_heads=branch.signed_heads, names=own_names
        )
        devices = Devices(branch.rows, branch.keys)
        self.devices = DeviceOperations(storage, devices, self._vaults, clock, Enroller(branch))
        self._audit = AuditLog(branch.rows, branch.keys)
        self.owner = AccountOperations(
            Parts(
                storage=storage,
                rows=branch.rows,
                keys=branch.keys,
                accounts=self._accounts,
                index=self._index,
                vaults=self._vaults,
                devices=devices,
                audit=self._audit,
                guesses=guesses,
                allowance=self._allowance,
                clock=clock,
            )
        )

    def check(self, session: ChannelSession) -> None:
        """Look up whether what a session has proven still holds: its device, its account, its password."""
        self.owner.check(session)
        self.devices.check(session)

    def count_request(self, session: ChannelSession) -> None:
        """Count a request of somebody who has proven an account; a stranger uses up no tenant's quota."""
        if session.identity is not None:
            self._allowance.check_request()

    def register_start(self, session: ChannelSession, body: api.RegisterStart) -> api.RegisterStarted:
        """Answer an OPAQUE registration request. A second start in a session replaces the first."""
        session.registration, response = self._accounts.start_registration(body.username, body.request)
        return api.RegisterStarted(response=response)

    def register_finish(self, session: ChannelSession, body: api.RegisterFinish) -> api.Appended:
        """Make account and vault in one transaction. The session then is the new account's, without a device yet."""
        pending = session.take_registration()
        if not self._accounts.is_for(pending, body.username):
            raise NotAuthorised("the registration was started for another name")
        account = Account(
            account_id=body.account_id,
            account_key=body.account_key,
            wrapped_root_key=body.wrapped_root_key,
            vault_id=body.vault_id,
        )
        limit = self._allowance.account_limit()
        self._allowance.check_bytes(size_of(body.first))

        def make(transaction: WriteTransaction) -> bytes:
            # a crash before the commit leaves no trace of the account; after it, all of it
            require_below(limit, lambda: self._index.count(transaction))
            self._accounts.insert(transaction, pending, body.record, account)
            self._index.add(
                transaction,
                IndexedAccount(account_id=body.account_id, vault_id=body.vault_id, name_key=pending.name),
            )
            self._audit.begin(transaction, body.account_id, at_ms=self._time_ms())
            return self._vaults.create(
                transaction,
                vault_id=body.vault_id,
                account_key=body.account_key,
                first=body.first,
                time_ms=self._time_ms(),
            )

        head = transact(self._storage, make)
        self._allowance.used(size=size_of(body.first), accounts=1)
        session.identity = DeviceIdentity(
            account_id=body.account_id, vault_id=body.vault_id, device_key=None, credential=pending.credential
        )
        return api.Appended(head=head)

    def login_start(self, session: ChannelSession, body: api.LoginStart) -> api.LoginStarted:
        """Answer KE1, once the attempt is counted. A second start in a session replaces the first.

        KE2 lets the client test one guess by itself, so nothing of it leaves before the count is safe.
        """
        session.identity = None
        session.pending = None
        session.count_guess()
        session.half_proven = None
        # the same work for every name: nobody's attempts are noted, too, in a row that is nobody's
        account_id, at_ms = self._accounts.account_of(body.username), self._time_ms()

        def note(transaction: WriteTransaction) -> None:
            self._audit.note_attempt(transaction, account_id, at_ms=at_ms)

        self._guesses.admit(self._accounts.guess_name(body.username), note)
        session.pending, ke2 = self._accounts.start_login(body.username, body.ke1)
        return api.LoginStarted(ke2=ke2)

    def login_finish(self, session: ChannelSession, body: api.LoginFinish) -> api.AccountView:
        """Check KE3; the session then is the account's, or ``SecondFactorNeeded`` says what is still missing."""
        pending = session.take_pending()
        account = self._accounts.finish_login(pending, body.ke3)
        self._guesses.give_back(pending.guess_name)
        view = self.owner.admit(session, account, pending.credential)
        if view is None:  # said to whoever has proven the password, and to nobody else
            raise SecondFactorNeeded("the password is right, and the account has a second factor")
        return view

    def prove_device(self, session: ChannelSession, body: api.DeviceSession) -> api.DeviceProven:
        """Check a device's signature over this session; the session then is that device's.

        An unknown account, a device that is no member and a wrong signature get the same answer. Who has the key of a
        device that was revoked, or that waits for approval, is told so.
        """
        session.check_device_proof(body.account_id, body.device_key, body.signature)
        with self._storage.read() as transaction:
            vault_id = self._accounts.vault_of(transaction, body.account_id)
            if vault_id is None:
                raise NotAuthorised("unknown or revoked device")
            self.devices.refuse_if_waiting(transaction, body.account_id, vault_id, body.device_key)
            self.devices.require_member(transaction, vault_id, body.device_key)
        self.devices.seen(body.account_id, body.device_key, body.name)
        session.identity = DeviceIdentity(account_id=body.account_id, vault_id=vault_id, device_key=body.device_key)
        return api.DeviceProven(vault_id=vault_id)

    def fetch(self, session: ChannelSession, body: api.FetchPage) -> api.Page:
        """Give a page of the vault's entries and the head of this moment, having noted what the device has seen."""
        identity = session.require()
        self._check_second_factor(identity)
        if body.view:
            self._note_view(identity, body.view)
        with self._storage.read() as transaction:
            page = self._vaults.page(
                transaction, identity.vault_id, after=body.after, limit=body.limit, time_ms=self._time_ms()
            )
        return api.Page(head=page.head, entries=page.entries, views=page.views)

    def read_account(self, session: ChannelSession, _body: api.ReadAccount) -> api.AccountView:
        """Give a device its account as it is now. The wrapped keys open with the password all the same."""
        identity = session.require()
        with self._storage.read() as transaction:
            return view_of(self._accounts.of(transaction, identity.account_id))

    def renew_keys(self, session: ChannelSession, body: api.RenewKeys) -> api.Appended:
        """Keep the account's keys with a new generation and append the entries that begin it, all or nothing."""
        identity = session.require()

        def renew(transaction: WriteTransaction) -> bytes:
            self._accounts.renew(
                transaction,
                identity.account_id,
                generation=body.generation,
                wrapped_root_key=body.wrapped_root_key,
                account_key=body.account_key,
            )
            return self._vaults.append(
                transaction,
                identity,
                expected_length=body.expected_length,
                expected_chain=body.expected_chain,
                entries=body.entries,
                time_ms=self._time_ms(),
                renewal=Renewal(epoch=body.generation, account_key=body.account_key),
            )

        head = transact(self._storage, renew)
        self._allowance.used(size=sum(map(size_of, body.entries)))
        return api.Appended(head=head)

    def prove_history(self, session: ChannelSession, body: api.ProveHistory) -> api.HistoryProven:
        """Show that shorter logs are beginnings of a longer one."""
        identity = session.require()
        with self._storage.read() as transaction:
            paths = self._vaults.paths(transaction, identity.vault_id, size=body.size, lengths=body.lengths)
        return api.HistoryProven(paths=paths)

    def publish_view(self, session: ChannelSession, body: api.PublishView) -> api.ViewKept:
        """Keep what the device states to have seen, for its sisters."""
        self._note_view(session.require(), body.view)
        return api.ViewKept()

    def hand_back(self, session: ChannelSession, body: api.HandBack) -> api.Appended:
        """Take back entries that this deployment had signed for and lost, and views along with them."""
        identity = session.require()

        def take_back(transaction: WriteTransaction) -> bytes:
            head = self._vaults.hand_back(
                transaction,
                identity.vault_id,
                target=body.target,
                expected_length=body.expected_length,
                expected_chain=body.expected_chain,
                entries=body.entries,
                path=body.path,
                time_ms=self._time_ms(),
            )
            members = self._vaults.members(transaction, identity.vault_id)
            for view in body.views:
                signed = self._vaults.views.read(view, vault_id=identity.vault_id, devices=members)
                self._vaults.note_view(transaction, signed)
            return head

        head = transact(self._storage, take_back)
        # what was lost had been admitted once: it counts again, and is not refused
        self._allowance.used(size=sum(map(size_of, body.entries)))
        return api.Appended(head=head)

    def restores(self, session: ChannelSession, body: api.AskRestores) -> api.Restores:
        """Give the restore notices that the deployment has signed. They are no secret."""
        del session, body
        with self._storage.read() as transaction:
            return api.Restores(notices=list(notices(transaction)))

    def append(self, session: ChannelSession, body: api.Append) -> api.Appended:
        """Append entries durably, all or none. What is acknowledged is on disk."""
        identity = session.require()
        self._check_second_factor(identity)
        size = sum(map(size_of, body.entries))
        self._allowance.check_bytes(size)

        def extend(transaction: WriteTransaction) -> bytes:
            return self._vaults.append(
                transaction,
                identity,
                expected_length=body.expected_length,
                expected_chain=body.expected_chain,
                entries=body.entries,
                time_ms=self._time_ms(),
            )

        head = transact(self._storage, extend)
        self._allowance.used(size=size)
        return api.Appended(head=head)

    def _check_second_factor(self, identity: DeviceIdentity) -> None:
        if not self._allowance.second_factor_required():
            return
        with self._storage.read() as transaction:
            if self.owner.factors(transaction, identity.account_id).required:
                return
        raise SecondFactorMissing(
            "this tenant demands a second factor, and the account has none", hint="add one, then sync again"
        )

    def _note_view(self, identity: DeviceIdentity, view: bytes) -> None:
        devices = () if identity.device_key is None else (identity.device_key,)
        signed = self._vaults.views.read(view, vault_id=identity.vault_id, devices=devices)
        with self._storage.read() as transaction:
            if not self._vaults.views.is_news(transaction, signed):
                return
        if transact(self._storage, lambda transaction: self._vaults.note_view(transaction, signed)):
            # the device finds out by the head; this line is for an operator who put an old database back
            _log.warning("a device has seen more of its vault than this database holds")

    def stored_bytes(self, transaction: ReadTransaction, account: IndexedAccount) -> int:
        """Count what an account's entries take, by reading them."""
        return self._vaults.stored_bytes(transaction, account.vault_id)

    def erase(self, account: IndexedAccount) -> None:
        """Remove an account of a tenant that is being deleted, in one transaction."""
        transact(
            self._storage,
            lambda transaction: self.owner.erase(transaction, account_id=account.account_id, vault_id=account.vault_id),
        )

    def _time_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
